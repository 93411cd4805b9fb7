//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Credentials,AssumeRoleConfig

// Package config holds what the configurations of the builder, the data source
// and the post-processor share: the options for credentials, the check of values
// that Packer doesn't know yet, and the list of problems. Package pattern below
// it has the names' patterns, which need neither Packer nor AWS.
package config

import (
	"net/url"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
)

// The AWS SDK finds credentials and the Region in environment variables, shared
// configuration files, and container and instance roles. Most templates need none of
// these options.
type Credentials struct {
	// Profile of the shared AWS configuration files. Defaults to the profile in
	// `AWS_PROFILE`, or to `default`.
	Profile string `mapstructure:"profile"`
	// URL of one endpoint for all AWS services, for example of a simulator. Must be
	// `http://HOST:PORT` or `https://HOST`. Defaults to AWS's own endpoints, or to those
	// in `AWS_ENDPOINT_URL` and its per-service forms such as `AWS_ENDPOINT_URL_KMS`.
	EndpointURL string `mapstructure:"endpoint_url"`
	// Role to assume. See [assume_role](#assume_role). Defaults to none.
	AssumeRole *AssumeRoleConfig `mapstructure:"assume_role"`
}

// The `assume_role` block names a role that the plugin assumes for all calls.
type AssumeRoleConfig struct {
	// ARN of the role.
	RoleARN string `mapstructure:"role_arn" required:"true"`
	// Name of the session, which CloudTrail shows. Defaults to `packer-plugin-orgami`.
	SessionName string `mapstructure:"session_name"`
	// External ID that the role's trust policy requires. Defaults to none.
	ExternalID string `mapstructure:"external_id"`
	// Duration of a session. Sessions are renewed for as long as the run needs. Must be
	// `15m` to `12h`, and at most the role's maximum session duration. Defaults to
	// `15m`.
	Duration time.Duration `mapstructure:"duration"`
}

// STS's limits for the duration of a session.
const (
	minDuration = 15 * time.Minute
	maxDuration = 12 * time.Hour
)

// Validate adds everything that is wrong with the options, by the names that the
// user writes. It skips values that Packer doesn't know yet.
func (c Credentials) Validate(p *Problems) {
	if c.EndpointURL != "" && !unchecked(c.EndpointURL) {
		endpoint, err := url.Parse(c.EndpointURL)
		if err != nil || endpoint.Host == "" || (endpoint.Scheme != "http" && endpoint.Scheme != "https") {
			p.Addf("endpoint_url: %q is not a URL. Set http://HOST:PORT or https://HOST", c.EndpointURL)
		}
	}
	if c.AssumeRole != nil {
		c.AssumeRole.validate(p)
	}
}

func (c AssumeRoleConfig) validate(p *Problems) {
	if c.RoleARN == "" {
		p.Addf("assume_role.role_arn is required. Set the ARN of the role, for example arn:aws:iam::111111111111:role/NAME")
	} else {
		p.Check("assume_role.role_arn", c.RoleARN, pattern.RoleARN)
	}
	if c.SessionName != "" {
		p.Check("assume_role.session_name", c.SessionName, pattern.SessionName)
	}
	if c.ExternalID != "" && p.Check("assume_role.external_id", c.ExternalID, pattern.ExternalID) && len(c.ExternalID) > pattern.MaxExternalID {
		p.Addf("assume_role.external_id: must be at most %[2]d characters, not %[1]d. Shorten it", len(c.ExternalID), pattern.MaxExternalID)
	}
	if c.Duration != 0 && (c.Duration < minDuration || c.Duration > maxDuration) {
		p.Addf("assume_role.duration: %s is not from 15m to 12h. Set a duration in this range, or omit the option to use 15m", c.Duration)
	}
}

// Client returns the configuration of the clients. An empty Region leaves the choice to
// the SDK's default chain, and to fallbackRegion when that has none.
func (c Credentials) Client(region, fallbackRegion string) awsclient.Config {
	config := awsclient.Config{
		Profile: c.Profile, Region: region, FallbackRegion: fallbackRegion, EndpointURL: c.EndpointURL,
	}
	if role := c.AssumeRole; role != nil {
		config.AssumeRole = &awsclient.AssumeRole{
			RoleARN: role.RoleARN, SessionName: role.SessionName, ExternalID: role.ExternalID, Duration: role.Duration,
		}
	}
	return config
}
