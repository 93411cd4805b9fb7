package evaluate

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// listedOperations are the operations of a grant for a service-linked role, as AWS
// lists them. Fact: GRANT-13.
var listedOperations = []string{
	"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant",
}

// granted are the grants of one grantee on one key.
type granted struct {
	// own are the operations that grants of the grantee's account allow. lent are the
	// operations that grants of another account allow. A grant whose issuing account is
	// unknown may be an own one, and counts at least as a lent one.
	own, lent decided
	grants    []*Grant // those that allow any operation of a launch
	// issued are all operations of the grants in own, including those that a
	// launch doesn't need.
	issued []string
}

// any returns what the grants allow, whichever account issued them.
func (g granted) any() decided { return g.own.or(g.lent) }

// indexGrants groups a key's grants by grantee: the ARN of a role, of an
// account's root, or of a session up to the session's name.
func indexGrants(grants []Grant) map[string]granted {
	index := make(map[string]granted, len(grants))
	for i := range grants {
		g := &grants[i]
		ops := operationsNamed(g.Operations)
		// A grant that is created with the permission of another one allows at most
		// what that one does, and EC2's is for Decrypt. Fact: GRANT-26, GRANT-33.
		if ops&decrypt == none {
			ops &^= createGrant
		}
		grantee, sure := g.Grantee, yes
		a, _ := arn.Parse(g.Grantee) // an account's or a deleted role's ID isn't an ARN
		switch {
		case g.Constrained:
			sure = unsure
		case accountForm.MatchString(g.Grantee), a.Resource == "root":
			sure = unsure // AWS doesn't document what an account's grant means for its roles
		case a.Service == "sts":
			sure = unsure
		}
		if a.Service == "sts" {
			grantee = grantee[:strings.LastIndexByte(grantee, '/')+1]
		}
		if ops == none {
			continue
		}
		account := a.AccountID
		if account == "" {
			account = g.Grantee
		}
		all := index[grantee]
		all.add(g, ops, sure, account)
		index[grantee] = all
	}
	return index
}

// add adds a grant for a grantee of the account.
func (g *granted) add(one *Grant, ops operations, sure answer, account string) {
	switch one.IssuingAccount {
	case account:
		g.own.add(ops, sure)
		g.issued = append(g.issued, one.Operations...)
	case "":
		g.own.add(ops, unsure)
		g.lent.add(ops, sure)
	default:
		g.lent.add(ops, sure)
	}
	g.grants = append(g.grants, one)
}

// names returns the names of the grants with their operations, or the IDs of
// grants without a name. The names differ only in the account.
func (g granted) names() string {
	var names []string
	for _, one := range g.grants {
		names = append(names, one.label()+" with "+strings.Join(one.Operations, ", "))
	}
	return someOf(names, "and")
}

// issuers are the accounts that issued the grants, other than the account.
func (g granted) issuers(account string) []string {
	var ids []string
	for _, one := range g.grants {
		if one.IssuingAccount != account && one.IssuingAccount != "" {
			ids = append(ids, one.IssuingAccount)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// issuerUnknown reports whether the issuing account of a grant is unknown.
func (g granted) issuerUnknown() bool {
	return slices.ContainsFunc(g.grants, func(one *Grant) bool { return one.IssuingAccount == "" })
}

func (g *Grant) label() string {
	if g.Name != "" {
		return g.Name
	}
	return g.ID
}

// incomplete reports whether the account's own grants have some, but not all,
// of the operations that AWS lists.
func (g granted) incomplete() bool {
	return len(g.issued) > 0 && len(g.lacking()) > 0
}

// lacking returns the operations that AWS lists and that no own grant of the
// account has.
func (g granted) lacking() []string {
	return slices.DeleteFunc(slices.Clone(listedOperations), func(o string) bool { return slices.Contains(g.issued, o) })
}

// cannotGrant reports whether a grant has CreateGrant but lacks the operation
// of the grant that EC2 creates with it.
func (g granted) cannotGrant() bool {
	return slices.ContainsFunc(g.grants, func(one *Grant) bool {
		return operationsNamed(one.Operations)&(createGrant|decrypt) == createGrant
	})
}

// to returns the grants of the caller.
//
// AWS lists which operations the grant of a service-linked role of another account
// has, and doesn't say which of them a launch needs (Fact: GRANT-13, LAUNCH-5). So
// what a grant with some of them doesn't allow is unknown.
func (k *regionalKey) to(by *caller) granted {
	all := k.grants[by.arn]
	for _, also := range [...]string{by.root, by.account, by.session} {
		if g, found := k.grants[also]; found {
			all.own, all.lent = all.own.or(g.own), all.lent.or(g.lent)
			all.grants, all.issued = slices.Concat(all.grants, g.grants), slices.Concat(all.issued, g.issued)
		}
	}
	if k.account != by.account && all.incomplete() {
		all.own.may = allNeeded
		if by.launcher.ServiceLinked {
			all.own.yes = none
		}
	}
	if k.GrantsUnknown {
		all.own.may, all.lent.may = allNeeded, allNeeded
	}
	return all
}
