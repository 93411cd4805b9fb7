package evaluate

import (
	"fmt"
	"strings"
)

// admission decides whether a caller can use a key.
type admission struct {
	*regionalKey

	by       *caller
	identity *document
	// simulation replaces identity, if there is one.
	simulation Simulation
	key, own   ruling // of the key policy, and of the identity policy
	granted    granted
	policies   decided // by key policy and, where it takes that as well, identity policy
	grants     decided // by grants and, for those of another account, identity policy
	admitted   decided
}

// decide combines key policy, identity policy and grants, as KMS does. An explicit
// denial wins. Within the key's own account, a key policy that names the role is
// enough; one that names the account leaves it to the role's policies. For a role
// of another account, both policies must allow it. A grant replaces the key policy.
// It replaces the identity policy too if the caller's account issued it: a key of
// another account must be trusted by a policy or grant of the caller's account.
// Fact: KMS-KEY-15, KMS-KEY-24, GRANT-9, GRANT-16, GRANT-17.
func (k *regionalKey) decide(by *caller) admission {
	a := admission{regionalKey: k, by: by, identity: k.identity[by.launcher]}
	a.key, a.granted = k.policy.rule(by, k.from), k.to(by)
	if a.simulation = by.simulation(k.from.region); a.simulation != nil {
		a.own = a.simulation.ruling(k.ARN)
	} else {
		a.own = a.identity.rule(by, k.from)
	}
	a.policies = a.admitting().and(a.own.allowed)
	a.grants = a.granted.any()
	if a.foreign() {
		a.grants = a.granted.own.or(a.granted.lent.and(a.own.allowed))
	} else {
		a.policies = a.policies.or(a.key.allowed)
	}
	denied := a.key.denied.or(a.own.denied)
	a.admitted = a.policies.or(a.grants).and(denied.not())
	return a
}

func (a *admission) foreign() bool { return a.by.account != a.account }

// admitting combines what the key policy allows the caller itself and what it
// allows the caller's account.
func (a *admission) admitting() decided { return a.key.allowed.or(a.key.delegated) }

// admit returns the links that report whether the caller can use the key as a
// launch requires.
func (k *regionalKey) admit(by *caller) []Link {
	a := k.decide(by)
	switch {
	case a.admitted.yes == allNeeded:
		return a.because()
	case a.admitted.may == allNeeded:
		return []Link{a.undecided()}
	default:
		return a.refused()
	}
}

// because explains what lets the caller use the key.
func (a *admission) because() []Link {
	var links []Link
	if byPolicies := a.policies.yes; byPolicies != none {
		links = append(links, a.keyPolicyHolds(byPolicies))
		if a.foreign() || a.key.allowed.yes&byPolicies != byPolicies {
			links = append(links, a.identityPolicyHolds(byPolicies))
		}
	}
	byGrant := allNeeded &^ a.policies.yes
	if byGrant == none {
		return links
	}
	if lent := byGrant &^ a.granted.own.yes; a.foreign() && lent != none && len(links) == 0 {
		links = append(links, a.identityPolicyHolds(lent))
	}
	return append(links, a.grantHolds())
}

// grantHolds returns a link that doesn't name the grant. Grants differ in each
// account, and accounts that launch for the same reason are shown together.
func (a *admission) grantHolds() Link {
	if len(a.granted.grants) > 1 {
		return holds(LinkGrant, "grants on the key "+a.ARN+" allow it")
	}
	return holds(LinkGrant, "a grant on the key "+a.ARN+" allows it")
}

func (a *admission) keyPolicyHolds(o operations) Link {
	return holds(LinkKeyPolicy, "the key policy allows it: "+a.policy.whoSays(false, o, a.by, a.from))
}

func (a *admission) identityPolicyHolds(o operations) Link {
	return a.rests(holds(LinkIdentityPolicy, a.identityName()+" allows it: "+a.identitySays(false, o)))
}

// refused explains what keeps the caller from using the key. The first
// operation that the caller isn't allowed decides which link breaks, and the
// link names all operations that break it.
func (a *admission) refused() []Link {
	missing := allNeeded &^ a.admitted.may
	first := missing.first()
	switch {
	case a.key.denied.yes&first != none:
		o := missing & a.key.denied.yes
		return []Link{breaks(LinkKeyPolicy, fmt.Sprintf("%s of the key policy denies %s %s",
			a.policy.whoSays(true, o, a.by, a.from), a.by.arn, o.actions()), a.editKeyPolicy())}
	case a.own.denied.yes&first != none:
		o := missing & a.own.denied.yes
		return []Link{a.rests(breaks(LinkIdentityPolicy, fmt.Sprintf("%s of %s denies %s",
			a.identitySays(true, o), a.identityName(), o.actions()), a.listRolePolicies()).note(a.credentials()))}
	case a.by.launcher.ServiceLinked && a.foreign():
		return []Link{breaks(LinkGrant, a.noGrant(missing), a.createGrant()).note(a.credentials())}
	case (a.admitting().may|a.lent().may)&first == none:
		o := missing &^ a.admitting().may
		return []Link{breaks(LinkKeyPolicy, fmt.Sprintf("the policy of the key %s does not allow %s %s%s",
			a.ARN, a.by.arn, o.actions(), a.policyLacks(a.policy, first)), a.keyPolicySnippet(o)).note("add to the key policy")}
	case a.by.launcher.ServiceLinked:
		return []Link{breaks(LinkGrant, a.noGrant(missing), a.createGrant()).note(a.credentials())}
	default:
		o := missing & (a.admitting().may | a.lent().may) &^ a.own.allowed.may
		return []Link{a.keyPolicyStands(first), a.rests(breaks(LinkIdentityPolicy, fmt.Sprintf("%s does not allow %s on %s%s",
			a.identityName(), o.actions(), a.ARN, a.identityLacks(first)), a.identityPolicySnippet(o)).note(
			"add to a policy of the role " + a.by.launcher.Role + " in the account " + a.by.account))}
	}
}

// lent combines what grants of other accounts allow a caller of another account
// with the caller's identity policy.
func (a *admission) lent() decided {
	if !a.foreign() {
		return decided{}
	}
	return a.granted.lent
}

// keyPolicyStands returns the key policy's link if the identity policy's link breaks.
func (a *admission) keyPolicyStands(first operations) Link {
	if a.admitting().yes&first != none {
		return a.keyPolicyHolds(first)
	}
	if a.lent().yes&first != none {
		return a.grantHolds()
	}
	return open(LinkKeyPolicy, "whether the key policy allows "+first.actions()+" is not known: "+a.policy.doubt(first, a.by, a.from), a.getKeyPolicy())
}

func (a *admission) policyLacks(d *document, o operations) string {
	if lacks := d.closest(o, a.by, a.from); lacks != "" {
		return ": " + lacks
	}
	return ""
}

// noGrant lists the operations that no grant allows and the existing grants,
// and reports whether one was issued by the wrong account.
func (a *admission) noGrant(missing operations) string {
	if lent := missing & a.granted.lent.yes; a.foreign() && lent != none {
		return fmt.Sprintf("the account %s issued the grant on the key %s for %s, and a service-linked role can use a key of another account only by a grant that its own account issued",
			someOf(a.granted.issuers(a.by.account), "and"), a.ARN, a.by.arn)
	}
	text := fmt.Sprintf("no grant on the key %s allows %s %s", a.ARN, a.by.arn, strings.Join(missing.names(""), ", "))
	if len(a.granted.grants) > 0 {
		text += "; it has " + a.granted.names()
	}
	if missing&createGrant != none && a.granted.cannotGrant() {
		text += "; CreateGrant needs Decrypt in the same grant, because EC2 creates a grant for Decrypt"
	}
	return text
}

// undecided returns the link that names what is unknown.
func (a *admission) undecided() Link {
	first := (allNeeded &^ a.admitted.yes).first()
	about := "whether " + a.by.arn + " is allowed " + first.actions() + " is not known: "
	byPolicies := a.policies.of(first) == unsure
	byKeyPolicy := a.admitting().of(first) == unsure || !a.foreign() && a.key.allowed.of(first) == unsure
	byIdentity := byPolicies || a.lent().of(first) != no && a.own.allowed.of(first) == unsure
	listGrants := fmt.Sprintf("aws kms list-grants --region %s --key-id %s", a.in.Name, a.ARN)
	switch {
	case a.key.denied.of(first) == unsure, byPolicies && byKeyPolicy:
		return open(LinkKeyPolicy, about+a.policy.name+": "+a.policy.doubt(first, a.by, a.from), a.getKeyPolicy())
	case a.own.denied.of(first) == unsure, byIdentity:
		return open(LinkIdentityPolicy, about+a.identityName()+": "+a.identityDoubt(first), a.simulatedRemedy())
	case a.GrantsUnknown:
		return open(LinkGrant, about+"the grants of the key "+a.ARN+" could not be read", listGrants)
	case a.foreign() && a.granted.issuerUnknown():
		return open(LinkGrant, about+"AWS did not return which account issued the grant "+a.granted.names(), listGrants)
	case a.foreign() && a.granted.incomplete():
		return open(LinkGrant, about+"its grant lacks "+strings.Join(a.granted.lacking(), ", ")+", but AWS documents launches only for grants with all operations: "+a.granted.names(), a.createGrant()).note(a.credentials())
	default:
		return open(LinkGrant, about+"a grant with constraints, or for another grantee than the role, may not count: "+a.granted.names(), a.createGrant()).note(a.credentials())
	}
}
