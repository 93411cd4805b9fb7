//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config,AssumeRoleConfig

// Package access is the part of a component's configuration that says how AWS
// is reached. It is the same for the builder and the post-processor, which
// squash [Config] into theirs.
package access

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/placeholder"
)

// Credentials and region are found as the AWS SDK finds them: environment
// variables, shared configuration files, then container and instance roles.
// These options add to that; most templates need none of them.
type Config struct {
	// The profile of the shared AWS configuration files to use. By default the
	// one that `AWS_PROFILE` names, or `default`.
	Profile string `mapstructure:"profile"`
	// The URL of an endpoint that stands for all AWS services, for a simulator
	// or a proxy. By default AWS's own endpoints, or what `AWS_ENDPOINT_URL` and
	// its per-service forms such as `AWS_ENDPOINT_URL_KMS` say.
	EndpointURL string `mapstructure:"endpoint_url"`
	// A role to act as, instead of acting with the credentials themselves. See
	// [assume_role](#assume_role).
	AssumeRole *AssumeRoleConfig `mapstructure:"assume_role"`
}

// The `assume_role` block names a role that the credentials are exchanged for.
type AssumeRoleConfig struct {
	// The ARN of the role.
	RoleARN string `mapstructure:"role_arn" required:"true"`
	// The name of the session, seen in CloudTrail. By default
	// `packer-plugin-orgami`.
	SessionName string `mapstructure:"session_name"`
	// The external id that the role's trust policy asks for, if it does.
	ExternalID string `mapstructure:"external_id"`
	// How long a session lasts, `15m` to `12h`, and not longer than the role
	// allows; it is renewed as long as the run needs it. By default `15m`.
	Duration time.Duration `mapstructure:"duration"`
}

var (
	roleARN     = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalID  = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
)

// maxExternalID is STS's limit for the length of an external id.
const maxExternalID = 1224

// STS's limits for the duration of a session.
const (
	minDuration = 15 * time.Minute
	maxDuration = 12 * time.Hour
)

// Validate lists everything that is wrong, by the names that the user writes.
// Values that Packer does not know yet are not judged.
func (c Config) Validate() []error {
	var problems []error
	if c.EndpointURL != "" && !placeholder.In(c.EndpointURL) {
		endpoint, err := url.Parse(c.EndpointURL)
		if err != nil || endpoint.Host == "" || (endpoint.Scheme != "http" && endpoint.Scheme != "https") {
			problems = append(problems, fmt.Errorf("endpoint_url %q is not a URL: write http://HOST:PORT or https://HOST", c.EndpointURL))
		}
	}
	if c.AssumeRole != nil {
		problems = append(problems, c.AssumeRole.validate()...)
	}
	return problems
}

func (c AssumeRoleConfig) validate() []error {
	var problems []error
	switch {
	case c.RoleARN == "":
		problems = append(problems, errors.New("assume_role.role_arn is missing: name the role, as arn:aws:iam::111111111111:role/NAME"))
	case !roleARN.MatchString(c.RoleARN) && !placeholder.In(c.RoleARN):
		problems = append(problems, fmt.Errorf("assume_role.role_arn %q is not the ARN of a role: write it as arn:aws:iam::111111111111:role/NAME", c.RoleARN))
	}
	if c.SessionName != "" && !sessionName.MatchString(c.SessionName) && !placeholder.In(c.SessionName) {
		problems = append(problems, fmt.Errorf("assume_role.session_name %q: use 2 to 64 letters, digits and _+=,.@-", c.SessionName))
	}
	if c.ExternalID != "" && !placeholder.In(c.ExternalID) && (!externalID.MatchString(c.ExternalID) || len(c.ExternalID) > maxExternalID) {
		problems = append(problems, fmt.Errorf("assume_role.external_id %q: use 2 to 1224 letters, digits and _+=,.@:/-", c.ExternalID))
	}
	if c.Duration != 0 && (c.Duration < minDuration || c.Duration > maxDuration) {
		problems = append(problems, fmt.Errorf("assume_role.duration %s: use 15m to 12h, or leave it out for 15m", c.Duration))
	}
	return problems
}

// Client returns how the clients are made. An empty region leaves the choice to
// the SDK's default chain, and to fallbackRegion when that has none.
func (c Config) Client(region, fallbackRegion string) awsclient.Config {
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
