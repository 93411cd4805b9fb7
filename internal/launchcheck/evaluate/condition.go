package evaluate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// condition is one condition key with one operator. All conditions of a
// statement must hold.
type condition struct {
	text string // operator and key, as they are written
	odd  string // why it is not supported, empty if it is
	key  contextKey
	comparison

	forAny, forAll, ifExists bool

	wanted   []string        // the policy's values, as they are written
	exact    map[string]bool // those without wildcards; in lower case where case does not matter
	patterns []string        // those with wildcards
}

// comparison is an operator without its set operator and IfExists.
type comparison struct {
	null      bool // Null tests whether the request has the key
	negated   bool // holds if no value matches
	folded    bool // letter case does not matter
	wildcards bool
	arns      bool
}

// comparisons that are supported. ArnEquals and ArnLike are the same.
var comparisons = map[string]comparison{
	"StringEquals":              {},
	"StringNotEquals":           {negated: true},
	"StringEqualsIgnoreCase":    {folded: true},
	"StringNotEqualsIgnoreCase": {folded: true, negated: true},
	"StringLike":                {wildcards: true},
	"StringNotLike":             {wildcards: true, negated: true},
	"ArnEquals":                 {arns: true, wildcards: true},
	"ArnLike":                   {arns: true, wildcards: true},
	"ArnNotEquals":              {arns: true, wildcards: true, negated: true},
	"ArnNotLike":                {arns: true, wildcards: true, negated: true},
	"Bool":                      {folded: true},
	"Null":                      {null: true, folded: true},
}

// parseConditions reads a Condition element. variables says that the language
// has policy variables.
func parseConditions(raw json.RawMessage, variables bool) ([]condition, error) {
	operators, err := policy.Object(raw)
	if err != nil {
		return nil, err
	}
	var conditions []condition
	for _, operator := range operators {
		keys, err := policy.Object(operator.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", operator.Name, err)
		}
		if len(keys) == 0 { // whether AWS takes it for no condition is not documented
			return nil, fmt.Errorf("%s has no condition key", operator.Name)
		}
		for _, key := range keys {
			c := condition{text: operator.Name + " " + key.Name}
			if err := c.parse(operator.Name, key, variables); err != nil {
				c.odd = err.Error()
			}
			conditions = append(conditions, c)
		}
	}
	return conditions, nil
}

// parse reads one condition and records which part of it is not supported.
func (c *condition) parse(operator string, key policy.Member, variables bool) error {
	var err error
	if c.wanted, err = texts(key.Value); err != nil {
		return err
	}
	base, anyOf := strings.CutPrefix(operator, "ForAnyValue:")
	base, allOf := strings.CutPrefix(base, "ForAllValues:")
	if anyOf && allOf {
		return fmt.Errorf("the operator %s is not supported", operator)
	}
	c.forAny, c.forAll = anyOf, allOf
	base, c.ifExists = strings.CutSuffix(base, "IfExists")
	var found bool
	if c.comparison, found = comparisons[base]; !found {
		return fmt.Errorf("the operator %s is not supported", operator)
	}
	if c.key, found = contextKeys[strings.ToLower(key.Name)]; !found {
		return fmt.Errorf("the condition key %s is not supported", key.Name)
	}
	switch {
	case c.null && (base != operator || len(c.wanted) != 1):
		return fmt.Errorf("%s doesn't support set operators, IfExists or several values", base)
	case c.key.isList() && !c.null && !c.forAny && !c.forAll:
		return fmt.Errorf("%s is a list: without ForAnyValue or ForAllValues its meaning is not documented", key.Name)
	}
	return c.parseValues(base, variables)
}

func (c *condition) parseValues(base string, variables bool) error {
	c.exact = map[string]bool{}
	for _, w := range c.wanted {
		switch {
		case variables && strings.Contains(w, "${"):
			return fmt.Errorf("the policy variable in %q is not supported", w)
		case c.arns && !isARN(w):
			return fmt.Errorf("%q is not a valid ARN", w)
		case base == "Bool" || base == "Null":
			if b := strings.ToLower(w); b != "true" && b != "false" {
				return fmt.Errorf("%q is neither true nor false", w)
			}
		}
		if c.wildcards && hasWildcard(w) {
			c.patterns = append(c.patterns, w)
			continue
		}
		if c.folded {
			w = strings.ToLower(w)
		}
		c.exact[w] = true
	}
	return nil
}

// holds reports whether the request meets the condition.
func (c *condition) holds(r *request) answer {
	if c.odd != "" {
		return unsure
	}
	got := r.value(c.key)
	switch {
	case got.there == unsure:
		return unsure
	case c.null:
		return answerOf(c.exact["true"] == (got.there == no))
	case got.there == yes:
		return answerOf(c.matches(got.text) != c.negated)
	case c.ifExists && (c.forAny || c.forAll): // AWS doesn't document their combination
		return unsure
	case c.ifExists || c.forAll:
		return yes
	default: // except with ForAnyValue, a negated operator matches an absent key
		return answerOf(c.negated && !c.forAny)
	}
}

func (c *condition) matches(got string) bool {
	if c.folded {
		got = strings.ToLower(got)
	}
	return c.exact[got] || slices.ContainsFunc(c.patterns, func(pattern string) bool {
		if c.arns {
			return matchesARN(pattern, got)
		}
		return policy.Match(pattern, got)
	})
}

// lacks explains why the condition doesn't hold or isn't supported.
func (c *condition) lacks(r *request) string {
	if c.odd != "" {
		return c.odd
	}
	wants := fmt.Sprintf("its condition %s requires %s, but ", c.text, someOf(c.wanted, "or"))
	switch got := r.value(c.key); {
	case got.there == yes:
		return wants + "the request has " + got.text
	case got.there == no && c.ifExists:
		return wants + "the request has no such key, and AWS doesn't document the operator for this case"
	case got.there == no:
		return wants + "the request has no such key"
	case c.key == viaService:
		return wants + "the name of EC2 in calls to KMS is not confirmed for the partition " + r.by.partition
	default:
		return wants + "the request's value is not known"
	}
}

// someOf lists the first few of many: a, b, c and 5 more.
func someOf(items []string, word string) string {
	const few = 3
	switch n := len(items); {
	case n > few+1:
		return fmt.Sprintf("%s %s %d more", strings.Join(items[:few], ", "), word, n-few)
	case n > 1:
		return strings.Join(items[:n-1], ", ") + " " + word + " " + items[n-1]
	default:
		return strings.Join(items, "")
	}
}
