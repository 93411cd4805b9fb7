// Package awsclient makes the AWS clients: configuration and credentials as
// the AWS SDK's default chain finds them, one client per service and region,
// roles in other accounts, and the error codes that the stages act on.
package awsclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/orgami/packer-plugin-orgami/internal/pace"
)

// Config is how AWS is reached. The zero value is the SDK's default chain:
// environment, shared configuration, container and instance roles.
type Config struct {
	// Profile of the shared configuration files.
	Profile string
	// Region for calls that belong to no region of the publication (STS);
	// empty means the default chain's, else FallbackRegion.
	Region string
	// FallbackRegion is used when neither Region nor the chain names one.
	FallbackRegion string
	// EndpointURL replaces the endpoints of all services.
	EndpointURL string
	AssumeRole  *AssumeRole
}

// AssumeRole names a role to act as.
type AssumeRole struct {
	RoleARN     string
	SessionName string        // default packer-plugin-orgami
	ExternalID  string        // none when empty
	Duration    time.Duration // the SDK's default, 15 minutes, when 0; renewed as needed
}

const defaultSessionName = "packer-plugin-orgami"

// Clients hands out AWS clients that share credentials and settings. It is
// safe for concurrent use.
type Clients struct {
	plain  aws.Config // as it was given
	config aws.Config

	quotas *keeper

	mu  sync.Mutex
	ec2 map[string]*ec2.Client
	kms map[string]*kms.Client
	sts *sts.Client
}

// Load finds configuration and credentials. It calls AWS only if it has to
// (STS for a role is called at the first use).
func Load(ctx context.Context, c Config) (*Clients, error) {
	var options []func(*config.LoadOptions) error
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
		return nil, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	loaded.Region = cmp.Or(loaded.Region, c.FallbackRegion)
	clients := New(loaded)
	if c.AssumeRole == nil {
		return clients, nil
	}
	return clients.WithRole(*c.AssumeRole), nil
}

// New returns clients for a configuration that is complete.
func New(config aws.Config) *Clients {
	plain := config
	config = config.Copy()
	config.Retryer = newRetryer
	quotas := &keeper{paces: map[string]*pace.Pace{}}
	config.APIOptions = append(slices.Clip(config.APIOptions), quotas.keep(aws.ToString(config.BaseEndpoint)))
	return &Clients{
		plain: plain, config: config, quotas: quotas,
		ec2: map[string]*ec2.Client{}, kms: map[string]*kms.Client{}, sts: sts.NewFromConfig(config),
	}
}

// newRetryer is the SDK's standard retryer with room for a busy account: AWS's
// quotas are per second, so a throttled call gets through if it keeps trying.
// The token bucket is off: it would make one region's throttling fail another
// region's calls. Fact: 4, 8.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 12
		o.MaxBackoff = 20 * time.Second
		o.RateLimiter = ratelimit.None
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{
			CodeKMSInternal: {}, CodeDependencyTimeout: {},
		}})
	})
}

// OnceUnlessThrottled makes a client retry only answers that say that the call
// had no effect. It is for operations without an idempotency token: after a
// lost answer the caller looks for what it may have made.
func OnceUnlessThrottled(o *kms.Options) {
	o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 12
		o.MaxBackoff = 20 * time.Second
		o.RateLimiter = ratelimit.None
		o.Retryables = []retry.IsErrorRetryable{retry.RetryableErrorCode{Codes: retry.DefaultThrottleErrorCodes}}
	})
}

// WithRole returns clients that act as the role.
func (c *Clients) WithRole(role AssumeRole) *Clients {
	assumed := c.plain.Copy()
	assumed.Credentials = c.Credentials(role)
	clients := New(assumed)
	clients.quotas.folder = c.quotas.folder
	return clients
}

// Credentials returns those of the role: a session, kept and renewed as needed.
// The role is assumed through the STS endpoint of the base region: the role's
// account may not have enabled the region that is worked in. Fact: 7.
func (c *Clients) Credentials(role AssumeRole) aws.CredentialsProvider {
	return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(c.sts, role.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = cmp.Or(role.SessionName, defaultSessionName)
		if role.ExternalID != "" {
			o.ExternalID = aws.String(role.ExternalID)
		}
		if role.Duration > 0 {
			o.Duration = role.Duration
		}
	}))
}

// Region is the base region.
func (c *Clients) Region() string { return c.config.Region }

// EC2 returns the region's EC2 client. (It shares no generic code with KMS: a
// type argument counts for the linker like a conversion to an interface, which
// would make it keep all of EC2's operations, 30 MB.)
func (c *Clients) EC2(region string) *ec2.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ec2[region] == nil {
		c.ec2[region] = ec2.NewFromConfig(c.config, func(o *ec2.Options) { o.Region = region })
	}
	return c.ec2[region]
}

// KMS returns the region's KMS client.
func (c *Clients) KMS(region string) *kms.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kms[region] == nil {
		c.kms[region] = kms.NewFromConfig(c.config, func(o *kms.Options) { o.Region = region })
	}
	return c.kms[region]
}

// SSM returns a client of the region's Systems Manager.
func (c *Clients) SSM(region string) *ssm.Client {
	return ssm.NewFromConfig(c.config, func(o *ssm.Options) { o.Region = region })
}

// Identity is who the clients act as.
type Identity struct {
	Account   string // 12 digits
	ARN       string
	Partition string // aws, aws-cn, aws-us-gov
}

// Identity asks STS who the caller is.
func (c *Clients) Identity(ctx context.Context) (Identity, error) {
	if c.config.Region == "" {
		return Identity{}, errors.New("no AWS region is configured: set AWS_REGION or the profile's region")
	}
	answer, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, Wrap(err, "asking AWS whose credentials these are (region %s)", c.config.Region)
	}
	caller, err := arn.Parse(aws.ToString(answer.Arn))
	if err != nil {
		return Identity{}, fmt.Errorf("reading the caller's ARN %q: %w", aws.ToString(answer.Arn), err)
	}
	c.quotas.setAccount(aws.ToString(answer.Account))
	return Identity{Account: aws.ToString(answer.Account), ARN: aws.ToString(answer.Arn), Partition: caller.Partition}, nil
}

// Organization is an AWS organisation.
type Organization struct {
	ID  string // o-…
	ARN string // arn:PARTITION:organizations::MANAGEMENT:organization/o-…
}

// organizationsRegion is the region where the partition's Organizations
// service lives. Fact: 7.
var organizationsRegion = map[string]string{
	"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-northwest-1",
}

// Organizations returns the client of the partition's Organizations service.
func (c *Clients) Organizations(partition string) *organizations.Client {
	return organizations.NewFromConfig(c.config, func(o *organizations.Options) {
		o.Region = cmp.Or(organizationsRegion[partition], o.Region)
	})
}

// Organization asks AWS for the organisation of the caller's account; every
// member may ask. Fact: 7.
func (c *Clients) Organization(ctx context.Context, partition string) (Organization, error) {
	answer, err := c.Organizations(partition).DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	if err != nil {
		return Organization{}, Wrap(err, "asking AWS for the account's organisation")
	}
	return Organization{ID: aws.ToString(answer.Organization.Id), ARN: aws.ToString(answer.Organization.Arn)}, nil
}
