package awssim

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// permission is a launch permission of an image or a volume permission of a
// snapshot; one of the fields is set.
type permission struct {
	Group                 string `xml:"group,omitempty"`
	UserID                string `param:"UserId" xml:"userId,omitempty"`
	OrganizationARN       string `param:"OrganizationArn" xml:"organizationArn,omitempty"`
	OrganizationalUnitARN string `param:"OrganizationalUnitArn" xml:"organizationalUnitArn,omitempty"`
}

// permissionChanges are the structured parameters of a change.
type permissionChanges struct {
	Add    []permission
	Remove []permission
}

// everyone is the group of all accounts.
const everyone = "all"

var (
	accountIDPattern          = regexp.MustCompile(`^\d{12}$`)
	organizationARNPattern    = regexp.MustCompile(`^arn:aws[a-z-]*:organizations::\d{12}:organization/o-[a-z0-9]{10,32}$`)
	organizationUnitARNSyntax = regexp.MustCompile(`^arn:aws[a-z-]*:organizations::\d{12}:ou/o-[a-z0-9]{10,32}/ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}$`)
)

// check rejects what EC2 rejects: IDs in place of ARNs, accounts that do not
// exist, more or less than one field. Fact: EC2-SHARE-4.
func (p permission) check(w *World) *Error {
	fields := 0
	for _, field := range []string{p.Group, p.UserID, p.OrganizationARN, p.OrganizationalUnitARN} {
		if field != "" {
			fields++
		}
	}
	switch {
	case fields != 1:
		return badRequest("InvalidParameterCombination", "A permission names one group, user, organization or organizational unit")
	case p.Group != "" && p.Group != everyone:
		return badRequest("InvalidAMIAttributeItemValue", "Invalid attribute item value %q for group item type.", p.Group)
	case p.UserID != "" && (!accountIDPattern.MatchString(p.UserID) || w.accounts[p.UserID] == nil):
		return badRequest("InvalidAMIAttributeItemValue", "Invalid attribute item value %q for userId item type.", p.UserID)
	case p.OrganizationARN != "" && !w.wellFormed(organizationARNPattern, p.OrganizationARN):
		return badRequest("InvalidParameterValue", "Value (%s) for parameter organizationArn is invalid. The ARN is malformed.", p.OrganizationARN)
	case p.OrganizationalUnitARN != "" && !w.wellFormed(organizationUnitARNSyntax, p.OrganizationalUnitARN):
		return badRequest("InvalidParameterValue", "Value (%s) for parameter organizationalUnitArn is invalid. The ARN is malformed.", p.OrganizationalUnitARN)
	}
	return nil
}

// exists rejects an organization or unit that the world doesn't have, or has with
// another management account. AWS doesn't document whether EC2 does so. Fact:
// EC2-SHARE-7.
func (p permission) exists(w *World) *Error {
	arn := p.OrganizationARN + p.OrganizationalUnitARN
	if arn == "" || w.options.AcceptUnknownOrganizations {
		return nil
	}
	known := w.organization != nil && arn == w.organizationARN()
	if w.organization != nil && p.OrganizationalUnitARN != "" {
		unit := arn[strings.LastIndexByte(arn, '/')+1:]
		known = w.organization.units[unit] != nil && arn == w.organizationalUnitARN(unit)
	}
	if !known {
		return badRequest("InvalidParameterValue", "Value (%s) for a launch permission is invalid. The organization or organizational unit does not exist.", arn)
	}
	return nil
}

// maxLaunchPermissions is how many entities an image can be shared with in a
// Region. An organization or unit counts as one. Fact: EC2-SHARE-8.
const maxLaunchPermissions = 1_000

// limit rejects changes after which an image would have too many launch
// permissions. The code is the general one for limits of resources: AWS documents
// none for this limit.
func (changes permissionChanges) limit(shared map[string]bool, public bool) *Error {
	after := maps.Clone(shared)
	changes.apply(after, &public)
	if len(after) > maxLaunchPermissions {
		return badRequest("ResourceLimitExceeded", "An image can be shared with %d entities", maxLaunchPermissions)
	}
	return nil
}

// wellFormed reports whether the ARN has the form and the world's partition.
func (w *World) wellFormed(form *regexp.Regexp, arn string) bool {
	return form.MatchString(arn) && strings.HasPrefix(arn, "arn:"+w.partition+":")
}

// name is the key of a permission in the map.
func (p permission) name() string {
	return p.Group + p.UserID + p.OrganizationARN + p.OrganizationalUnitARN
}

// legacyPermissions are the parameters of older clients: plain lists, to which
// OperationType applies.
type legacyPermissions struct {
	OperationType          string
	UserIDs                []string `param:"UserId"`
	Groups                 []string `param:"UserGroup"`
	OrganizationARNs       []string `param:"OrganizationArn"`
	OrganizationalUnitARNs []string `param:"OrganizationalUnitArn"`
}

// changes converts the lists to changes. Without OperationType, the lists
// change nothing: some clients send them in addition to the structured
// parameters.
func (l legacyPermissions) changes() (permissionChanges, *Error) {
	var list []permission
	for _, id := range l.UserIDs {
		list = append(list, permission{UserID: id})
	}
	for _, group := range l.Groups {
		list = append(list, permission{Group: group})
	}
	for _, arn := range l.OrganizationARNs {
		list = append(list, permission{OrganizationARN: arn})
	}
	for _, arn := range l.OrganizationalUnitARNs {
		list = append(list, permission{OrganizationalUnitARN: arn})
	}
	switch l.OperationType {
	case "":
		return permissionChanges{}, nil
	case "add":
		return permissionChanges{Add: list}, nil
	case "remove":
		return permissionChanges{Remove: list}, nil
	default:
		return permissionChanges{}, badRequest("InvalidParameterValue", "Invalid value '%s' for operationType", l.OperationType)
	}
}

// join checks the changes of both kinds of parameters and joins them.
func (l legacyPermissions) join(w *World, structured *permissionChanges) (permissionChanges, *Error) {
	all, problem := l.changes()
	if problem != nil {
		return all, problem
	}
	if structured == nil && l.OperationType == "" && len(l.UserIDs)+len(l.Groups)+len(l.OrganizationARNs)+len(l.OrganizationalUnitARNs) > 0 {
		return all, badRequest("InvalidParameterCombination", "UserId, UserGroup, OrganizationArn and OrganizationalUnitArn require operationType")
	}
	if structured != nil {
		all.Add = append(all.Add, structured.Add...)
		all.Remove = append(all.Remove, structured.Remove...)
	}
	for _, p := range slices.Concat(all.Add, all.Remove) {
		if problem := p.check(w); problem != nil {
			return all, problem
		}
	}
	for _, p := range all.Add {
		if problem := p.exists(w); problem != nil {
			return all, problem
		}
	}
	return all, nil
}

// apply changes the accounts, organizations and units that a resource is shared with.
// Adding twice isn't an error, nor is removing what is not there. Fact: EC2-SHARE-9.
func (changes permissionChanges) apply(shared map[string]bool, public *bool) {
	for _, p := range changes.Add {
		if p.Group == everyone {
			*public = true
		} else {
			shared[p.name()] = true
		}
	}
	for _, p := range changes.Remove {
		if p.Group == everyone {
			*public = false
		} else {
			delete(shared, p.name())
		}
	}
}

// permissionsOf lists the accounts, organizations and units that a resource is shared
// with, sorted.
func permissionsOf(shared map[string]bool, public bool) set[permission] {
	var list set[permission]
	if public {
		list.Items = append(list.Items, permission{Group: everyone})
	}
	for _, name := range slices.Sorted(maps.Keys(shared)) {
		switch {
		case strings.Contains(name, ":organization/"):
			list.Items = append(list.Items, permission{OrganizationARN: name})
		case strings.Contains(name, ":ou/"):
			list.Items = append(list.Items, permission{OrganizationalUnitARN: name})
		default:
			list.Items = append(list.Items, permission{UserID: name})
		}
	}
	return list
}

// managedKeyProblem is why images and snapshots that are encrypted with aws/ebs can't
// be shared. Fact: EC2-SHARE-2, EC2-SHARE-3.
func managedKeyProblem() *Error {
	return badRequest("InvalidParameter", "Snapshots encrypted with the AWS Managed CMK can't be shared")
}
