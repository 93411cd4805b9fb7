package organization_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/organization"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// world is an organization with nested units, of which the outer holds a page and
// a half of accounts.
func world(t *testing.T) *awssim.World {
	t.Helper()
	file := awssim.DefaultWorld()
	file.Organization.Units = append(file.Organization.Units,
		awssim.UnitFile{ID: "ou-ab12-22222222", Name: "teams", Parent: "r-ab12"},
		awssim.UnitFile{ID: "ou-ab12-33333333", Name: "inner", Parent: "ou-ab12-22222222"},
		awssim.UnitFile{ID: "ou-ab12-44444444", Name: "empty", Parent: "ou-ab12-33333333"},
	)
	for i := range 30 {
		file.Accounts = append(file.Accounts, awssim.AccountFile{ID: fmt.Sprintf("5000000000%02d", i), Parent: "ou-ab12-22222222"})
	}
	file.Accounts = append(file.Accounts,
		awssim.AccountFile{ID: "600000000001", Parent: "ou-ab12-33333333"},
		awssim.AccountFile{ID: "600000000002", Parent: "ou-ab12-33333333", Status: "SUSPENDED"},
		awssim.AccountFile{ID: "600000000003", Parent: "ou-ab12-33333333", Status: "PENDING_CLOSURE"},
	)
	sim, err := awssim.New(file, awssim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

func client(w *awssim.World, account string) *organizations.Client {
	id, secret := w.AccessKey(account)
	return awsclient.New(aws.Config{
		Region: "eu-west-1", HTTPClient: w.Client(), Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	}).Organizations("aws")
}

func TestDiscover(t *testing.T) {
	var teams []string
	for i := range 30 {
		teams = append(teams, fmt.Sprintf("5000000000%02d", i))
	}
	everybody := slices.Concat(awssim.MemberAccounts(), []string{awssim.ManagementAccount, awssim.PublishingAccount, "600000000001"}, teams)
	slices.Sort(everybody)
	for name, test := range map[string]struct {
		want organization.Query
		ids  []string
	}{
		"the organization":            {organization.Query{}, everybody},
		"its root":                    {organization.Query{Units: []string{"r-ab12"}}, everybody},
		"a unit with nested ones":     {organization.Query{Units: []string{"ou-ab12-22222222"}}, append(slices.Clone(teams), "600000000001")},
		"a unit within":               {organization.Query{Units: []string{"ou-ab12-33333333"}}, []string{"600000000001"}},
		"a unit and one within it":    {organization.Query{Units: []string{"ou-ab12-33333333", "ou-ab12-22222222"}}, append(slices.Clone(teams), "600000000001")},
		"an empty unit":               {organization.Query{Units: []string{"ou-ab12-44444444"}}, nil},
		"without some":                {organization.Query{Units: []string{awssim.WorkloadsUnit}, Exclude: []string{"333333333333", "123456789012"}}, []string{"222222222222", "444444444444"}},
		"two units beside each other": {organization.Query{Units: []string{awssim.WorkloadsUnit, "ou-ab12-33333333"}}, append(awssim.MemberAccounts(), "600000000001")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := organization.Discover(t.Context(), client(world(t), awssim.ManagementAccount), test.want)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.ids, got); diff != "" {
					t.Errorf("accounts:\n%s", diff)
				}
			})
		})
	}
}

// TestDiscoverFails checks that a caller without permission, or with a unit
// that doesn't exist, gets an error that says what to do. A fault halfway never
// returns a shorter list.
func TestDiscoverFails(t *testing.T) {
	for name, test := range map[string]struct {
		account string
		units   []string
		fault   *awssim.Fault
		says    []string
	}{
		"a member": {awssim.PublishingAccount, nil, nil, []string{"ListAccounts", "AccessDeniedException", "register-delegated-administrator", "grants.accounts"}},
		"a member, a unit": {
			awssim.PublishingAccount,
			[]string{awssim.WorkloadsUnit},
			nil,
			[]string{awssim.WorkloadsUnit, "AccessDeniedException"},
		},
		"a unit that is not there": {
			awssim.ManagementAccount,
			[]string{awssim.WorkloadsUnit, "ou-ab12-99999999"},
			nil,
			[]string{"ou-ab12-99999999", "ParentNotFoundException", "grants.organizational_units"},
		},
		"outside":      {awssim.OutsideAccount, nil, nil, []string{"AWSOrganizationsNotInUseException"}},
		"a later page": {awssim.ManagementAccount, nil, &awssim.Fault{Operation: "ListAccounts", Kind: awssim.Denied, Skip: 2}, []string{"ListAccounts"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world(t)
				if test.fault != nil {
					w.Inject(*test.fault)
				}
				got, err := organization.Discover(t.Context(), client(w, test.account), organization.Query{Units: test.units})
				if err == nil || got != nil {
					t.Fatalf("%v, %v", got, err)
				}
				for _, says := range test.says {
					if !strings.Contains(err.Error(), says) {
						t.Errorf("the error does not say %q: %v", says, err)
					}
				}
			})
		})
	}
}

// TestDiscoverUnderThrottling checks that calls that Organizations throttles
// are retried, and that no account is missed.
func TestDiscoverUnderThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world(t)
		for _, operation := range []string{"ListAccountsForParent", "ListOrganizationalUnitsForParent"} {
			w.Inject(awssim.Fault{Operation: operation, Kind: awssim.Throttle, Skip: 1, Times: 8})
		}
		got, err := organization.Discover(t.Context(), client(w, awssim.ManagementAccount), organization.Query{Units: []string{awssim.WorkloadsUnit}})
		if diff := cmp.Diff(awssim.MemberAccounts(), got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}
