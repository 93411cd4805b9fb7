package evaluate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// scpLinks reports whether the service control policies of the account let the caller
// launch, and use the keys. Each level must allow it, and no policy may deny it. They
// don't affect service-linked roles or the management account. Fact: IAM-EVAL-13.
func (e *evaluation) scpLinks(a *Account, by *caller) []Link {
	switch {
	case a.Organization == noOrganization, a.ID == e.management, by.launcher.ServiceLinked:
		return nil
	case a.SCPs == nil:
		e.assume(assumedControls)
		return []Link{holds(LinkSCP, "the service control policies of the account "+a.ID+" are assumed to allow it").assumed()}
	case len(a.SCPs) == 0:
		return nil
	}
	found := holds(LinkSCP, "the service control policies of the account "+a.ID+" allow it")
	for _, ask := range e.controlled(a, by) {
		l := ask
		if e.management == "" && l.Outcome == Fails {
			l.Outcome, l.Because = Inconclusive, l.Because+", unless it is the management account"
		}
		if l.Outcome == Fails || l.Outcome == Inconclusive && found.Outcome == Launches {
			found = l
		}
		if found.Outcome == Fails {
			break
		}
	}
	return []Link{found}
}

// controlled returns the policies' decisions about the launch and each key.
func (e *evaluation) controlled(a *Account, by *caller) []Link {
	from := e.from
	links := []Link{a.controlLink("ec2:RunInstances in "+e.region.Name, func(p ControlPolicy) (denied, allowed answer) {
		d := e.control(p, "")
		return d.launching(e.region, by, from)
	})}
	keys := e.keyARNs(a)
	for _, key := range keys {
		links = append(links, a.controlLink("the use of the key "+key, func(p ControlPolicy) (denied, allowed answer) {
			said := e.control(p, key).rule(by, from)
			return said.denied.anyOf(), said.allowed.allOf()
		}))
	}
	return links
}

// keyARNs are the keys of the snapshots and, in an account that doesn't own the image,
// of the volumes. A key of the account stands for aws/ebs and for an unknown key.
func (e *evaluation) keyARNs(a *Account) []string {
	var arns []string
	for _, k := range e.keys {
		if k.account != "" {
			arns = append(arns, k.ARN)
		}
	}
	if len(e.keys) == 0 || a.ID == e.region.Image.Owner {
		return arns
	}
	if key := a.DefaultEBSKeys[e.region.Name]; isARN(key.ARN) { // EC2 names aws/ebs by its alias
		return append(arns, key.ARN)
	}
	return append(arns, policy.KeyARN(e.partition, e.region.Name, a.ID, "00000000-0000-0000-0000-000000000000"))
}

// control returns the parts of a parsed policy that are about the key.
func (e *evaluation) control(p ControlPolicy, keyARN string) *document {
	id := keyARN + "\n" + p.Name + "\n" + string(p.Document)
	if e.controls[id] == nil {
		e.controls[id] = parseIdentityPolicy("the service control policy "+p.Name, p.Document, keyARN)
	}
	return e.controls[id]
}

// controlLink combines the decisions of the policies at all levels.
func (a *Account) controlLink(what string, says func(ControlPolicy) (denied, allowed answer)) Link {
	remedy := fmt.Sprintf("aws organizations list-policies-for-target --target-id %s --filter SERVICE_CONTROL_POLICY", a.ID)
	const note = "with credentials of the organization's management account"
	denied, allowed := no, yes
	var deniers, doubts []string
	for _, level := range a.SCPs {
		here := no
		for _, p := range level {
			d, l := says(p)
			denied, here = max(denied, d), max(here, l)
			switch {
			case d == yes:
				deniers = append(deniers, p.Name)
			case d == unsure || l == unsure:
				doubts = append(doubts, p.Name)
			}
		}
		allowed = min(allowed, here)
	}
	deniers, doubts = unique(deniers), unique(doubts)
	switch {
	case denied == yes:
		return breaks(LinkSCP, fmt.Sprintf("the service control policy %s denies %s in the account %s", someOf(deniers, "and"), what, a.ID), remedy).note(note)
	case allowed == no:
		return breaks(LinkSCP, fmt.Sprintf("at one level, no service control policy that applies to the account %s allows %s", a.ID, what), remedy).note(note)
	case denied == unsure || allowed == unsure:
		return open(LinkSCP, fmt.Sprintf("whether the service control policy %s lets the account %s do %s is not known", someOf(doubts, "or"), a.ID, what), remedy).note(note)
	default:
		return holds(LinkSCP, "the service control policies of the account "+a.ID+" allow "+what)
	}
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// anyOf returns the greatest answer of any operation.
func (d decided) anyOf() answer {
	switch {
	case d.yes != none:
		return yes
	case d.may != none:
		return unsure
	default:
		return no
	}
}

// allOf returns the least answer of any operation.
func (d decided) allOf() answer {
	switch {
	case d.yes == allNeeded:
		return yes
	case d.may == allNeeded:
		return unsure
	default:
		return no
	}
}

// launching reports whether the document denies, and whether it allows, the caller's
// RunInstances with the Region's image.
func (d *document) launching(r *Region, by *caller, from origin) (denied, allowed answer) {
	for i := range d.statements {
		s := &d.statements[i]
		if !s.runs {
			continue
		}
		met := s.meets(&request{by: by, origin: from, launching: true})
		some, all := s.launchResources(r, by)
		if s.deny {
			denied = max(denied, min(met, some))
		}
		if s.allow {
			allowed = max(allowed, min(met, all))
		}
	}
	return denied, allowed
}

// launchResources reports whether the statement is about any, and whether it is about
// all, of the resources of RunInstances. For most of these, only the type is known.
func (s *statement) launchResources(r *Region, by *caller) (some, all answer) {
	ec2 := "arn:" + by.partition + ":ec2:" + r.Name + ":"
	known := []string{ec2 + ":image/" + r.Image.ID, ec2 + by.account + ":instance/*", ec2 + by.account + ":volume/*"}
	if slices.Contains(s.resources, "*") || s.resources == nil {
		return s.unlessNot(yes, yes)
	}
	some, matched := no, 0
	for _, resource := range known {
		if slices.ContainsFunc(s.resources, func(pattern string) bool { return matchesARN(pattern, resource) }) {
			some = yes
			matched++
		}
	}
	all = no
	if matched == len(known) {
		all = unsure
	}
	if some == no && slices.ContainsFunc(s.resources, mayBeLaunched) {
		some = unsure
	}
	return s.unlessNot(some, all)
}

// unlessNot turns the answers around for a NotResource element: it is about some
// resource unless its list has all of them, and about all unless it has any.
func (s *statement) unlessNot(some, all answer) (answer, answer) {
	if !s.butResources {
		return some, all
	}
	return yes - all, yes - some
}

// mayBeLaunched reports whether the pattern may match a resource of a launch whose
// ID isn't known, such as a subnet.
func mayBeLaunched(pattern string) bool {
	parts := strings.SplitN(pattern, ":", segments)
	if len(parts) != segments || !policy.Match(parts[2], "ec2") {
		return false
	}
	kind, _, _ := strings.Cut(parts[5], "/")
	return kind != "image"
}
