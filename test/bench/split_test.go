package bench

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// splitUnits are the organizational units of the split organization. Half of the
// accounts are in each.
var splitUnits = [2]string{"ou-ab12-aaaaaaaa", "ou-ab12-bbbbbbbb"}

// splitWorld is a world with so many accounts, half of them in each unit. The publisher
// may list them.
func splitWorld(accounts int) awssim.WorldFile {
	file := worldOf(Cell{Regions: 1, Accounts: accounts})
	file.Organization.DelegatedAdministrators = []string{awssim.PublishingAccount}
	for _, id := range splitUnits {
		file.Organization.Units = append(file.Organization.Units, awssim.UnitFile{ID: id, Name: id, Parent: "r-ab12"})
	}
	own := 0
	for i := range file.Accounts {
		if strings.HasPrefix(file.Accounts[i].ID, "70") {
			file.Accounts[i].Parent = splitUnits[own%2]
			own++
		}
	}
	return file
}

// forUnit publishes for the accounts of a unit, with a key and an image of their own.
func forUnit(name, unit string) publish.Spec {
	spec := specOf(Cell{Regions: 1})
	spec.Key.Alias, spec.Image.Name = alias+"-"+name, "golden-"+name
	unitARN := "arn:aws:organizations::" + awssim.ManagementAccount + ":ou/" + awssim.OrganizationID + "/" + unit
	spec.Share = publish.ShareSpec{OrganizationalUnits: []string{unitARN}}
	spec.Grants.Accounts, spec.Grants.Discover, spec.Grants.OrganizationalUnits = nil, true, []string{unit}
	spec.Grants.Roles, spec.Grants.MissingRole = grant.DefaultRoles, "skip"
	return spec
}

// One key can't hold the grants of 20,000 accounts for the three default roles. The run
// stops before it writes anything, and says why.
func TestOneKeyForTooManyAccounts(t *testing.T) {
	cell := Cell{Regions: 1, Accounts: 20_000}
	synctest.Test(t, func(t *testing.T) {
		world, err := awssim.New(worldOf(cell), cell.Timing())
		if err != nil {
			t.Fatal(err)
		}
		counted := count(world)
		spec := specOf(cell)
		spec.Grants.Roles = grant.DefaultRoles
		_, err = publish.Runner{Clients: awsclient.New(configOf(world)), Reporter: silent, Lock: unlocked}.Run(t.Context(), spec)
		if err == nil || !strings.Contains(err.Error(), "60,000 more are planned, but KMS allows 50,000 grants on a key") {
			t.Errorf("the error is %v", err)
		}
		if calls := counted.take(nil); calls.Mutating > 0 {
			t.Errorf("it changed something: %v", calls.ByKind)
		}
	})
}

// A publication for each half of the organization, with a key each, publishes to all
// accounts. Both run at the same time and share the quotas.
// docs/large-organizations.md recommends it.
func TestSplit(t *testing.T) {
	accounts := 200
	if os.Getenv(Variable) != "" {
		accounts = 20_000
	}
	synctest.Test(t, func(t *testing.T) {
		world, err := awssim.New(splitWorld(accounts), Cell{CopyTime: 8 * time.Minute}.Timing())
		if err != nil {
			t.Fatal(err)
		}
		counted, clients := count(world), awsclient.New(configOf(world))
		start := time.Now()
		var outcomes [2]publish.Outcome
		var group sync.WaitGroup
		for i, unit := range splitUnits {
			group.Go(func() {
				outcome, err := publish.Runner{Clients: clients, Reporter: silent, Lock: unlocked}.Run(t.Context(), forUnit(strconv.Itoa(i), unit))
				if err != nil {
					t.Error(err)
				}
				outcomes[i] = outcome
			})
		}
		group.Wait()
		calls := counted.take(nil)
		t.Logf("%d accounts published to after %v, with %d calls, %.2f%% of them throttled", accounts, time.Since(start), calls.Total, calls.ThrottledPercent())
		if calls.ByKind["kms CreateGrant"] != len(grant.DefaultRoles)*accounts || calls.ByKind["sts AssumeRole"] != accounts {
			t.Errorf("calls: %v", calls.ByKind)
		}
		for i, o := range outcomes {
			if !o.Complete {
				t.Errorf("publication %d isn't complete", i)
			}
			if key := o.Key.Regional[regionNames[0]]; key.ARN == "" || key.ARN == outcomes[1-i].Key.Regional[regionNames[0]].ARN {
				t.Errorf("publication %d has the key %s", i, key.ARN)
			}
			if got := o.Images[regionNames[0]].Shared.Image.OrganizationalUnits; len(got) != 1 || !strings.HasSuffix(got[0], splitUnits[i]) {
				t.Errorf("image %d is shared with %v", i, got)
			}
			created := 0
			for _, g := range o.Grants {
				if g.Status == grant.Created {
					created++
				}
			}
			if created != Roles*accounts/2 { // the accounts have no role for ECS
				t.Errorf("publication %d created %d grants", i, created)
			}
		}
	})
}
