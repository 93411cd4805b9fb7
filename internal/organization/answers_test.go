package organization_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/organization"
)

// pages answers each operation with its bodies in turn.
type pages map[string][]string

func (p pages) RoundTrip(request *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(request.Header.Get("X-Amz-Target"), ".")
	body := p[operation][0]
	p[operation] = p[operation][1:]
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewBufferString(body)), Request: request}, nil
}

func (p pages) discover(t *testing.T, query organization.Query) ([]string, error) {
	t.Helper()
	config := aws.Config{Region: "eu-west-1", HTTPClient: &http.Client{Transport: p}, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "x", "")}
	return organization.Discover(t.Context(), awsclient.New(config).Organizations("aws"), query)
}

// TestDiscoverReadsAllPages checks that a page can be empty though more follow. A state
// is read from State, or from Status where there is no State.
func TestDiscoverReadsAllPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := pages{"ListAccounts": {
			`{"Accounts":[{"Id":"222222222222","State":"ACTIVE","Status":"SUSPENDED"}],"NextToken":"a"}`,
			`{"Accounts":[],"NextToken":"b"}`,
			`{"NextToken":"c"}`,
			`{"Accounts":[{"Id":"111111111111","Status":"ACTIVE"},{"Id":"333333333333","State":"CLOSED"},{"Id":"444444444444","State":"HIBERNATING"}],"NextToken":""}`,
		}}.discover(t, organization.Query{})
		if diff := cmp.Diff([]string{"111111111111", "222222222222"}, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

// TestIncompleteAnswers checks that an account without an ID or a state is an
// error. If it were left out, it would lose its grants.
func TestIncompleteAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		answers pages
		units   []string
		says    string
	}{
		"an empty account":         {pages{"ListAccounts": {`{"Accounts":[{}]}`}}, nil, "an account without Id or State"},
		"an account without Id":    {pages{"ListAccounts": {`{"Accounts":[{"State":"ACTIVE"}]}`}}, nil, "an account without Id or State"},
		"an account without State": {pages{"ListAccounts": {`{"Accounts":[{"Id":"222222222222"}]}`}}, nil, `(Id "222222222222")`},
		"a unit without Id": {
			pages{"ListAccountsForParent": {"{}"}, "ListOrganizationalUnitsForParent": {`{"OrganizationalUnits":[{}]}`}},
			[]string{"r-ab12"},
			"ListOrganizationalUnitsForParent returned a unit below r-ab12 without Id",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := test.answers.discover(t, organization.Query{Units: test.units})
				if err == nil || got != nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "AWS Organizations List") {
					t.Errorf("%v, %v", got, err)
				}
			})
		})
	}
}

func TestUnitID(t *testing.T) {
	for unit, want := range map[string]string{
		"arn:aws:organizations::999999999999:ou/o-exampleorgid/ou-ab12-11111111": "ou-ab12-11111111",
		"arn:aws-us-gov:organizations::999999999999:root/o-exampleorgid/r-ab12":  "r-ab12",
		"ou-ab12-11111111": "ou-ab12-11111111",
		"r-ab12":           "r-ab12",
	} {
		if got := organization.UnitID(unit); got != want {
			t.Errorf("the ID of %s is %s", unit, got)
		}
	}
}
