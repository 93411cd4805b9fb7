package evaluate

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// principals is a Principal or NotPrincipal element. It doesn't contain principals that
// can't be a launcher's role, such as services, users or deleted identities.
type principals struct {
	all      bool
	accounts map[string]bool // IDs, and ARNs of their roots, which mean the same
	roles    map[string]bool // ARNs
	sessions map[string]bool // ARNs up to the session's name
}

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	// nobody are unique IDs, which stand for deleted identities, and principals
	// that are no roles. Fact: KMS-KEY-21.
	nobody = regexp.MustCompile(`^(A(ROA|IDA)[A-Z0-9]+|arn:[a-z-]+:(iam::[0-9]{12}:user|sts::[0-9]{12}:federated-user)/.+)$`)
)

func parsePrincipals(raw json.RawMessage) (principals, error) {
	p := principals{accounts: map[string]bool{}, roles: map[string]bool{}, sessions: map[string]bool{}}
	if string(raw) == `"*"` {
		p.all = true
		return p, nil
	}
	kinds, err := policy.Object(raw)
	if err != nil {
		return p, fmt.Errorf("principal: %w", err)
	}
	for _, kind := range kinds {
		names, err := texts(kind.Value)
		if err != nil {
			return p, fmt.Errorf("principal: %w", err)
		}
		switch kind.Name {
		case "AWS":
			for _, name := range names {
				if err := p.add(name); err != nil {
					return p, err
				}
			}
		case "Service", "Federated", "CanonicalUser": // a role is none of these
		default:
			return p, fmt.Errorf("the kind of principal %q is not supported", kind.Name)
		}
	}
	return p, nil
}

// add adds an AWS principal.
func (p *principals) add(name string) error {
	a, _ := arn.Parse(name) // empty if name is an account ID
	switch {
	case name == "*":
		p.all = true
	case accountForm.MatchString(name):
		p.accounts[name] = true
	case nobody.MatchString(name):
	case hasWildcard(name):
		return fmt.Errorf("the principal %q has a wildcard, which AWS doesn't support there", name)
	case a.Service == "iam" && a.Resource == "root":
		p.accounts[name] = true
	case a.Service == "iam" && strings.HasPrefix(a.Resource, "role/"):
		p.roles[name] = true
	case a.Service == "sts" && strings.HasPrefix(a.Resource, "assumed-role/"):
		p.sessions[name[:strings.LastIndexByte(name, '/')+1]] = true
	default:
		return fmt.Errorf("the principal %q is not supported", name)
	}
	return nil
}

// named reports whether the caller itself is named, and whether its account is. The
// name of a session isn't known before the session exists.
func (p *principals) named(by *caller) (itself, account answer) {
	switch {
	case p.all || p.roles[by.arn]:
		itself = yes
	case p.sessions[by.session]:
		itself = unsure
	}
	return itself, answerOf(p.accountOf(by))
}

func (p *principals) accountOf(by *caller) bool { return p.accounts[by.account] || p.accounts[by.root] }

// exempts reports whether a NotPrincipal element leaves the caller out: only if it
// names the account, the role and the session. Fact: IAM-EVAL-7.
func (p *principals) exempts(by *caller) answer {
	switch {
	case p.all:
		return yes
	case p.accountOf(by) && p.roles[by.arn] && p.sessions[by.session]:
		return unsure
	default:
		return no
	}
}
