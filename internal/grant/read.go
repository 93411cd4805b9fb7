package grant

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

// Clients returns a Region's KMS client.
type Clients func(region string) *kms.Client

// Observed holds the grants of the regional keys.
type Observed struct {
	// byGrantee holds, by Region and grantee, the unconstrained grants.
	byGrantee map[string]map[string][]existing
	// total counts all grants of a Region's key, also those that AWS services
	// created: they share the quota. Fact: GRANT-30.
	total map[string]int
}

type existing struct {
	id         string
	name       string // "" unless it is one of ours
	issuer     string // account ID; "" if KMS didn't return it
	operations []string
	created    time.Time // zero if KMS didn't return it
}

// Total is how many grants the Region's key has, whoever created them.
func (o Observed) Total(region string) int { return o.total[region] }

// Listed is a grant of a regional key.
type Listed struct {
	ID         string
	Name       string // of ours only
	Grantee    string // ARN, or the ID of a role that was deleted
	Issuer     string // ID of the account that created it; "" if KMS didn't return it
	Operations []string
}

// Listed are the Region's grants without constraints, in no order.
func (o Observed) Listed(region string) []Listed {
	var all []Listed
	for grantee, grants := range o.byGrantee[region] {
		for _, g := range grants {
			all = append(all, Listed{g.id, g.name, grantee, g.issuer, g.operations})
		}
	}
	return all
}

// Read reads the grants of the regional keys, one pass over each, in parallel.
// keys maps Regions to the ARNs of existing keys.
func Read(ctx context.Context, clients Clients, keys map[string]string) (Observed, error) {
	same := texts{all: map[string]string{}}
	return fold(fanout.Collect(ctx, regionsOf(keys), func(ctx context.Context, region string) (keyGrants, error) {
		return list(ctx, clients(region), keys[region], region, &same)
	}))
}

// ReadNew is [Read] for keys that may be so new that KMS doesn't show them everywhere.
// A key that isn't visible yet has no grants. [Observed.Read] reports that.
func ReadNew(ctx context.Context, clients Clients, keys map[string]string) (Observed, error) {
	same := texts{all: map[string]string{}}
	return fold(fanout.Collect(ctx, regionsOf(keys), func(ctx context.Context, region string) (keyGrants, error) {
		found, err := list(ctx, clients(region), keys[region], region, &same)
		if awsclient.Is(err, awsclient.CodeNotFound) {
			return keyGrants{}, nil
		}
		return found, err
	}))
}

// Read reports whether the grants of the Region's key were read.
func (o Observed) Read(region string) bool { return o.byGrantee[region] != nil }

func regionsOf(keys map[string]string) []string { return slices.Collect(maps.Keys(keys)) }

// texts makes equal texts one in memory. The grants of a role have the same in each
// Region, and an organization has tens of thousands of grants.
type texts struct {
	mu  sync.Mutex
	all map[string]string
}

func (t *texts) one(text string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, found := t.all[text]; found {
		return known
	}
	t.all[text] = text
	return text
}

// keyGrants are the grants of one key.
type keyGrants struct {
	byGrantee map[string][]existing
	total     int
}

// list reads the grants of one key. An entry without the values that identify a grant
// is an error. If it were ignored, the grant could be created again, or never be
// pruned.
func list(ctx context.Context, client *kms.Client, keyARN, region string, same *texts) (keyGrants, error) {
	found := keyGrants{byGrantee: map[string][]existing{}}
	var operations []string // of the previous grant, because most are the same
	for pages := kms.NewListGrantsPaginator(client, &kms.ListGrantsInput{KeyId: &keyARN, Limit: aws.Int32(100)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return keyGrants{}, awsclient.Wrap(err, "listing the grants of key %s in %s", keyARN, region)
		}
		for _, g := range page.Grants {
			found.total++
			if g.Constraints != nil {
				continue // valid only in some encryption context: AWS services' own
			}
			id, grantee := aws.ToString(g.GrantId), aws.ToString(g.GranteePrincipal)
			if id == "" || grantee == "" || len(g.Operations) == 0 {
				return keyGrants{}, fmt.Errorf("KMS ListGrants for key %s in %s returned a grant without GrantId, GranteePrincipal or Operations. Run again; if it happens again, check endpoint_url and any proxy on the way to AWS", keyARN, region)
			}
			if named := operationNames(g.Operations); !slices.Equal(named, operations) {
				operations = named
			}
			grantee = same.one(grantee)
			found.byGrantee[grantee] = append(found.byGrantee[grantee], existing{
				id: id, name: same.one(ourName(aws.ToString(g.Name), grantee)), issuer: same.one(issuer(aws.ToString(g.IssuingAccount))), operations: operations,
				created: aws.ToTime(g.CreationDate),
			})
		}
	}
	return found, nil
}

func fold(all map[string]keyGrants, err error) (Observed, error) {
	observed := Observed{byGrantee: map[string]map[string][]existing{}, total: map[string]int{}}
	for region, found := range all {
		observed.byGrantee[region], observed.total[region] = found.byGrantee, found.total
	}
	return observed, err
}

// With returns the observation with the Regions of a later read replaced.
func (o Observed) With(later Observed) Observed {
	with := Observed{byGrantee: map[string]map[string][]existing{}, total: map[string]int{}}
	for _, each := range []Observed{o, later} {
		maps.Copy(with.byGrantee, each.byGrantee)
		maps.Copy(with.total, each.total)
	}
	return with
}

func operationNames(operations []types.GrantOperation) []string {
	names := make([]string, len(operations))
	for i, o := range operations {
		names[i] = string(o)
	}
	return names
}

// issuer is the ID of the account that created a grant, from what KMS returns: the
// ARN of the account's root principal. "" if that is neither an ARN nor an ID.
// Fact: GRANT-18.
func issuer(returned string) string {
	if accountID.MatchString(returned) {
		return returned
	}
	account, err := arn.Parse(returned)
	if err != nil || !accountID.MatchString(account.AccountID) {
		return ""
	}
	return account.AccountID
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// find returns the first grant, by ID, that covers what g needs.
func (o Observed) find(g Grant) (existing, bool) {
	var found existing
	for _, e := range o.byGrantee[g.Region][g.Role] {
		if e.covers(g) && (found.id == "" || e.id < found.id) {
			found = e
		}
	}
	return found, found.id != ""
}

// covers reports whether the role's account created the grant, with all operations
// that g needs. Fact: GRANT-9, GRANT-10.
func (e existing) covers(g Grant) bool {
	return e.issuer == g.Account && len(e.lacks(g)) == 0
}

// lacks are the operations of g that the grant doesn't allow.
func (e existing) lacks(g Grant) []string {
	var lacks []string
	for _, operation := range g.Operations {
		if !slices.Contains(e.operations, operation) {
			lacks = append(lacks, operation)
		}
	}
	return lacks
}

// insufficient explains why the role's existing grants don't count. It is "" if
// there are none.
func (o Observed) insufficient(g Grant) string {
	var reasons []string
	for _, e := range o.byGrantee[g.Region][g.Role] {
		switch {
		case e.issuer == "":
			reasons = append(reasons, fmt.Sprintf("KMS didn't return which account created grant %s, so it doesn't count", e.id))
		case e.issuer != g.Account:
			reasons = append(reasons, fmt.Sprintf("grant %s was created by account %s; it doesn't let the role use the key", e.id, e.issuer))
		default:
			reasons = append(reasons, fmt.Sprintf("grant %s doesn't allow %s", e.id, strings.Join(e.lacks(g), ", ")))
		}
	}
	slices.Sort(reasons)
	return strings.Join(reasons, "; ")
}
