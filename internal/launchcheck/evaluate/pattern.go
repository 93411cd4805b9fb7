package evaluate

import (
	"errors"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// segments is the number of those that the colons of an ARN make. The last one
// may have colons itself.
const segments = 6

// matchesARN compares segment by segment. A wildcard doesn't match a colon,
// except within the last segment.
func matchesARN(pattern, arn string) bool {
	wanted, got := strings.SplitN(pattern, ":", segments), strings.SplitN(arn, ":", segments)
	if len(wanted) != segments || len(got) != segments {
		return false
	}
	for i := range wanted {
		if !policy.Match(wanted[i], got[i]) {
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

// texts reads one text or a list of them. AWS does not document what an empty
// list means.
func texts(raw []byte) ([]string, error) {
	all, err := policy.Texts(raw)
	if err == nil && len(all) == 0 {
		return nil, errors.New("a list is empty")
	}
	return all, err
}
