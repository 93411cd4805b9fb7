package evaluate_test

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// compareInspected compares what happened with the verdicts on what the accounts
// themselves read, without service control policies, and with IAM's simulation of the
// roles in place of their policies.
func (w *generatedWorld) compareInspected(seed uint64, known evaluate.Input, happened []evaluate.Outcome, reasons []string) (compared, inconclusive, simulated int) {
	w.t.Helper()
	query := launchcheck.Query{
		Partition: "aws", Accounts: launching(), Regions: []string{home}, Owner: owner, Roles: []string{"BatchRole"},
		Keys: map[string][]string{}, Images: map[string]string{home: w.image},
	}
	for arn := range known.Regions[0].Keys {
		query.Keys[home] = append(query.Keys[home], arn)
	}
	if len(query.Keys[home]) == 0 {
		query.Keys[home] = []string{evaluate.AWSManagedKeyARN("aws", home, owner)}
	}
	members, err := launchcheck.Inspect(w.t.Context(), func(_ context.Context, account string) (*awsclient.Clients, error) {
		return awsclient.New(w.config(account)), nil
	}, query)
	w.must(members, err)
	for _, u := range members.Unread { // key policies deny the administrators, too
		if !strings.HasPrefix(u.Action, "kms:") && u.Action != "organizations:DescribeOrganization" {
			w.t.Fatalf("not read: %+v", u)
		}
	}
	known.Accounts = slices.Clone(known.Accounts)
	for i, a := range known.Accounts {
		known.Accounts[i] = members.With(evaluate.Account{ID: a.ID, Organization: a.Organization, Path: a.Path, MembershipAssumed: true})
	}
	known.Launchers = slices.Clone(known.Launchers)
	for i := range known.Launchers {
		known.Launchers[i].Assumed = true
	}
	for i, v := range evaluate.Evaluate(known).Verdicts {
		compared++
		if v.Evidence() == evaluate.Simulated {
			simulated++
		}
		if v.Outcome == evaluate.Inconclusive {
			inconclusive++
			if os.Getenv("ORGAMI_SEED") != "" {
				w.t.Logf("inspected, %s by %s: %+v", v.Account, v.Launcher, v.Links)
			}
			continue
		}
		if v.Outcome != happened[i] {
			w.t.Errorf("seed %d (ORGAMI_SEED=%[1]d go test -run TestDifferential ./internal/launchcheck/evaluate): inspected, the evaluator says that a launch in %s by %s %s, %+v; it %s: %s",
				seed, v.Account, v.Launcher, v.Outcome, v.Links, happened[i], reasons[i])
		}
	}
	return compared, inconclusive, simulated
}
