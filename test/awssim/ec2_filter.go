package awssim

import (
	"slices"
	"strings"
)

// filter is an element of a Filter parameter. A resource passes if it has one of the
// values. In a value, * matches any text and ? matches any character.
type filter struct {
	Name  string   `param:",required"`
	Value []string `param:",required"`
}

// filterable is a resource that filters can select.
type filterable interface {
	resourceID() string
}

// filterTable returns a resource's values for each filter. An unknown filter is an
// error, which is stricter than AWS for some operations.
type filterTable[T filterable] map[string]func(*call, T) []string

// maxFilterValues is how many values the filters of a call can have. The plugin assumes
// the same limit. The limit and the error code aren't documented.
const maxFilterValues = 200

// selectBy returns the resources that pass all the filters.
func (table filterTable[T]) selectBy(c *call, filters []filter, all []T) ([]T, *Error) {
	values := 0
	for _, f := range filters {
		values += len(f.Value)
		if table.property(f.Name) == nil {
			return nil, badRequest("InvalidParameterValue", "The filter '%s' is invalid", f.Name)
		}
	}
	if values > maxFilterValues {
		return nil, badRequest("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
	}
	var passed []T
	for _, resource := range all {
		if !slices.ContainsFunc(filters, func(f filter) bool {
			return !slices.ContainsFunc(table.property(f.Name)(c, resource), f.matches)
		}) {
			passed = append(passed, resource)
		}
	}
	return passed, nil
}

// property finds the property that a filter tests. Every resource has tags.
func (table filterTable[T]) property(name string) func(*call, T) []string {
	if key, found := strings.CutPrefix(name, "tag:"); found {
		return func(c *call, resource T) []string {
			value, tagged := c.tags(resource.resourceID())[key]
			return some(tagged, value)
		}
	}
	if name == "tag-key" {
		return func(c *call, resource T) []string {
			var keys []string
			for key := range c.tags(resource.resourceID()) {
				keys = append(keys, key)
			}
			return keys
		}
	}
	return table[name]
}

func (f filter) matches(value string) bool {
	return slices.ContainsFunc(f.Value, func(pattern string) bool { return matchWildcards(pattern, value) })
}

// matchWildcards reports whether the text matches the pattern. A backslash escapes the
// character after it.
func matchWildcards(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	// After a mismatch, the latest star matches one more character.
	star, taken := -1, 0
	i, j := 0, 0
	for j < len(t) {
		literal := i < len(p) && p[i] == '\\' && i+1 < len(p)
		switch {
		case literal && p[i+1] == t[j]:
			i, j = i+2, j+1
		case !literal && i < len(p) && p[i] == '*':
			star, taken = i, j
			i++
		case !literal && i < len(p) && (p[i] == '?' || p[i] == t[j]):
			i, j = i+1, j+1
		case star >= 0:
			taken++
			i, j = star+1, taken
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// some returns the value, if there is one.
func some(there bool, value string) []string {
	if !there {
		return nil
	}
	return []string{value}
}
