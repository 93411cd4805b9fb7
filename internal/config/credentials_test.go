package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/config"
)

func TestClient(t *testing.T) {
	c := config.Credentials{
		Profile: "p", EndpointURL: "http://127.0.0.1:1",
		AssumeRole: &config.AssumeRoleConfig{
			RoleARN: "arn:aws-cn:iam::111111111111:role/a/b", SessionName: "s1", ExternalID: "e1", Duration: time.Hour,
		},
	}
	if err := validate(c); err != nil {
		t.Fatal(err)
	}
	want := awsclient.Config{
		Profile: "p", Region: "r", FallbackRegion: "f", EndpointURL: "http://127.0.0.1:1",
		AssumeRole: &awsclient.AssumeRole{
			RoleARN: "arn:aws-cn:iam::111111111111:role/a/b", SessionName: "s1", ExternalID: "e1", Duration: time.Hour,
		},
	}
	if diff := cmp.Diff(want, c.Client("r", "f")); diff != "" {
		t.Error(diff)
	}
	if err := validate(config.Credentials{}); err != nil {
		t.Errorf("the empty configuration: %v", err)
	}
}

func validate(c config.Credentials) error {
	var p config.Problems
	c.Validate(&p)
	return p.Err()
}

func TestValidateListsEverything(t *testing.T) {
	err := validate(config.Credentials{
		EndpointURL: "localhost:4566",
		AssumeRole:  &config.AssumeRoleConfig{RoleARN: "Deployer", SessionName: "a b", ExternalID: "\t", Duration: time.Minute},
	})
	var problems *packersdk.MultiError
	if !errors.As(err, &problems) {
		t.Fatalf("error is %v", err)
	}
	all := problems.Error()
	for _, want := range []string{
		"endpoint_url", "http://HOST:PORT", "assume_role.role_arn", "arn:aws:iam::", "assume_role.session_name",
		"assume_role.external_id", "assume_role.duration: 1m0s", "15m to 12h",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in:\n%s", want, all)
		}
	}
	if len(problems.Errors) != 5 {
		t.Errorf("%d problems, want 5:\n%s", len(problems.Errors), all)
	}
}

// STS counts the characters of an external ID.
func TestLongExternalID(t *testing.T) {
	c := config.Credentials{AssumeRole: &config.AssumeRoleConfig{RoleARN: "arn:aws:iam::111111111111:role/a", ExternalID: strings.Repeat("x", 1224)}}
	if err := validate(c); err != nil {
		t.Error(err)
	}
	c.AssumeRole.ExternalID += "x"
	if err := validate(c); err == nil || !strings.Contains(err.Error(), "must be at most 1224 characters, not 1225") {
		t.Errorf("error is %v", err)
	}
}
