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
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go/middleware"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient/limiter"
)

// quotas stay below those of AWS, for the operations that a publication calls often.
// ReplicateKey counts in the primary key's Region. AssumeRole shares STS's 600 a second
// with other operations, so it gets only a part of them. Fact: QUOTA-1, QUOTA-5, STS-3.
var quotas = map[string]limiter.Quota{
	"CreateGrant":  {PerSecond: 49, Burst: 10},
	"RevokeGrant":  {PerSecond: 49, Burst: 10},
	"ReplicateKey": {PerSecond: 4.8, Burst: 4},
	"AssumeRole":   {PerSecond: 98, Burst: 10},
}

// limiters holds a limiter for each account, Region and operation. The clients
// of all roles share it.
type limiters struct {
	mu     sync.Mutex
	all    map[string]*limiter.Limiter
	folder string // where processes share limiters, "" if they don't
	warn   func(message string)
	once   sync.Once
}

// of returns the limiter of an operation. A non-empty endpoint stands for something
// other than AWS.
func (l *limiters) of(account, region, operation, endpoint string) *limiter.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := fmt.Sprintf("%s-%s-%s", account, region, operation)
	if endpoint != "" {
		sum := fnv.New32a()
		_, _ = sum.Write([]byte(endpoint))
		name += fmt.Sprintf("-%x", sum.Sum32())
	}
	if l.all[name] == nil {
		if l.folder == "" || account == "" {
			l.all[name] = limiter.New(quotas[operation])
		} else {
			l.all[name] = limiter.Shared(quotas[operation], filepath.Join(l.folder, name), l.reportFile)
		}
	}
	return l.all[name]
}

// ShareQuotas makes the clients share AWS's request quotas with all processes
// on the machine that use the same folder and the same account. By default,
// each process limits its calls alone. The clients also do that while the folder
// can't be used, after a warning.
func (c *Clients) ShareQuotas(folder string) {
	c.limiters.mu.Lock()
	defer c.limiters.mu.Unlock()
	c.limiters.folder = folder
}

// reportFile warns about the first file that can't be used. The others are in the
// same folder.
func (l *limiters) reportFile(err error) {
	l.once.Do(func() {
		l.mu.Lock()
		warn := l.warn
		l.mu.Unlock()
		warn(fmt.Sprintf("Can't share AWS request quotas with other builds on this machine: %v. Builds that run at the same time may be throttled.", err))
	})
}

const limiterID = "OrgamiLimiter"

// limit makes each attempt of a call wait for its limiter, which slows down when
// AWS throttles the attempt.
//
// The SDK's adaptive retry mode doesn't replace this: it starts without a limit,
// it has one rate for all operations and accounts of a client, and other
// processes don't see it.
func (c *Clients) limit(stack *middleware.Stack) error {
	operation := stack.ID()
	if _, limited := quotas[operation]; !limited {
		return nil
	}
	endpoint := aws.ToString(c.config.BaseEndpoint)
	// AWS counts attempts, hence after the SDK's retry step.
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc(limiterID, func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		account, ok := middleware.GetStackValue(ctx, accountKey{}).(string)
		if !ok {
			account = c.currentAccount()
		}
		l := c.limiters.of(account, awsmiddleware.GetRegion(ctx), operation, endpoint)
		if err := l.Wait(ctx); err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, &aws.RequestCanceledError{Err: err}
		}
		out, metadata, err := next.HandleFinalize(ctx, in)
		if IsThrottled(err) {
			l.Throttled(ctx)
		}
		return out, metadata, err
	}), "Retry", middleware.After)
}

// accountKey is the stack value that names the account whose credentials sign
// the call, if they aren't the client's.
type accountKey struct{}

// WithCredentials returns an option that signs one call with other credentials.
// The call then counts toward the quotas of the role's account when the
// credentials come from [Clients.Credentials]. Fact: QUOTA-6.
func WithCredentials(credentials aws.CredentialsProvider) func(*kms.Options) {
	var account string
	if role, ok := credentials.(roleCredentials); ok {
		account = role.account
	}
	return func(o *kms.Options) {
		o.Credentials = credentials
		o.APIOptions = append(slices.Clip(o.APIOptions), func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("OrgamiAccount", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				return next.HandleInitialize(middleware.WithStackValue(ctx, accountKey{}, account), in)
			}), middleware.Before)
		})
	}
}
