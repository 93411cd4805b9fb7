package policy

import "slices"

// MemberRead is what the role in a member account reads for one link of a launch.
type MemberRead struct {
	// Links are the links that are assumed without it.
	Links []string
	// Why continues the sentence "It is allowed …".
	Why       string
	Statement Statement
}

// MemberReads are the statements that let the role in a member account read what the
// launches there depend on. Each is optional. Fact: ORG-1, NET-4, EC2-ALLOW-9,
// EC2-API-4, LAUNCH-12, IAM-SIM-1, IAM-SIM-2.
func MemberReads(partition string) []MemberRead {
	allow := func(sid, resource string, actions ...string) Statement {
		return Statement{Sid: sid, Effect: "Allow", Action: actions, Resource: Values{resource}}
	}
	return []MemberRead{
		{[]string{"shared"}, "to check that the account is in the organization that the image is shared with", allow("ReadOrganization", "*", "organizations:DescribeOrganization")},
		{[]string{"region-enabled"}, "to read which Regions the account has enabled", allow("ReadEnabledRegions", "*", "ec2:DescribeRegions")},
		{[]string{"allowed-amis"}, "to check whether Allowed AMIs lets the account launch the image", allow("ReadAllowedAMIs", "*", "ec2:GetAllowedImagesSettings")},
		{[]string{"shared", "allowed-amis"}, "to check, in an audit, whether the account can see the published image", allow("ReadImages", "*", "ec2:DescribeImages")},
		{[]string{"volume-key"}, "to read the key of new volumes, and which principals can use it", allow("ReadDefaultEBSKey", "*", "ec2:GetEbsDefaultKmsKeyId", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants")},
		{[]string{"grant", "identity-policy", "permission-boundary", "scp"}, "to read which service-linked roles and launchers exist", allow("ReadRoles", "*", "iam:ListRoles")},
		{[]string{"identity-policy", "permission-boundary", "scp"}, "to check what limits the roles that launch", allow("SimulateRoles", "arn:"+partition+":iam::*:role/*", "iam:SimulatePrincipalPolicy")},
	}
}

// MemberPolicy is the policy document of [MemberReads], without the statements that
// are named.
func MemberPolicy(partition string, without ...string) Document {
	var statements []Statement
	for _, read := range MemberReads(partition) {
		if !slices.Contains(without, read.Statement.Sid) {
			statements = append(statements, read.Statement)
		}
	}
	return NewDocument(statements...)
}
