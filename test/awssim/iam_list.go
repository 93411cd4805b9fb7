package awssim

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

type listedRole struct {
	Path                     string
	RoleName                 string
	RoleID                   string `xml:"RoleId"`
	Arn                      string
	CreateDate               string
	AssumeRolePolicyDocument string
}

// membersOf is a list in a response of IAM.
type membersOf[T any] struct {
	Members []T `xml:"member"`
}

type listRolesAnswer struct {
	Roles       membersOf[listedRole]
	IsTruncated bool
	Marker      string `xml:",omitempty"`
}

// listRoles lists the roles below a path, service-linked ones included, by name. IAM
// can return fewer than MaxItems; here a page has at most half of them. Fact:
// IAM-SIM-1.
func listRoles(c *call) (any, error) {
	prefix, size := cmp.Or(c.form.Get("PathPrefix"), "/"), 100
	if text := c.form.Get("MaxItems"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return nil, badRequest("ValidationError", "1 validation error detected: Value '%s' at 'maxItems' failed to satisfy constraint", text)
		}
		size = n
	}
	var roles []listedRole
	for _, r := range c.w.accounts[c.caller.Account].roles {
		if strings.HasPrefix(r.path, prefix) {
			roles = append(roles, listedRole{r.path, r.name, r.id, r.arn, r.created.UTC().Format(time.RFC3339), url.QueryEscape(r.trustText)})
		}
	}
	slices.SortFunc(roles, func(a, b listedRole) int { return strings.Compare(a.RoleName, b.RoleName) })
	from := 0
	if marker := c.form.Get("Marker"); marker != "" {
		n, err := strconv.Atoi(marker)
		if err != nil || n < 1 || n > len(roles) {
			return nil, badRequest("InvalidInput", "Invalid Marker.")
		}
		from = n
	}
	to := min(from+max(size/2, 1), len(roles))
	answer := listRolesAnswer{Roles: membersOf[listedRole]{roles[from:to]}}
	if to < len(roles) {
		answer.IsTruncated, answer.Marker = true, strconv.Itoa(to)
	}
	return answer, nil
}
