package authz

import (
	"maps"
	"slices"
	"strings"
)

// ContextKeys returns the condition keys, as they are written, of all statements that
// cover the action, on any resource.
func (p *Policy) ContextKeys(action string) []string {
	e := newEvaluation(Request{Action: action})
	keys := map[string]string{} // by their names in lower case
	for i := range p.statements {
		s := &p.statements[i]
		if s.matchesAction(e) == s.notAction {
			continue
		}
		for _, c := range s.conditions {
			keys[strings.ToLower(c.key)] = c.key
		}
		for _, name := range s.variables {
			keys[name] = name
		}
	}
	return slices.Sorted(maps.Values(keys))
}
