package authz

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// condition is one condition key under one operator. All conditions of a
// statement must hold.
type condition struct {
	operator  string // as written: ForAnyValue:StringLike
	key       string // as written: aws:PrincipalOrgID
	set       setOperator
	ifExists  bool
	test      operator
	wanted    []string // the policy's values, as written
	values    []comparison
	variables []string // policy variables without a default value
}

// setOperator says how a condition takes a key with several values
// ("Multivalued context keys").
type setOperator int

const (
	single setOperator = iota
	forAnyValue
	forAllValues
)

// multivalued are the keys that AWS documents as holding a list, in lower case. They
// must be tested with a set operator even if the list has one value.
var multivalued = map[string]bool{
	"aws:calledvia":             true,
	"aws:principalorgpaths":     true,
	"aws:resourceorgpaths":      true,
	"aws:sourceorgpaths":        true,
	"aws:tagkeys":               true,
	"kms:encryptioncontextkeys": true,
	"kms:grantoperations":       true,
	"kms:resourcealiases":       true,
}

// holds reports whether the request meets the condition, in a statement of the
// given effect.
func (c *condition) holds(context requestContext, effect Effect) bool {
	key := strings.ToLower(c.key)
	got, present := context[key]
	if c.test.null {
		return c.values[0](boolText(!present), context)
	}
	if !present {
		return c.holdsWithoutKey()
	}
	switch c.set {
	case forAnyValue:
		for _, value := range got {
			if c.meets(value, context) {
				return true
			}
		}
		return false
	case forAllValues:
		for _, value := range got {
			if !c.meets(value, context) {
				return false
			}
		}
		return true
	default:
		if len(got) > 1 || multivalued[key] {
			// AWS documents no meaning. Choose the result that grants least.
			return effect == Deny
		}
		return c.meets(got[0], context)
	}
}

// holdsWithoutKey reports whether the condition holds if the request lacks the key
// ("Condition operators": "if the key that you specify … is not present …").
func (c *condition) holdsWithoutKey() bool {
	switch {
	case c.ifExists || c.set == forAllValues:
		return true
	case c.set == forAnyValue:
		return false
	default:
		return c.test.negated
	}
}

// meets tests one value of the request: against any of the policy's values or,
// for a negated operator, against none of them.
func (c *condition) meets(got string, context requestContext) bool {
	for _, equals := range c.values {
		if equals(got, context) {
			return !c.test.negated
		}
	}
	return c.test.negated
}

// describe returns why the condition does not hold.
func (c *condition) describe(context requestContext) string {
	got := "nothing"
	if values := context[strings.ToLower(c.key)]; len(values) > 0 {
		got = strings.Join(values, ", ")
	}
	return fmt.Sprintf("its condition %s %s wants %s, and the request has %s", c.operator, c.key, strings.Join(c.wanted, " or "), got)
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// parseConditions parses the Condition element: operators, each with keys, each
// with values.
func parseConditions(raw json.RawMessage, l language) ([]condition, error) {
	if raw == nil {
		return nil, nil
	}
	operators, err := decodeObject(raw)
	if err != nil {
		return nil, err
	}
	var conditions []condition
	for _, o := range operators {
		parsed, err := parseOperatorBlock(o, l)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.name, err)
		}
		conditions = append(conditions, parsed...)
	}
	return conditions, nil
}

func parseOperatorBlock(o member, l language) ([]condition, error) {
	template, err := parseOperator(o.name)
	if err != nil {
		return nil, err
	}
	keys, err := decodeObject(o.value)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no condition key")
	}
	var conditions []condition
	seen := map[string]bool{}
	for _, k := range keys {
		if err := checkConditionKey(k.name); err != nil {
			return nil, err
		}
		folded := strings.ToLower(k.name)
		if seen[folded] {
			return nil, fmt.Errorf("duplicate key %q: letter case does not distinguish condition keys", k.name)
		}
		seen[folded] = true
		c := template
		c.key = k.name
		if err := c.parseValues(k.value, l); err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
		conditions = append(conditions, c)
	}
	return conditions, nil
}

// parseOperator splits an operator's name into an optional set operator, the
// comparison, and an optional IfExists.
func parseOperator(name string) (condition, error) {
	c := condition{operator: name}
	base := name
	if rest, ok := strings.CutPrefix(base, "ForAnyValue:"); ok {
		c.set, base = forAnyValue, rest
	} else if rest, ok := strings.CutPrefix(base, "ForAllValues:"); ok {
		c.set, base = forAllValues, rest
	}
	base, c.ifExists = strings.CutSuffix(base, "IfExists")
	test, ok := operators[base]
	if !ok {
		return c, errors.New("unknown condition operator")
	}
	if test.null && base != name {
		return c, errors.New("the Null operator takes no set operator and no IfExists")
	}
	c.test = test
	return c, nil
}

func (c *condition) parseValues(raw json.RawMessage, l language) error {
	if !c.test.variables {
		l = language2008
	}
	wanted, err := decodeOneOrMore(raw, decodeScalar)
	if err != nil {
		return err
	}
	if c.test.null && len(wanted) != 1 {
		return errors.New("the Null operator takes one value")
	}
	c.wanted = wanted
	for _, w := range wanted {
		p, err := compilePattern(w, l, c.test.wildcards)
		if err != nil {
			return err
		}
		equals, err := c.test.compile(w, p)
		if err != nil {
			return err
		}
		c.values = append(c.values, equals)
		c.variables = append(c.variables, p.variables()...)
	}
	return nil
}

// conditionKeyForm matches a service prefix and the key's name. A tag key follows a
// slash and can have nearly any character.
var conditionKeyForm = regexp.MustCompile(`^[A-Za-z0-9-]+:[^:/\s]+(/.+)?$`)

func checkConditionKey(key string) error {
	if !conditionKeyForm.MatchString(key) {
		return fmt.Errorf("condition key %q must have the form service:name, as aws:PrincipalOrgID", key)
	}
	return nil
}
