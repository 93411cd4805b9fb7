// Package example creates reports for tests to render.
package example

import (
	"fmt"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/record/report"
)

var regions = []string{
	"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1",
	"eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
}

const keyID = "mrk-1234abcd12ab34cd56ef1234567890ab"

// Of returns a report with that many accounts and Regions. In the last Region,
// the key is disabled. In the first Region, a grant is missing in every seventh
// account. In the second Region, something isn't supported in every eleventh
// account.
func Of(accounts, inRegions int) report.Report {
	r := report.Report{
		Product: "packer-plugin-orgami v1.2.3", Name: "golden-shared", At: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC), Account: "111111111111", Organization: "o-exampleorgid", Complete: true,
		Key:    report.Key{ID: keyID, Alias: "alias/golden-ami", Primary: regions[0], ARNs: map[string]string{}},
		Images: map[string]string{}, Parameters: map[string]report.Parameter{},
	}
	var verdicts []evaluate.Verdict
	for n, region := range regions[:inRegions] {
		arn := "arn:aws:kms:" + region + ":111111111111:key/" + keyID
		r.Key.ARNs[region], r.Images[region] = arn, fmt.Sprintf("ami-0123456789abcde%02x", n)
		r.Parameters[region] = report.Parameter{ARN: "arn:aws:ssm:" + region + ":111111111111:parameter/golden", SharedWith: []string{"222222222222", "arn:aws:organizations::999988887777:organization/o-exampleorgid"}}
		r.Changes = append(r.Changes,
			change.Change{Kind: change.Image, Action: change.Create, Region: region, Detail: `copy of ami-0a0a0a0a0a0a0a0a0 in us-east-1, named "golden-shared"`},
			change.Change{Kind: change.Key, Action: change.NoOp, Region: region})
		for a := range accounts {
			account := fmt.Sprintf("2%011d", a)
			for _, launcher := range []string{"EC2 Auto Scaling", "ECS auto scaling", "Karpenter"} {
				v := evaluate.Verdict{Account: account, Region: region, Launcher: launcher, Outcome: evaluate.Launches, Links: []evaluate.Link{
					{Name: "shared", Outcome: evaluate.Launches, Evidence: evaluate.Seen, Because: r.Images[region] + " is shared with the organization"},
				}}
				switch {
				case n == inRegions-1:
					v.Outcome = evaluate.Fails
					v.Links = append(v.Links, evaluate.Link{Name: "key-state", Outcome: evaluate.Fails, Because: "the key " + arn + " is Disabled", Remedy: "aws kms enable-key --region " + region + " --key-id " + arn})
				case n == 0 && a%7 == 0 && launcher == "EC2 Auto Scaling":
					v.Outcome = evaluate.Fails
					v.Links = append(v.Links, evaluate.Link{Name: "grant", Outcome: evaluate.Fails, Because: "no grant on the key " + arn + " allows the role of " + account, Remedy: "aws kms create-grant --region " + region + " --key-id " + arn + " --grantee-principal arn:aws:iam::" + account + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"})
				case n == 1 && a%11 == 0 && launcher == "Karpenter":
					v.Outcome = evaluate.Inconclusive
					v.Links = append(v.Links, evaluate.Link{Name: "key-policy", Outcome: evaluate.Inconclusive, Because: `statement "Odd" has the condition key aws:Odd, which is not supported`})
				}
				verdicts = append(verdicts, v)
			}
		}
	}
	r.Launches = evaluate.Collect(verdicts)
	return r
}

// States are reports of each way in which a run ends.
func States() map[string]report.Report {
	good := Of(60, 17)
	for i := range good.Launches {
		good.Launches[i].Outcome = evaluate.Launches
		good.Launches[i].Links = good.Launches[i].Links[:1]
	}
	good.Assumptions = []evaluate.Assumption{{Link: "scp", Text: "no service control policy denies the launch or the use of the keys"}}
	good.CanaryAccount = "222222222222"
	good.Canaries = []report.Canary{{Region: "ap-northeast-1", Launcher: "RunInstances", Outcome: "launched", InstanceID: "i-0123456789abcdef0", Seconds: 14}}
	broken := Of(60, 17)
	plan := report.Report{
		Product: "packer-plugin-orgami v1.2.3", Name: "golden-shared", At: good.At, Account: good.Account, Organization: good.Organization, PlanOnly: true,
		Key: report.Key{Alias: "alias/golden-ami"}, Changes: good.Changes,
	}
	failed := report.Report{
		Product: "packer-plugin-orgami v1.2.3", Name: "golden-shared", At: good.At, Account: good.Account, Organization: good.Organization, Key: good.Key,
		Errors: []string{"copying ami-0a0a0a0a0a0a0a0a0 from us-east-1 to eu-west-1: EC2 CopyImage returned ResourceLimitExceeded: You have reached the limit"},
	}
	return map[string]report.Report{"good": good, "broken": broken, "plan": plan, "failed": failed}
}
