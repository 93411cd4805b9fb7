package bench

// ColdChanges are the changing calls of a first publication: one for each thing
// that has to be made.
func ColdChanges(c Cell) map[string]int {
	changes := map[string]int{
		"kms CreateKey":            1,
		"kms CreateAlias":          c.Regions,
		"kms EnableKeyRotation":    1,
		"kms CreateGrant":          c.Grants(),
		"sts AssumeRole":           c.Accounts,
		"ec2 CopyImage":            c.Regions,
		"ec2 ModifyImageAttribute": c.Regions,
	}
	if c.Regions > 1 {
		changes["kms ReplicateKey"] = c.Regions - 1
	}
	return changes
}

// WarmReads are all calls of a publication that finds everything as it shall
// be: linear in the regions, and in the pages of each region's grants.
func WarmReads(c Cell) map[string]int {
	return map[string]int{
		"sts GetCallerIdentity":              1,
		"organizations DescribeOrganization": 1,
		"organizations ListAccounts":         1, // denied: the publisher is a member
		"ec2 DescribeRegions":                1,
		// The source; and each region's image, to plan, to verify and to check.
		"ec2 DescribeImages":    1 + 3*c.Regions,
		"ec2 DescribeSnapshots": 1 + 3*c.Regions,
		// The same, to plan, before sharing, and to check.
		"ec2 DescribeImageAttribute": 1 + 3*c.Regions,
		// The alias, the key's state, and which key the alias names; and the check.
		"kms DescribeKey":          (3 + 1) * c.Regions,
		"kms GetKeyPolicy":         2 * c.Regions,
		"kms GetKeyRotationStatus": 1,
		"kms ListGrants":           2 * c.Regions * c.Pages(),
	}
}

// PerGrantReads are the ListGrants calls of one refresh by a design that has a
// resource for each grant and pages through all the key's grants to find it:
// each of a region's G grants costs ⌈G/100⌉ calls.
func PerGrantReads(c Cell) int {
	return c.Grants() * c.Pages()
}
