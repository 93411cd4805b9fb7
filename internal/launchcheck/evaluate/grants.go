package evaluate

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// granted are the grants of one grantee on one key.
type granted struct {
	decided

	grants []*Grant // those that allow it anything for a launch
}

// indexGrants sorts a key's grants by their grantees: the ARN of a role, that of
// an account's root, or that of a session up to the session's name.
func indexGrants(grants []Grant) map[string]granted {
	index := make(map[string]granted, len(grants))
	for i := range grants {
		g := &grants[i]
		ops := operationsNamed(g.Operations)
		// A grant that is made under a grant allows at most what that one does,
		// and EC2's is to decrypt. Fact: GRANT-26, GRANT-33.
		if ops&decrypt == none {
			ops &^= createGrant
		}
		grantee, sure := g.Grantee, !g.Constrained
		switch a, _ := arn.Parse(g.Grantee); { // an account's or a deleted role's ID is none
		case accountForm.MatchString(g.Grantee), a.Resource == "root":
			sure = false // what an account's grant is to its roles is not documented
		case a.Service == "sts":
			grantee, sure = grantee[:strings.LastIndexByte(grantee, '/')+1], false
		}
		if ops == none {
			continue
		}
		all := index[grantee]
		if sure {
			all.add(ops, yes)
		} else {
			all.add(ops, unsure)
		}
		all.grants = append(all.grants, g)
		index[grantee] = all
	}
	return index
}

// names of the grants, or the ids of those without, and what they allow. The
// names are the same but for the account.
func (g granted) names() string {
	var names []string
	for _, one := range g.grants {
		name := one.ID
		if one.Name != "" {
			name = one.Name
		}
		names = append(names, name+" with "+strings.Join(one.Operations, ", "))
	}
	return someOf(names, "and")
}

// cannotGrant reports whether a grant has CreateGrant but not what EC2 would
// grant by it.
func (g granted) cannotGrant() bool {
	return slices.ContainsFunc(g.grants, func(one *Grant) bool {
		return operationsNamed(one.Operations)&(createGrant|decrypt) == createGrant
	})
}

// to are the grants that the caller has.
func (k *regionalKey) to(by *caller) granted {
	all := k.grants[by.arn]
	for _, also := range [...]string{by.root, by.account, by.session} {
		if g, found := k.grants[also]; found {
			all.decided = all.or(g.decided)
			all.grants = slices.Concat(all.grants, g.grants)
		}
	}
	if k.GrantsUnknown {
		all.may = allNeeded
	}
	return all
}
