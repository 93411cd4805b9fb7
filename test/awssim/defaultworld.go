package awssim

import "encoding/json"

// Parts of the default world.
const (
	// ManagementAccount is the organization's management account. It publishes nothing.
	ManagementAccount = "999999999999"
	// PublishingAccount builds and publishes images.
	PublishingAccount = "111111111111"
	// OutsideAccount is in no organization.
	OutsideAccount = "888888888888"
	// OrganizationID is the ID of the organization.
	OrganizationID = "o-exampleorgid"
	// OrganizationARN is its ARN, in the partition aws.
	OrganizationARN = "arn:aws:organizations::" + ManagementAccount + ":organization/" + OrganizationID
	// WorkloadsUnit holds the member accounts.
	WorkloadsUnit = "ou-ab12-11111111"
	// WorkloadsUnitARN is its ARN, in the partition aws.
	WorkloadsUnitARN = "arn:aws:organizations::" + ManagementAccount + ":ou/" + OrganizationID + "/" + WorkloadsUnit
	// LauncherRole launches instances in each member account, as Karpenter does. It has
	// no KMS permissions.
	LauncherRole = "KarpenterControllerRole"
	// GrantRole is the role with which the publisher creates grants in each member
	// account.
	GrantRole = "orgami-grants"
)

// MemberAccounts are the accounts that launch instances.
func MemberAccounts() []string { return []string{"222222222222", "333333333333", "444444444444"} }

// DefaultServiceLinkedRoles are the service-linked roles of EC2 Auto Scaling and of
// Application Auto Scaling for ECS.
func DefaultServiceLinkedRoles() []string {
	return []string{
		"aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
		"aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
	}
}

// DefaultWorld returns a small organization in the aws partition. It has a management
// account, a publishing account, and three member accounts in a unit. One account is
// outside the organization. There are three Regions, and a fourth that no account has
// enabled. EBS encryption by default is on.
func DefaultWorld() WorldFile {
	return WorldIn("aws", []string{"us-east-1", "eu-west-1", "ap-southeast-2"}, "af-south-1")
}

// WorldIn returns the [DefaultWorld] in another partition and other Regions. optIn
// lists the Regions that no account has enabled.
func WorldIn(partition string, regions []string, optIn ...string) WorldFile {
	file := WorldFile{
		Partition: partition,
		Organization: &OrganizationFile{
			ID: OrganizationID, RootID: "r-ab12", ManagementAccount: ManagementAccount,
			Units:           []UnitFile{{ID: WorkloadsUnit, Name: "workloads", Parent: "r-ab12"}},
			ResourceSharing: true,
		},
	}
	for _, name := range regions {
		file.Regions = append(file.Regions, RegionFile{Name: name})
	}
	for _, name := range optIn {
		file.Regions = append(file.Regions, RegionFile{Name: name, OptIn: true})
	}
	all := []string{"*"}
	file.Accounts = []AccountFile{
		{ID: ManagementAccount, Name: "management", Parent: "r-ab12", EncryptionByDefault: all},
		{ID: PublishingAccount, Name: "images", Parent: "r-ab12", EncryptionByDefault: all},
		{ID: OutsideAccount, Name: "outside", EncryptionByDefault: all, Roles: launchRoles(partition), ServiceLinkedRoles: DefaultServiceLinkedRoles()},
	}
	for _, id := range MemberAccounts() {
		file.Accounts = append(file.Accounts, AccountFile{
			ID: id, Name: "member-" + id[:3], Parent: WorkloadsUnit, EncryptionByDefault: all,
			Roles: launchRoles(partition), ServiceLinkedRoles: DefaultServiceLinkedRoles(),
		})
	}
	return file
}

// launchRoles returns a launcher role without KMS permissions, and a role that the
// publisher can assume to create grants.
func launchRoles(partition string) []RoleFile {
	return []RoleFile{
		{Name: LauncherRole, Policies: map[string]json.RawMessage{
			"launch": json.RawMessage(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:RunInstances","ec2:CreateFleet","ec2:TerminateInstances","ec2:Describe*","ec2:CreateTags"],"Resource":"*"}]}`),
		}},
		{
			Name:  GrantRole,
			Trust: json.RawMessage(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:` + partition + `:iam::` + PublishingAccount + `:root"},"Action":"sts:AssumeRole"}]}`),
			Policies: map[string]json.RawMessage{
				"grants": json.RawMessage(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:CreateGrant","Resource":"arn:` + partition + `:kms:*:` + PublishingAccount + `:key/*"}]}`),
			},
		},
	}
}
