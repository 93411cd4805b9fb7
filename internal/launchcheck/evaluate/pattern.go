package evaluate

import "strings"

// matches reports whether the text matches a pattern in which * stands for any
// characters and ? for one. It goes back to the last * only: no pattern takes
// more than len(pattern)×len(text) steps.
func matches(pattern, text string) bool {
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

// segments is the number of those that the colons of an ARN make. The last one
// may have colons itself.
const segments = 6

// matchesARN compares segment by segment: a wildcard does not reach over a
// colon, but for those within the last segment.
func matchesARN(pattern, arn string) bool {
	wanted, got := strings.SplitN(pattern, ":", segments), strings.SplitN(arn, ":", segments)
	if len(wanted) != segments || len(got) != segments {
		return false
	}
	for i := range wanted {
		if !matches(wanted[i], got[i]) {
			return false
		}
	}
	return true
}

// isARN reports whether the text, wildcards and all, has the form of an ARN.
func isARN(text string) bool {
	return strings.HasPrefix(text, "arn:") && strings.Count(text, ":") >= segments-1
}

func hasWildcard(text string) bool { return strings.ContainsAny(text, "*?") }

// arn is an ARN taken apart.
type arn struct{ partition, service, region, account, resource string }

// parseARN returns the zero arn for what is none.
func parseARN(text string) arn {
	s := strings.SplitN(text, ":", segments)
	if len(s) != segments || s[0] != "arn" {
		return arn{}
	}
	return arn{s[1], s[2], s[3], s[4], s[5]}
}
