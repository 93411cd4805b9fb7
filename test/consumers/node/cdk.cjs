// node cdk.cjs TEMPLATE.json
//
// Includes a CloudFormation template in a CDK stack, changes one resource, as users do,
// and prints the synthesized template.
const { App, Stack } = require("aws-cdk-lib");
const { CfnInclude } = require("aws-cdk-lib/cloudformation-include");

const app = new App({ analyticsReporting: false });
const stack = new Stack(app, "Member");
const template = new CfnInclude(stack, "Orgami", { templateFile: process.argv[2] });
template.getResource("KarpenterKMSPolicy").addPropertyOverride("Path", "/karpenter/");
console.log(JSON.stringify(app.synth().getStackByName("Member").template));
