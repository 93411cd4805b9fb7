// Package awsclient creates AWS clients. It loads configuration and credentials
// from the AWS SDK's default chain, creates one client per service and Region,
// and assumes roles in other accounts.
//
// All clients share a bounded number of connections. Every call has a response time-out,
// stays below AWS's request quotas, is retried after throttling and lost responses, and
// fails when a listing repeats a page. The package's errors contain what was being done,
// what AWS returned, and what to do.
package awsclient

import (
	"cmp"
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/ram"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient/limiter"
)

// Config defines how to reach AWS. The zero value uses the SDK's default chain:
// environment, shared configuration, container and instance roles.
type Config struct {
	// Profile of the shared configuration files.
	Profile string
	// Region of calls that belong to no Region of the publication (STS).
	// Defaults to that of the default chain, then to FallbackRegion.
	Region string
	// FallbackRegion is used if neither Region nor the default chain sets one.
	FallbackRegion string
	// EndpointURL replaces the endpoints of all services.
	EndpointURL string
	AssumeRole  *AssumeRole
	// ResponseTimeout is how long each attempt of a call waits for the response.
	// Defaults to 30 s.
	ResponseTimeout time.Duration
}

// AssumeRole names a role to assume.
type AssumeRole struct {
	RoleARN     string
	SessionName string        // defaults to packer-plugin-orgami
	ExternalID  string        // none when empty
	Duration    time.Duration // defaults to 15 minutes; sessions are renewed as needed
}

const defaultSessionName = "packer-plugin-orgami"

// Clients returns AWS clients that share credentials and settings. It is safe
// for concurrent use.
type Clients struct {
	plain  aws.Config // as it was passed in
	config aws.Config

	limiters *limiters // shared with the clients of other roles
	watch    *watch    // likewise

	mu      sync.Mutex
	account string // of the credentials, "" until it is known
	ec2     map[string]*ec2.Client
	kms     map[string]*kms.Client
	sts     *sts.Client
}

// Load loads configuration and credentials. It calls AWS only if needed. A role is
// assumed at its first use.
func Load(ctx context.Context, c Config) (*Clients, error) {
	w := newWatch(cmp.Or(c.ResponseTimeout, responseTimeout))
	w.profile = cmp.Or(c.Profile, os.Getenv("AWS_PROFILE"))
	// The profile's own role or SSO session is loaded with clients of the SDK.
	options := []func(*config.LoadOptions) error{config.WithAPIOptions([]func(*middleware.Stack) error{w.add}), config.WithHTTPClient(reusing())}
	if c.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(c.Profile))
	}
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	if c.EndpointURL != "" {
		options = append(options, config.WithBaseEndpoint(c.EndpointURL))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, loadingError(err, cmp.Or(w.profile, "default"))
	}
	loaded.Region = cmp.Or(loaded.Region, c.FallbackRegion)
	loaded.HTTPClient = shared(loaded.HTTPClient)
	w.endpoint = aws.ToString(loaded.BaseEndpoint)
	clients := newClients(loaded, newLimiters(), w)
	if c.AssumeRole == nil {
		return clients, nil
	}
	return clients.WithRole(*c.AssumeRole), nil
}

// New returns clients for a complete configuration.
func New(config aws.Config) *Clients {
	w := newWatch(responseTimeout)
	w.endpoint = aws.ToString(config.BaseEndpoint)
	return newClients(config, newLimiters(), w)
}

func newLimiters() *limiters {
	return &limiters{all: map[string]*limiter.Limiter{}, warn: func(string) {}}
}

func newClients(config aws.Config, limiters *limiters, watch *watch) *Clients {
	c := &Clients{
		plain: config, config: config.Copy(), limiters: limiters, watch: watch,
		ec2: map[string]*ec2.Client{}, kms: map[string]*kms.Client{},
	}
	c.config.Retryer = newRetryer
	c.config.APIOptions = append(slices.Clip(c.config.APIOptions), watch.add, c.limit)
	c.sts = sts.NewFromConfig(c.config)
	return c
}

// OnWarning sets a function that is called with messages for the user, from any
// goroutine: calls that don't answer, and quotas that can't be shared. It also applies
// to the clients of other roles. Defaults to no messages.
func (c *Clients) OnWarning(warn func(message string)) {
	c.watch.mu.Lock()
	defer c.watch.mu.Unlock()
	c.watch.warn = warn
	c.limiters.mu.Lock()
	defer c.limiters.mu.Unlock()
	c.limiters.warn = warn
}

// WithRole returns clients that use the role.
func (c *Clients) WithRole(role AssumeRole) *Clients {
	return c.WithSession(c.Credentials(role))
}

// WithSession returns clients that use the session of a role, from
// [Clients.Credentials].
func (c *Clients) WithSession(session aws.CredentialsProvider) *Clients {
	assumed := c.plain.Copy()
	assumed.Credentials = session
	clients := newClients(assumed, c.limiters, c.watch)
	if role, ok := session.(roleCredentials); ok {
		clients.account = role.account
	}
	return clients
}

// roleCredentials are those of a role in the account.
type roleCredentials struct {
	*aws.CredentialsCache
	account string
}

// Credentials returns credentials of the role, which are cached and renewed as
// needed. They come from the STS endpoint of the base Region: the role's account
// may not have enabled the publication's Regions. Fact: NET-1, NET-3.
func (c *Clients) Credentials(role AssumeRole) aws.CredentialsProvider {
	provider := stscreds.NewAssumeRoleProvider(c.sts, role.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = cmp.Or(role.SessionName, defaultSessionName)
		if role.ExternalID != "" {
			o.ExternalID = aws.String(role.ExternalID)
		}
		if role.Duration > 0 {
			o.Duration = role.Duration
		}
	})
	return roleCredentials{aws.NewCredentialsCache(provider), accountOf(role.RoleARN)}
}

// accountOf returns the account of a role, or "" when the ARN has none.
func accountOf(roleARN string) string {
	role, err := arn.Parse(roleARN)
	if err != nil {
		return "" // STS returns an error for it
	}
	return role.AccountID
}

// Region returns the base Region.
func (c *Clients) Region() string { return c.config.Region }

// EC2 returns the Region's EC2 client. It shares no generic code with [Clients.KMS]
// because the linker treats a type argument like a conversion to an interface,
// and would keep all of EC2's operations, 30 MB.
func (c *Clients) EC2(region string) *ec2.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ec2[region] == nil {
		c.ec2[region] = ec2.NewFromConfig(c.config, func(o *ec2.Options) { o.Region = region })
	}
	return c.ec2[region]
}

// KMS returns the Region's KMS client.
func (c *Clients) KMS(region string) *kms.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kms[region] == nil {
		c.kms[region] = kms.NewFromConfig(c.config, func(o *kms.Options) { o.Region = region })
	}
	return c.kms[region]
}

// AutoScaling returns the Region's client of EC2 Auto Scaling.
func (c *Clients) AutoScaling(region string) *autoscaling.Client {
	return autoscaling.NewFromConfig(c.config, func(o *autoscaling.Options) { o.Region = region })
}

// IAM returns the client of IAM, which has one endpoint for each partition.
func (c *Clients) IAM() *iam.Client { return iam.NewFromConfig(c.config) }

// SSM returns the Region's Systems Manager client.
func (c *Clients) SSM(region string) *ssm.Client {
	return ssm.NewFromConfig(c.config, func(o *ssm.Options) { o.Region = region })
}

// RAM returns the Region's client of Resource Access Manager.
func (c *Clients) RAM(region string) *ram.Client {
	return ram.NewFromConfig(c.config, func(o *ram.Options) { o.Region = region })
}
