package evaluate

import "fmt"

// ruling is the decision of one document about a caller's operations.
type ruling struct {
	denied    decided
	allowed   decided // to the caller itself
	delegated decided // to its account, whose policies must allow the same
}

// rule returns the document's decision about the caller's requests to KMS.
func (d *document) rule(by *caller, from origin) ruling {
	var all ruling
	for i := range d.statements {
		s := &d.statements[i]
		if !s.onKey || s.actions == none {
			continue
		}
		itself, account := s.about(by)
		if itself == no && account == no {
			continue
		}
		for _, granting := range [...]bool{false, true} {
			asked := s.actions & operationsOf(granting)
			if asked == none {
				continue
			}
			met := s.meets(&request{by: by, origin: from, granting: granting})
			if s.deny {
				all.denied.add(asked, min(max(itself, account), met))
			}
			if s.allow {
				all.allowed.add(asked, min(itself, met))
				all.delegated.add(asked, min(account, met))
			}
		}
	}
	return all
}

// operationsOf returns the operations whose requests have the condition keys of
// grant requests, or those whose requests don't.
func operationsOf(granting bool) operations {
	if granting {
		return createGrant
	}
	return allNeeded &^ createGrant
}

// whoSays names, in order, the statements that allow or deny the operations.
func (d *document) whoSays(deny bool, o operations, by *caller, from origin) string {
	var names []string
	for i := range d.statements {
		s := &d.statements[i]
		if deny && !s.deny || !deny && !s.allow {
			continue
		}
		one := document{statements: d.statements[i : i+1]}
		ruling := one.rule(by, from)
		said := ruling.allowed.or(ruling.delegated)
		if deny {
			said = ruling.denied
		}
		if said.yes&o != none {
			names = append(names, s.name)
		}
	}
	return someOf(names, "and")
}

// doubt explains why it is unknown whether the document allows or denies the
// operation.
func (d *document) doubt(o operations, by *caller, from origin) string {
	for i := range d.statements {
		s := &d.statements[i]
		one := document{statements: d.statements[i : i+1]}
		ruling := one.rule(by, from)
		if ruling.denied.of(o) != unsure && ruling.allowed.of(o) != unsure && ruling.delegated.of(o) != unsure {
			continue
		}
		switch {
		case s.odd != "" && s.name == d.name:
			return s.odd
		case s.odd != "":
			return fmt.Sprintf("%s is not supported: %s", s.name, s.odd)
		}
		r := &request{by: by, origin: from, granting: o == createGrant}
		for j := range s.conditions {
			if s.conditions[j].holds(r) == unsure {
				return s.name + ": " + s.conditions[j].lacks(r)
			}
		}
		return s.name + " names a session of the role, whose name isn't known before the launch"
	}
	return "nothing that is known"
}

// closest names the statement that comes closest to allowing the operation, and
// what the statement lacks. It is empty if no statement is about the operation.
func (d *document) closest(o operations, by *caller, from origin) string {
	best, lacks := 0, ""
	for i := range d.statements {
		s := &d.statements[i]
		if !s.allow || s.actions&o == none {
			continue
		}
		how, why := 1, "it does not name the role or its account"
		itself, account := s.about(by)
		named := itself != no || account != no
		switch {
		case named && !s.onKey:
			how, why = 2, "it does not apply to this key"
		case named:
			how, why = 3, s.unmet(&request{by: by, origin: from, granting: o == createGrant})
		}
		if how > best {
			best, lacks = how, fmt.Sprintf("%s allows %s, but %s", s.name, o.actions(), why)
		}
	}
	return lacks
}

// unmet names the condition that the request doesn't meet.
func (s *statement) unmet(r *request) string {
	for i := range s.conditions {
		if s.conditions[i].holds(r) == no {
			return s.conditions[i].lacks(r)
		}
	}
	return "not so"
}
