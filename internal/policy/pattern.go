package policy

import "strings"

// Match reports whether the pattern matches the whole text. * stands for any
// characters and ? for one. Match backtracks only to the last *, so that no
// pattern takes more than len(pattern)×len(text) steps.
func Match(pattern, text string) bool {
	p, star, resume := 0, -1, 0
	for t := 0; t < len(text); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			resume++
			p, t = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
