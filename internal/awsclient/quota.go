package awsclient

import (
	"context"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go/middleware"

	"github.com/orgami/packer-plugin-orgami/internal/pace"
)

// quotas are kept just below AWS's, for the operations of which a publication
// makes many calls. ReplicateKey counts in the primary's region. Fact: 4, 7.
var quotas = map[string]pace.Quota{
	"CreateGrant":  {PerSecond: 49, Burst: 10},
	"RevokeGrant":  {PerSecond: 29, Burst: 10},
	"ReplicateKey": {PerSecond: 4.8, Burst: 4},
	"AssumeRole":   {PerSecond: 90, Burst: 10},
}

// keeper keeps the calls of one caller below the quotas.
type keeper struct {
	mu      sync.Mutex
	account string // the caller's, "" until it is known
	folder  string // where processes share quotas, "" if they do not
	paces   map[string]*pace.Pace
}

// of returns the pace of an operation in a region. The endpoint tells AWS from
// what plays it.
func (k *keeper) of(operation, region, endpoint string) *pace.Pace {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := fmt.Sprintf("%s-%s-%s", k.account, region, operation)
	if endpoint != "" {
		sum := fnv.New32a()
		_, _ = sum.Write([]byte(endpoint))
		name += fmt.Sprintf("-%x", sum.Sum32())
	}
	if k.paces[name] == nil {
		if k.folder == "" || k.account == "" {
			k.paces[name] = pace.New(quotas[operation])
		} else {
			k.paces[name] = pace.Shared(quotas[operation], filepath.Join(k.folder, name))
		}
	}
	return k.paces[name]
}

func (k *keeper) setAccount(account string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.account = account
}

// ShareQuotas makes the clients keep AWS's request quotas together with all
// processes on the machine that act for the same account and name the same
// folder. Otherwise each keeps them by itself.
func (c *Clients) ShareQuotas(folder string) {
	c.quotas.mu.Lock()
	defer c.quotas.mu.Unlock()
	c.quotas.folder = folder
}

const paceID = "OrgamiPace"

// keep lets each attempt of a call wait for its turn, and learns from the
// answers.
func (k *keeper) keep(endpoint string) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		operation := stack.ID()
		if _, limited := quotas[operation]; !limited {
			return nil
		}
		// Within a retry: an attempt is what counts.
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc(paceID, func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			turn := k.of(operation, awsmiddleware.GetRegion(ctx), endpoint)
			if err := turn.Wait(ctx); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, &aws.RequestCanceledError{Err: err}
			}
			out, metadata, err := next.HandleFinalize(ctx, in)
			if Throttled(err) {
				turn.Throttled()
			}
			return out, metadata, err
		}), "Retry", middleware.After)
	}
}

// Throttled reports whether AWS answered that there were too many calls.
func Throttled(err error) bool {
	_, throttled := retry.DefaultThrottleErrorCodes[Code(err)]
	return throttled
}

// WithCredentials makes one call with other credentials, those of a role in another
// account: it counts there, not in the client's own account. Fact: 4.
func WithCredentials(credentials aws.CredentialsProvider) func(*kms.Options) {
	return func(o *kms.Options) {
		o.Credentials = credentials
		o.APIOptions = append(slices.Clip(o.APIOptions), func(stack *middleware.Stack) error {
			_, _ = stack.Finalize.Remove(paceID) // it is there for limited operations only
			return nil
		})
	}
}
