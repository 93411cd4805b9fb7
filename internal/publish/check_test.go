package publish_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// The published images are checked for every account, Region and launcher.
func TestLaunchChecks(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		result := w.mustPublish(t, w.spec())
		// Karpenter in 2 accounts and one that stands for the others, and two
		// service-linked roles in 2; in 3 Regions.
		wantLaunches(t, result, 3*(3+2*2), 0)
		w.sim.ResetJournal()
		wantLaunches(t, w.mustPublish(t, w.spec()), 3*(3+2*2), 0)
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("checking again changed: %v", got)
		}
	})
}

func wantPending(t *testing.T, result outcome, launches, pending int) {
	t.Helper()
	matrix := result.Manifest().Launches
	if matrix.Count(evaluate.Launches) != launches || matrix.Count(evaluate.Pending) != pending || matrix.Total() != launches+pending {
		t.Errorf("want %d launches and %d pending: %+v", launches, pending, matrix)
	}
}

func wantLaunches(t *testing.T, result outcome, launches, fails int) {
	t.Helper()
	matrix := result.Manifest().Launches
	if matrix.Count(evaluate.Launches) != launches || matrix.Count(evaluate.Fails) != fails || matrix.Total() != launches+fails {
		t.Errorf("want %d launches and %d failures: %+v", launches, fails, matrix)
	}
}

// denied is a foreign statement that the configuration doesn't remove.
const denied = `{"Sid":"NoMemberTwo","Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalAccount":"222222222222"}}}`

// withDeny is a world whose key keeps an account out, in one Region.
func withDeny(t *testing.T, w *world) {
	t.Helper()
	w.mustPublish(t, w.spec())
	withDenyIn(t, w, "eu-west-1")
}

// withDenyIn adds the statement to the Region's key.
func withDenyIn(t *testing.T, w *world, region string) {
	t.Helper()
	clients := awsclient.New(w.config(awssim.PublishingAccount, w.regions[0]))
	client := clients.KMS(region)
	for _, key := range w.state().Keys {
		if !slices.Contains(key.Aliases, alias) || key.Region != region {
			continue
		}
		policy := strings.Replace(key.Policy, `"Statement": [`, `"Statement": [`+denied+`,`, 1)
		if policy == key.Policy {
			t.Fatalf("no statements in %s", key.Policy)
		}
		if _, err := client.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: aws.String(key.ARN), Policy: &policy}); err != nil {
			t.Fatal(err)
		}
	}
}

// The policy of an adopted key denies an account. The publication fails before
// it shares the images, and reports the failing launches with their reasons.
func TestLaunchChecksFails(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		withDeny(t, w)
		spec := w.spec()
		spec.Image.Name = "golden-2"
		result, err := w.publish(spec)
		if err == nil {
			t.Fatal("published what does not launch")
		}
		for _, image := range w.state().Images {
			if image.Name == "golden-2" && len(image.LaunchPermissions) > 0 {
				t.Errorf("image %s in %s is shared with %v", image.ID, image.Region, image.LaunchPermissions)
			}
		}
		for _, part := range []string{"would fail", "eu-west-1", "222222222222", "NoMemberTwo", "Karpenter"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the error does not tell %s:\n%v", part, err)
			}
		}
		if strings.Contains(err.Error(), "us-east-1") {
			t.Errorf("the error tells of regions in which all launch:\n%v", err)
		}
		wantLaunches(t, result, 3*(3+2*2)-3, 3) // a Deny counts against a grant too
	})
}

func TestLaunchChecksWarns(t *testing.T) {
	for _, test := range []struct {
		check publish.Check
		said  bool
	}{{publish.CheckWarn, true}, {publish.CheckOff, false}} {
		t.Run(string(test.check), func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				withDeny(t, w)
				w.lines = nil
				spec := w.spec()
				spec.Check, spec.Image.Name = test.check, "golden-2"
				w.mustPublish(t, spec)
				if said := strings.Contains(w.said(), "NoMemberTwo"); said != test.said {
					t.Errorf("said %v:\n%s", said, w.said())
				}
			})
		})
	}
}

// Grants that the members create don't exist at first, so their launches are pending.
func TestProofWithoutGrants(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.spec()
		spec.Grants.MemberRole = ""
		wantPending(t, w.mustPublish(t, spec), 3*3, 3*2*2)
	})
}

// A role that doesn't exist can't launch. It is counted as pending.
func TestProofWithoutARole(t *testing.T) {
	file := defaultWorld()
	for i, account := range file.Accounts {
		if account.ID == awssim.MemberAccounts()[0] {
			file.Accounts[i].ServiceLinkedRoles = account.ServiceLinkedRoles[:1]
		}
	}
	inVirtualTime(t, func() awssim.WorldFile { return file }, func(t *testing.T, w *world) {
		wantPending(t, w.mustPublish(t, w.spec()), 3*(3+3), 3)
	})
}

// A recent write that isn't visible everywhere yet isn't a reason to fail.
func TestLaunchChecksArePatient(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		checking, stale, start := false, 0, time.Now()
		w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
			// The copies take longer than the grants. Grants that are listed after the
			// copies were described with their snapshots are listed for the checks.
			if time.Since(start) > timing.CopyTime && call.Operation == "DescribeSnapshots" {
				checking = true
			}
			if checking && call.Operation == "ListGrants" {
				checking = false
				stale++
				return &awssim.Fault{Kind: awssim.Stale, Behind: time.Since(start) - 11*time.Second} // there is a key, and no grant
			}
			return nil
		})
		wantLaunches(t, w.mustPublish(t, w.spec()), 3*(3+2*2), 0)
		if stale == 0 {
			t.Error("no read was stale")
		}
	})
}

// The report is an additional file of a publication, of a failed one, and of a plan.
func TestReport(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.spec()
		spec.Report = true
		directory := t.TempDir()
		page := func(result outcome) string {
			t.Helper()
			files, err := result.Write(directory)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(files, func(name string) bool { return strings.HasSuffix(name, "report.html") })
			if i < 0 {
				t.Fatalf("the artifact's files are %v", files)
			}
			return read(t, directory, filepath.Base(files[i]))
		}
		contains := func(page string, parts ...string) {
			t.Helper()
			for _, part := range parts {
				if !strings.Contains(page, part) {
					t.Errorf("the page lacks %q", part)
				}
			}
		}
		result := w.mustPublish(t, spec)
		contains(page(result), "Everything that was checked launches", "<b>21</b> passed", result.Images()["eu-west-1"], result.Manifest().Key.ID, "<b>&#43; create</b>")
		spec.PlanOnly = true
		contains(page(w.mustPublish(t, spec)), "checked without changing anything", "<b>21</b> passed", "Nothing.")
		withDeny(t, w)
		time.Sleep(time.Minute) // every endpoint knows
		spec.PlanOnly = false
		result, err := w.publish(spec)
		if err == nil {
			t.Fatal("what cannot be launched was published")
		}
		contains(page(result), "Not published", "NoMemberTwo")
	})
}
