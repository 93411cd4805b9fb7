package authz

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Principal identifies the caller of a request.
type Principal struct {
	// ARN is the ARN of a user, of a role session
	// (arn:aws:sts::111122223333:assumed-role/NAME/SESSION), or of an account's root.
	// It is empty for a service.
	ARN string
	// RoleARN is the ARN of a role session's role, with the role's path.
	RoleARN string
	// Account is the principal's 12-digit account ID.
	Account string
	// Root means that the principal is the root user of its account.
	Root bool
	// Service is the service principal, for example ec2.amazonaws.com, if the caller is
	// an AWS service that acts on its own behalf.
	Service string
}

// describe names the principal in a reason.
func (p Principal) describe() string {
	switch {
	case p.Service != "":
		return p.Service
	case p.RoleARN != "":
		return p.RoleARN
	case p.ARN != "":
		return p.ARN
	default:
		return "account " + p.Account
	}
}

// everyone is "*", which matches all principals.
const everyone = "*"

// principals is the value of a Principal or NotPrincipal element. Federated
// users and canonical user IDs are parsed but never match, because no request
// in the simulator comes from one.
type principals struct {
	aws      []string
	services []string
	others   int
}

func (p principals) empty() bool {
	return len(p.aws) == 0 && len(p.services) == 0 && p.others == 0
}

// match reports whether the caller is among the principals, and whether only its
// account is.
func (p principals) match(caller Principal) (matched, viaAccount bool) {
	for _, s := range p.services {
		if s == caller.Service && caller.Service != "" {
			return true, false
		}
	}
	for _, a := range p.aws {
		switch {
		case a == everyone || names(a, caller):
			return true, false
		case isAccount(a, caller):
			matched, viaAccount = true, !caller.Root
		}
		if matched && !viaAccount {
			return true, false
		}
	}
	return matched, viaAccount
}

// names reports whether the principal a is the caller itself or the role behind
// the caller's session.
func names(a string, caller Principal) bool {
	return a != "" && (a == caller.ARN || a == caller.RoleARN)
}

// isAccount reports whether the principal a is the caller's account, by its ID
// or as the ARN of its root, which mean the same ("AWS JSON policy elements:
// Principal").
func isAccount(a string, caller Principal) bool {
	if caller.Account == "" {
		return false
	}
	if a == caller.Account {
		return true
	}
	partition := partitionOf(caller.ARN)
	if partition == "" {
		partition = partitionOf(caller.RoleARN)
	}
	return a == fmt.Sprintf("arn:%s:iam::%s:root", partition, caller.Account)
}

func partitionOf(arn string) string {
	if segments := strings.SplitN(arn, ":", 3); len(segments) == 3 && segments[0] == "arn" {
		return segments[1]
	}
	return ""
}

// nameEveryLevelOf reports whether NotPrincipal excludes the caller. It does only if it
// names the account and, one by one, the identities below it: the role and its session,
// or the user. With one of them missing, AWS "might" deny ("NotPrincipal"); here it
// does.
func (p principals) nameEveryLevelOf(caller Principal) bool {
	if caller.Service != "" {
		return slices.Contains(p.services, caller.Service)
	}
	if slices.Contains(p.aws, everyone) {
		return true
	}
	account := false
	for _, a := range p.aws {
		account = account || isAccount(a, caller)
	}
	return account &&
		(caller.Root || slices.Contains(p.aws, caller.ARN)) &&
		(caller.RoleARN == "" || slices.Contains(p.aws, caller.RoleARN))
}

// parsePrincipals parses "*" or an object of lists by kind of principal.
func parsePrincipals(raw json.RawMessage) (principals, error) {
	if len(raw) > 0 && raw[0] == '"' {
		s, err := decodeString(raw)
		if err != nil {
			return principals{}, err
		}
		if s != everyone {
			return principals{}, fmt.Errorf(`%q must be "*" or an object such as {"AWS": …}`, s)
		}
		return principals{aws: []string{everyone}}, nil
	}
	elements, err := decodeElements(raw, "AWS", "Service", "Federated", "CanonicalUser")
	if err != nil {
		return principals{}, err
	}
	var p principals
	if list, ok := elements["AWS"]; ok {
		if p.aws, err = decodeOneOrMore(list, parseAWSPrincipal); err != nil {
			return principals{}, fmt.Errorf("in AWS: %w", err)
		}
	}
	if list, ok := elements["Service"]; ok {
		if p.services, err = decodeOneOrMore(list, parseServicePrincipal); err != nil {
			return principals{}, fmt.Errorf("in Service: %w", err)
		}
	}
	for _, kind := range []string{"Federated", "CanonicalUser"} {
		if list, ok := elements[kind]; ok {
			others, err := decodeOneOrMore(list, decodeString)
			if err != nil {
				return principals{}, fmt.Errorf("%s: %w", kind, err)
			}
			p.others += len(others)
		}
	}
	if p.empty() {
		return principals{}, errors.New("it names nobody")
	}
	return p, nil
}

var (
	accountID = regexp.MustCompile(`^[0-9]{12}$`)
	// identityARN is an ARN that AWS accepts as a principal: an account's root, a user,
	// a role or one of its sessions. Groups aren't principals, and parts of an ARN
	// can't be wildcards.
	identityARN = regexp.MustCompile(`^arn:aws[a-z-]*:(iam::[0-9]{12}:(root|(user|role)/[\w+=,.@/-]+)|sts::[0-9]{12}:(assumed-role/[\w+=,.@-]+/[\w+=,.@-]+|federated-user/[\w+=,.@-]+))$`)
	// uniqueID is the unique ID that AWS substitutes for a deleted identity. It
	// matches no principal. Fact: KMS-KEY-21.
	uniqueID = regexp.MustCompile(`^A(ROA|IDA)[A-Z0-9]{12,124}$`)

	serviceForm = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
)

func parseAWSPrincipal(raw json.RawMessage) (string, error) {
	s, err := decodeString(raw)
	if err != nil {
		return "", err
	}
	if s == everyone || accountID.MatchString(s) || identityARN.MatchString(s) || uniqueID.MatchString(s) {
		return s, nil
	}
	return "", fmt.Errorf(`%q must be "*", a 12-digit account id, or the whole ARN, without wildcards, of an account's root, a user, a role or a role session`, s)
}

func parseServicePrincipal(raw json.RawMessage) (string, error) {
	s, err := decodeString(raw)
	if err != nil {
		return "", err
	}
	if !serviceForm.MatchString(s) {
		return "", fmt.Errorf("%q is no service principal, such as ec2.amazonaws.com", s)
	}
	return s, nil
}
