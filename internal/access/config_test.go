package access_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/access"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

func TestClient(t *testing.T) {
	config := access.Config{
		Profile: "p", EndpointURL: "http://127.0.0.1:1",
		AssumeRole: &access.AssumeRoleConfig{
			RoleARN: "arn:aws-cn:iam::111111111111:role/a/b", SessionName: "s1", ExternalID: "e1", Duration: time.Hour,
		},
	}
	if problems := config.Validate(); len(problems) > 0 {
		t.Fatal(problems)
	}
	want := awsclient.Config{
		Profile: "p", Region: "r", FallbackRegion: "f", EndpointURL: "http://127.0.0.1:1",
		AssumeRole: &awsclient.AssumeRole{
			RoleARN: "arn:aws-cn:iam::111111111111:role/a/b", SessionName: "s1", ExternalID: "e1", Duration: time.Hour,
		},
	}
	if diff := cmp.Diff(want, config.Client("r", "f")); diff != "" {
		t.Error(diff)
	}
	if problems := (access.Config{}).Validate(); len(problems) > 0 {
		t.Errorf("the empty configuration: %v", problems)
	}
}

func TestValidateListsEverything(t *testing.T) {
	problems := access.Config{
		EndpointURL: "localhost:4566",
		AssumeRole:  &access.AssumeRoleConfig{RoleARN: "Deployer", SessionName: "a b", ExternalID: "\t", Duration: time.Minute},
	}.Validate()
	all := errors.Join(problems...).Error()
	for _, want := range []string{
		"endpoint_url", "http://HOST:PORT", "assume_role.role_arn", "arn:aws:iam::", "assume_role.session_name",
		"assume_role.external_id", "assume_role.duration 1m0s", "15m to 12h",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in:\n%s", want, all)
		}
	}
	if len(problems) != 5 {
		t.Errorf("%d problems, want 5:\n%s", len(problems), all)
	}
}
