package bench

import "time"

// ColdChanges are the changing calls of a first publication: one for each thing
// that has to be created, shared or marked, and a session in each account. Grants
// are created one at a time, because KMS has no call for several.
func ColdChanges(c Cell) map[string]int {
	changes := map[string]int{
		"kms CreateKey":            1,
		"kms CreateAlias":          c.Regions,
		"kms EnableKeyRotation":    1,
		"kms CreateGrant":          c.Grants(),
		"sts AssumeRole":           c.Accounts, // the session serves all Regions
		"ec2 CopyImage":            c.Regions,  // tags the copy as unpublished
		"ec2 ModifyImageAttribute": c.Regions,
		"ec2 CreateTags":           c.Regions, // marks the image as published
	}
	if c.Regions > 1 {
		changes["kms ReplicateKey"] = c.Regions - 1
	}
	return changes
}

// InspectionCalls are the calls in the accounts that get grants: a session, three reads
// for the account, and two for each Region. simulated is how many launcher roles each
// account has, with three questions to IAM in each Region. An audit also describes the
// image in each Region.
func InspectionCalls(c Cell, simulated int) map[string]int {
	calls := map[string]int{
		"sts AssumeRole":                     c.Accounts,
		"organizations DescribeOrganization": c.Accounts,
		"ec2 DescribeRegions":                c.Accounts,
		"iam ListRoles":                      c.Accounts,
		"ec2 GetEbsDefaultKmsKeyId":          c.Accounts * c.Regions,
		"ec2 GetAllowedImagesSettings":       c.Accounts * c.Regions,
	}
	if simulated > 0 {
		calls["iam SimulatePrincipalPolicy"] = 3 * simulated * c.Accounts * c.Regions
	}
	return calls
}

// MemberCalls are how many calls a first publication makes in the accounts that get
// grants: the inspection and a call for each grant.
func (c Cell) MemberCalls() int {
	n := c.Grants()
	for _, calls := range InspectionCalls(c, 0) {
		n += calls
	}
	return n
}

// InspectionTime is at least how long the inspection takes if no copy hides it: a
// session for each account, at STS's quota.
func InspectionTime(c Cell) time.Duration { return atQuota(c.Accounts, assumeRolePerSecond) }

// WarmReads are all calls of a publication that finds everything up to date: linear in
// the Regions, and in the pages of each Region's grants. The calls in the accounts,
// whose role may read nothing here, come on top.
func WarmReads(c Cell) map[string]int {
	calls := InspectionCalls(c, 0)
	for kind, n := range ownReads(c) {
		calls[kind] += n
	}
	return calls
}

// ownReads are the reads of the publishing account. What is read for the plan is not
// read back by a run that changes nothing.
func ownReads(c Cell) map[string]int {
	return map[string]int{
		"sts GetCallerIdentity":              1,
		"organizations DescribeOrganization": 1,
		// To confirm the accounts that get grants. It is denied, because the publisher
		// is a member.
		"organizations ListAccounts": 1,
		"ec2 DescribeRegions":        1,
		// The source. In each Region, the images of the publication, those of the name,
		// and unpublished copies: EC2 can't combine these searches.
		"ec2 DescribeImages": 1 + 3*c.Regions,
		// The snapshots of the source, and in each Region those of the images that were
		// found.
		"ec2 DescribeSnapshots": 1 + c.Regions,
		// The source's launch permissions, and in each Region those of the image.
		"ec2 DescribeImageAttribute": 1 + c.Regions,
		"kms DescribeKey":            c.Regions, // by its alias
		"kms GetKeyPolicy":           c.Regions,
		"kms ListGrants":             c.Regions * c.Pages(),
		// Of the primary: they say whether the plugin created the key, which decides
		// whether its rotation counts.
		"kms ListResourceTags":     1,
		"kms GetKeyRotationStatus": 1,
	}
}

// WarmSteps is how many calls of such a publication wait for each other. All
// Regions and accounts work in parallel, so it depends only on the pages of a Region's
// grants.
func WarmSteps(c Cell) int {
	const (
		// The caller, the Regions, the source and the key's alias. What comes next takes
		// the caller's account, the source's name or the key's ID from them.
		look = 1
		// The images by their names and then their snapshots and permissions, while the
		// key's tags say whether its rotation counts, and that is read.
		images = 2
		// A session in each account, then its roles and Regions, and then the settings
		// in each Region. It reads the image and the key that were found.
		inspect = 3
	)
	return look + max(images, c.Pages()) + inspect
}

// PerGrantReads are the ListGrants calls of one refresh by a design that has a
// resource for each grant and pages through all the key's grants to find it:
// each of a Region's G grants costs ⌈G/100⌉ calls.
func PerGrantReads(c Cell) int {
	return c.Grants() * c.Pages()
}
