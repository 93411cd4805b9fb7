package permission

import (
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// table has every action that a publication needs, except for sts:GetCallerIdentity,
// which requires no permission.
var table = []Permission{
	{Base, "ec2:DescribeRegions", Everything, "to check, before anything is changed, that every Region is enabled"},
	{Base, "ec2:DescribeImages", Everything, "to read the source image, to find the copies of earlier runs, and to wait for new ones"},
	{Base, "ec2:DescribeSnapshots", Everything, "to read the key that a snapshot is encrypted with"},
	{Base, "ec2:DescribeImageAttribute", Everything, "to read an image's launch permissions"},
	{Base, "ec2:CopyImage", Everything, "to copy the image, with its snapshots, to each Region"},
	{Base, "ec2:CreateTags", Everything, "to tag the copies and their snapshots when they are created, and to mark the images as published"},
	{Base, "ec2:ModifyImageAttribute", Everything, "to share the verified images"},
	{Base, "kms:DescribeKey", OwnKeys, "to find the key, and to read its state in each Region"},
	{Base, "kms:GetKeyPolicy", OwnKeys, "to read the key policies before and after they are set"},
	{Base, "kms:Decrypt", KeysThroughEC2, "to let EC2 read the source's snapshots"},
	{Base, "kms:GenerateDataKeyWithoutPlaintext", KeysThroughEC2, "to let EC2 generate a data key for each of the copy's snapshots"},
	{Base, "kms:ReEncryptFrom", KeysThroughEC2, "to let EC2 decrypt the source's snapshots with their key"},
	{Base, "kms:ReEncryptTo", KeysThroughEC2, "to let EC2 encrypt the copies with the Region's key"},
	{Base, "kms:CreateGrant", GrantsThroughEC2, "to let EC2 use the key while it copies"},

	{Organization, "organizations:DescribeOrganization", Everything, "to find the organization that the images are shared with"},

	{KeyCreation, "kms:ListKeys", NewKeys, "to find a key that an interrupted run created without its alias"},
	{KeyCreation, "kms:ListResourceTags", OwnKeys, "to identify that key by its tag"},
	{KeyCreation, "kms:CreateKey", NewKeys, "to create the multi-Region key, and its replicas in their Regions"},
	{KeyCreation, "kms:TagResource", OwnKeys, "to tag the key when it is created"},
	{KeyCreation, "kms:CreateAlias", OwnKeys, "to name it in each Region"},
	{KeyCreation, "kms:PutKeyPolicy", OwnKeys, "to update the policy later; KMS requires this permission to create a key"},
	{KeyCreation, "kms:ReplicateKey", OwnKeys, "to create the replicas"},
	{KeyCreation, "iam:CreateServiceLinkedRole", MultiRegionRole, "to let KMS create the role that synchronizes replicas, with the account's first multi-Region key"},

	{AdoptedKey, "kms:PutKeyPolicy", OwnKeys, "to add the statements that share the key to its policy"},
	{AdoptedKey, "kms:CreateAlias", OwnKeys, "to name the key in Regions where the alias is missing"},
	{AdoptedKey, "kms:ReplicateKey", OwnKeys, "to create missing replicas"},
	{AdoptedKey, "kms:CreateKey", NewKeys, "to create a replica in its Region, which KMS requires in addition to kms:ReplicateKey"},

	{Rotation, "kms:GetKeyRotationStatus", OwnKeys, "to read whether the key is rotated"},
	{Rotation, "kms:EnableKeyRotation", OwnKeys, "to turn on rotation"},

	{KeyTags, "kms:ListResourceTags", OwnKeys, "to read the key's tags"},
	{KeyTags, "kms:TagResource", OwnKeys, "to add those that are missing"},

	{Snapshots, "ec2:DescribeSnapshotAttribute", Everything, "to read the permissions of the copies' snapshots"},
	{Snapshots, "ec2:ModifySnapshotAttribute", Everything, "to share them with the accounts"},

	{Grants, "kms:ListGrants", OwnKeys, "to read which grants exist and which accounts created them"},
	{OwnGrants, "kms:CreateGrant", GrantsToRoles, "to create the grants of the publishing account's own roles"},
	{MemberGrants, "sts:AssumeRole", MemberRoles, "to create the other accounts' grants and to inspect these accounts, with a role of each account"},

	{Deprecation, "ec2:EnableImageDeprecation", Everything, "to set the time at which the images are deprecated"},
	{Protection, "ec2:EnableImageDeregistrationProtection", Everything, "to protect the images against being deregistered"},
	{Parameters, "ssm:GetParameter", ImageParameters, "to read the parameter"},
	{Parameters, "ssm:PutParameter", ImageParameters, "to set it to the published image's ID"},
	{SharedParameters, "ssm:GetParameterHistory", ImageParameters, "to read the parameter's tier and versions"},
	{SharedParameters, "ram:GetResourceShares", ListShares, "to find the resource shares that earlier runs created"},
	{SharedParameters, "ram:GetResourceShareAssociations", ListShares, "to read with which principals the parameter is shared"},
	{SharedParameters, "ram:CreateResourceShare", NewShares, "to share the parameter; with `ssm.external_accounts`, remove the condition"},
	{SharedParameters, "ram:TagResource", OwnShares, "to tag the resource share when it is created"},
	{SharedParameters, "ram:AssociateResourceShare", OwnShares, "to share the parameter with more principals"},
	{PrunedParameters, "ram:DisassociateResourceShare", OwnShares, "to remove principals that are no longer configured"},
	{Retirement, "ec2:DescribeInstances", Everything, "to keep older images that instances use"},
	{Retirement, "ec2:DescribeLaunchTemplates", Everything, "to find the launch templates"},
	{Retirement, "ec2:DescribeLaunchTemplateVersions", Everything, "to keep older images that launch templates use"},
	{Retirement, "ssm:GetParameters", ImageParameters, "to find the image that a launch template names through a parameter"},
	{Retirement, "ec2:DescribeImageReferences", Everything, "to keep older images that other resources of the account refer to"},
	{Retirement, "ssm:DescribeParameters", ThroughReferences, "to let EC2 look for parameters"},
	{Retirement, "ssm:GetParameters", ThroughReferences, "to let EC2 look for parameters that name an image"},
	{Retirement, "imagebuilder:ListImageRecipes", ThroughReferences, "to let EC2 look for Image Builder image recipes"},
	{Retirement, "imagebuilder:ListContainerRecipes", ThroughReferences, "to let EC2 look for Image Builder container recipes"},
	{Retirement, "imagebuilder:GetContainerRecipe", ThroughReferences, "to let EC2 look for container recipes that refer to an image"},
	{Retirement, "ec2:DescribeImageUsageReports", Everything, "to find the image usage reports on older images"},
	{Retirement, "ec2:DescribeImageUsageReportEntries", Everything, "to keep older images that other accounts use"},
	{Retirement, "ec2:CreateImageUsageReport", Everything, "to create a report on an image that has none"},
	{Retirement, "ec2:EnableImageDeprecation", Everything, "to deprecate older images"},
	{Retirement, "ec2:DisableImage", Everything, "to disable them"},
	{Retirement, "ec2:DeregisterImage", Everything, "to deregister them"},
	{Retirement, "ec2:DeleteSnapshot", Everything, "to delete their snapshots"},

	{Canary, "sts:AssumeRole", CanaryRole, "to launch the image in the canary's account before it is shared"},

	{Discovery, "organizations:ListAccounts", Accounts, "to list the organization's accounts"},
	{Discovery, "organizations:ListAccountsForParent", Accounts, "to list the accounts of `grants.organizational_units`"},
	{Discovery, "organizations:ListOrganizationalUnitsForParent", Accounts, "to list the units below these"},

	{DiscoveryByRole, "sts:AssumeRole", DiscoveryRole, "to list the organization's accounts with a role that has permission"},

	{PruneGrants, "kms:RevokeGrant", OwnKeys, "to revoke grants that are no longer configured, or that were replaced"},
}

// scopes are the policy's statements, without their actions.
func (c Caller) scopes() []policy.Statement {
	keys := policy.Values{c.arn("kms", "*", "key/*")}
	throughEC2 := policy.Condition{"StringLike": {"kms:ViaService": {policy.EC2ViaService(c.Partition)}}}
	return []policy.Statement{
		allow(Everything, nil, "*"),
		allow(NewKeys, nil, "*"),
		allow(OwnKeys, nil, append(keys, c.arn("kms", "*", "alias/*"))...),
		allow(KeysThroughEC2, throughEC2, keys...),
		allow(GrantsThroughEC2, policy.Condition{
			"StringLike": throughEC2["StringLike"], "Bool": {"kms:GrantIsForAWSResource": {"true"}},
		}, keys...),
		allow(GrantsToRoles, policy.Condition{
			"ForAllValues:StringEquals": {"kms:GrantOperations": grant.Operations},
			"StringLike":                {"kms:GranteePrincipal": {"arn:" + c.Partition + ":iam::*:role/*"}},
		}, keys...),
		allow(MultiRegionRole, nil, c.arn("iam", "", "role/aws-service-role/mrk.kms.amazonaws.com/AWSServiceRoleForKeyManagementServiceMultiRegionKeys")),
		allow(MemberRoles, nil, "arn:"+c.Partition+":iam::*:role/"+c.MemberRole),
		allow(CanaryRole, nil, c.CanaryRole),
		allow(Accounts, nil, "*"),
		allow(ImageParameters, nil, c.arn("ssm", "*", "parameter/*")),
		allow(ListShares, nil, "*"),
		allow(NewShares, policy.Condition{"Bool": {"ram:RequestedAllowsExternalPrincipals": {"false"}}}, "*"),
		allow(OwnShares, nil, c.arn("ram", "*", "resource-share/*")),
		allow(DiscoveryRole, nil, c.DiscoveryRole),
		allow(ThroughReferences, policy.Condition{"ForAnyValue:StringEquals": {"aws:CalledVia": {imageReferencesService}}}, "*"),
	}
}

// imageReferencesService is the service through which EC2 finds references to an image
// with the caller's permissions. Source: EC2 user guide, "Identify your resources
// referencing specified AMIs".
const imageReferencesService = "ec2-images.amazonaws.com"

func allow(scope Scope, condition policy.Condition, resources ...string) policy.Statement {
	return policy.Statement{Sid: string(scope), Effect: "Allow", Resource: resources, Condition: condition}
}

func (c Caller) arn(service, region, resource string) string {
	return "arn:" + c.Partition + ":" + service + ":" + region + ":" + c.Account + ":" + resource
}
