package evaluate

import (
	"cmp"
	"strconv"
	"strings"
)

// caller is a launcher in one account: the role for which EC2 calls KMS.
type caller struct {
	partition string
	account   string
	launcher  *Launcher
	arn       string                // of the role
	name      string                // of the role, without its path
	root      string                // ARN of the account's root
	simulated map[string]Simulation // by Region
	session   string                // ARN of every session of the role, up to the session's name
	// The organization as KMS sees it. Fact: IAM-EVAL-1 to IAM-EVAL-3.
	organization, path value
}

func newCaller(partition string, a *Account, l *Launcher) *caller {
	name := l.Role[strings.LastIndexByte(l.Role, '/')+1:]
	c := &caller{
		partition: partition, account: a.ID, launcher: l, name: name,
		arn:     "arn:" + partition + ":iam::" + a.ID + ":role/" + l.Role,
		root:    "arn:" + partition + ":iam::" + a.ID + ":root",
		session: "arn:" + partition + ":sts::" + a.ID + ":assumed-role/" + name + "/",
	}
	c.organization, c.path = a.organization(), a.path()
	c.simulated = map[string]Simulation{}
	for region, roles := range a.Simulations {
		if s, found := roles[l.Role]; found {
			c.simulated[region] = s
		}
	}
	return c
}

// noOrganization is what [Account.Organization] has for an account in none.
const noOrganization = "none"

// organization is the value of aws:PrincipalOrgID.
func (a *Account) organization() value {
	id, _, _ := strings.Cut(a.Path, "/")
	return knownIfSet(cmp.Or(a.Organization, id))
}

// path is the value of aws:PrincipalOrgPaths.
func (a *Account) path() value {
	if a.Organization == noOrganization {
		return value{}
	}
	return knownIfSet(a.Path)
}

// value is the value of a condition key in a request. Requests of a launch have
// at most one value for each key.
type value struct {
	there answer // no means that the request doesn't have the key
	text  string
}

func present(text string) value { return value{yes, text} }

func knownIfSet(text string) value {
	switch text {
	case "":
		return value{there: unsure}
	case noOrganization:
		return value{}
	default:
		return present(text)
	}
}

// origin is where a request of a launch comes from.
type origin struct {
	via    value  // of kms:ViaService
	region string // of the launch
}

// request is a request to KMS for a launch: CreateGrant if granting is set, or
// else any other operation. Conditions can't tell the others apart. If
// launching is set, it is the launcher's own request to EC2 instead.
type request struct {
	by *caller
	origin
	granting  bool
	launching bool
}

// contextKey is a condition key that is supported.
type contextKey int8

const (
	principalOrgID contextKey = iota + 1
	principalOrgPaths
	principalAccount
	principalARN
	principalType
	principalIsService
	viaService
	grantIsForResource
	grantOperations
	grantDetail // other keys of a request for a grant that EC2 makes
	ofServices  // keys that only a service which calls for itself sends
	requestedRegion
	viaAWSService
)

// contextKeys are the supported condition keys, by their names in lower case. A
// statement with any other condition key is not supported.
var contextKeys = map[string]contextKey{
	"aws:principalorgid":          principalOrgID,
	"aws:principalorgpaths":       principalOrgPaths,
	"aws:principalaccount":        principalAccount,
	"aws:principalarn":            principalARN,
	"aws:principaltype":           principalType,
	"aws:principalisawsservice":   principalIsService,
	"kms:viaservice":              viaService,
	"kms:calleraccount":           principalAccount,
	"kms:grantisforawsresource":   grantIsForResource,
	"kms:grantoperations":         grantOperations,
	"kms:granteeprincipal":        grantDetail,
	"kms:grantconstrainttype":     grantDetail,
	"kms:retiringprincipal":       grantDetail,
	"kms:granteeserviceprincipal": grantDetail,
	"aws:sourceaccount":           ofServices,
	"aws:sourcearn":               ofServices,
	"aws:sourceorgid":             ofServices,
	"aws:sourceorgpaths":          ofServices,
	"aws:principalservicename":    ofServices,
	"aws:requestedregion":         requestedRegion,
	"aws:viaawsservice":           viaAWSService,
}

// isList means that AWS documents the key as multivalued, so that conditions on
// it need a set operator. Fact: IAM-EVAL-2, KMS-COND-5.
func (k contextKey) isList() bool { return k == principalOrgPaths || k == grantOperations }

// value returns the value of the condition key in the request. Fact:
// KMS-COND-1, KMS-COND-3, IAM-EVAL-9 to IAM-EVAL-12, IAM-EVAL-16.
func (r *request) value(k contextKey) value {
	switch k {
	case principalOrgID:
		return r.by.organization
	case principalOrgPaths:
		return r.by.path
	case principalAccount:
		return present(r.by.account)
	case principalARN:
		return present(r.by.arn)
	case principalType:
		return present("AssumedRole")
	case principalIsService:
		return present("false")
	case requestedRegion:
		return present(r.region)
	case viaAWSService:
		return present(strconv.FormatBool(!r.launching))
	case viaService:
		if r.launching {
			return value{}
		}
		return r.via
	case grantIsForResource, grantOperations, grantDetail:
		return r.grantValue(k)
	default:
		return value{}
	}
}

// grantValue returns a value that only a request for a grant has. EC2's grant lets it
// decrypt the data key of the attached volume. Fact: GRANT-32, KMS-COND-6.
func (r *request) grantValue(k contextKey) value {
	switch {
	case !r.granting:
		return value{}
	case k == grantIsForResource:
		return present("true")
	case k == grantOperations:
		return present("Decrypt")
	default:
		return value{there: unsure}
	}
}
