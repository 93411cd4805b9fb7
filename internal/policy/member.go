package policy

// MemberReads are the statements that let the role in a member account read what the
// launches there depend on, one for each link of a launch. Without a statement, its
// link is assumed. Fact: ORG-1, NET-4, EC2-ALLOW-9, EC2-API-4, IAM-SIM-1, IAM-SIM-2.
func MemberReads(partition string) []Statement {
	everything := Values{"*"}
	return []Statement{
		{Sid: "ReadOrganization", Effect: "Allow", Action: Values{"organizations:DescribeOrganization"}, Resource: everything},
		{Sid: "ReadEnabledRegions", Effect: "Allow", Action: Values{"ec2:DescribeRegions"}, Resource: everything},
		{Sid: "ReadAllowedAMIs", Effect: "Allow", Action: Values{"ec2:GetAllowedImagesSettings"}, Resource: everything},
		{Sid: "ReadDefaultEBSKey", Effect: "Allow", Action: Values{"ec2:GetEbsDefaultKmsKeyId", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"}, Resource: everything},
		{Sid: "ReadRoles", Effect: "Allow", Action: Values{"iam:ListRoles"}, Resource: everything},
		{Sid: "SimulateRoles", Effect: "Allow", Action: Values{"iam:SimulatePrincipalPolicy"}, Resource: Values{"arn:" + partition + ":iam::*:role/*"}},
	}
}
