package publish_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
	"github.com/orgami/packer-plugin-orgami/test/schema"
)

func TestPublish(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		result := w.mustPublish(t, w.spec())
		w.check(t, result, w.spec())
		w.checkLaunches(t, result)
		if got := w.mutations(); got["ec2 ModifyImageAttribute"] != 3 || got["ec2 CopyImage"] != 3 ||
			got["kms CreateKey"] != 1 || got["kms ReplicateKey"] != 2 || got["kms CreateAlias"] != 3 || got["kms CreateGrant"] != 2*2*3 {
			t.Errorf("mutating calls: %v", got)
		}
	})
}

// TestPublishAgain checks that a second run changes nothing.
func TestPublishAgain(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		first := w.mustPublish(t, w.spec())
		before := w.state()
		w.sim.ResetJournal()
		second := w.mustPublish(t, w.spec())
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("mutating calls of the second run: %v", got)
		}
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("the world changed:\n%s", diff)
		}
		if diff := cmp.Diff(first.Images(), second.Images()); diff != "" {
			t.Errorf("other images:\n%s", diff)
		}
		if second.Changed() != 0 {
			t.Errorf("the second run plans %d changes", second.Changed())
		}
	})
}

func TestPlanOnlyChangesNothing(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		before := w.state()
		spec := w.spec()
		spec.PlanOnly = true
		result := w.mustPublish(t, spec)
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("mutating calls: %v", got)
		}
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("the world changed:\n%s", diff)
		}
		// 3 keys, 3 aliases, 1 rotation, 3 images, 12 grants, 3 permissions
		if result.Changed() != 25 {
			t.Errorf("%d changes are planned", result.Changed())
		}
		for _, line := range []string{"+ key in us-east-1: multi-Region primary", "+ key in ap-southeast-2, eu-west-1: replica", "+ 12 grants in ap-southeast-2, eu-west-1, us-east-1"} {
			if !strings.Contains(w.said(), line) {
				t.Errorf("the plan does not say %q:\n%s", line, w.said())
			}
		}
		if len(result.Images()) > 0 {
			t.Errorf("images of a plan: %v", result.Images())
		}
	})
}

// TestNothingIsSharedBeforeEverythingIsThere inspects the world after every
// call as a member account sees it. An image that is visible to the member
// belongs to a complete set: each copy is available and each grant exists.
func TestNothingIsSharedBeforeEverythingIsThere(t *testing.T) {
	inVirtualTime(t, matrixWorld, func(t *testing.T, w *world) {
		var looking atomic.Bool
		calls, shared := 0, 0
		w.sim.OnCall(func(call awssim.Entry) {
			if !looking.CompareAndSwap(false, true) {
				return // the calls of this check, and those of the run in the meantime
			}
			defer looking.Store(false)
			calls++
			seen := w.seenByMember(t)
			if seen > 0 {
				shared++
			}
			if err := incomplete(w.state()); err != nil || seen > len(w.visible()) {
				t.Errorf("after %s %s a member sees %d images: %v", call.Service, call.Operation, seen, err)
			}
		})
		w.mustPublish(t, w.matrixSpec())
		w.sim.OnCall(nil)
		if calls < 50 || shared < 1 || w.seenByMember(t) != 3 {
			t.Errorf("looked %d times, %d of them with something shared", calls, shared)
		}
	})
}

// seenByMember counts the published images that a member account can see.
func (w *world) seenByMember(t *testing.T) int {
	t.Helper()
	seen := 0
	for _, region := range w.regions {
		answer, err := ec2.NewFromConfig(w.config(awssim.MemberAccounts()[0], region)).DescribeImages(t.Context(), &ec2.DescribeImagesInput{
			Owners: []string{awssim.PublishingAccount},
		})
		if err != nil {
			t.Error(err)
			return 0
		}
		seen += len(answer.Images)
	}
	return seen
}

// TestGrantsCountBeforeSharing checks that shared images can be launched at
// once, even if grants take longer to become effective than the copies take.
func TestGrantsCountBeforeSharing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := timing
		slow.CopyTime, slow.PropagationLag = time.Second, 4*time.Minute
		w := newWorldWith(t, defaultWorld(), slow)
		for region, image := range w.mustPublish(t, w.spec()).Images() {
			if reason := w.launchServiceLinked(t, awssim.MemberAccounts()[0], "AWSServiceRoleForAutoScaling", region, image); reason != "" {
				t.Errorf("launch in %s: %s", region, reason)
			}
		}
	})
}

// TestResume checks that a world resumed from its journal is the same world, down to
// the IDs. The demo depends on this.
func TestResume(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		var journal bytes.Buffer
		w.sim.JournalTo(&journal)
		w.checkLaunches(t, w.mustPublish(t, w.spec()))
		resumed := newWorld(t, defaultWorld())
		if err := resumed.sim.Resume(&journal); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w.state(), resumed.state()); diff != "" {
			t.Errorf("the resumed world differs:\n%s", diff)
		}
		resumed.mustPublish(t, resumed.spec())
		if got := resumed.mutations(); len(got) > 0 {
			t.Errorf("mutating calls after resuming: %v", got)
		}
	})
}

// TestAdoptsWhatIsEncryptedAlready checks that an image that is already
// encrypted with the Region's key is shared without a copy.
func TestAdoptsWhatIsEncryptedAlready(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		first := w.mustPublish(t, w.spec())
		spec := w.spec()
		spec.Sources = nil
		for _, region := range spec.Regions {
			spec.Sources = append(spec.Sources, publish.Source{Region: region, ImageID: first.Images()[region]})
		}
		w.sim.ResetJournal()
		second := w.mustPublish(t, spec)
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("mutating calls: %v", got)
		}
		if !second.Adopted() || cmp.Diff(first.Images(), second.Images()) != "" {
			t.Errorf("published %v, not the sources", second.Images())
		}
		if origin := second.Manifest().Images["eu-west-1"].Origin; origin != "adopted" {
			t.Errorf("origin is %s", origin)
		}
	})
}

func TestPartitions(t *testing.T) {
	for partition, regions := range map[string][]string{
		"aws": {"us-east-1", "eu-west-1"}, "aws-cn": {"cn-north-1", "cn-northwest-1"}, "aws-us-gov": {"us-gov-west-1", "us-gov-east-1"},
	} {
		t.Run(partition, func(t *testing.T) {
			inVirtualTime(t, func() awssim.WorldFile { return worldIn(partition, regions...) }, func(t *testing.T, w *world) {
				spec := w.spec()
				spec.Key.Policy = "hardened"
				result := w.mustPublish(t, spec)
				w.check(t, result, spec)
				w.checkLaunches(t, result)
				directory := t.TempDir()
				if _, err := result.Write(directory); err != nil {
					t.Fatal(err)
				}
				karpenter := read(t, directory, manifest.KarpenterFile)
				host := map[string]string{"aws": `"ec2.*.amazonaws.com"`, "aws-us-gov": `"ec2.*.amazonaws.com"`, "aws-cn": `"ec2.*.amazonaws.com"`}[partition]
				if !strings.Contains(karpenter, host) || !strings.Contains(karpenter, "arn:"+partition+":kms:*:"+awssim.PublishingAccount) {
					t.Errorf("Karpenter's policy is for another partition:\n%s", karpenter)
				}
				if grants := read(t, directory, manifest.GrantsFile); !strings.Contains(grants, "arn:"+partition+":iam::") {
					t.Errorf("the grants are for another partition:\n%s", grants)
				}
			})
		})
	}
}

func TestVariants(t *testing.T) {
	unit := awssim.WorkloadsUnitARN
	for name, change := range map[string]func(*publish.Spec){
		"hardened":            func(s *publish.Spec) { s.Key.Policy = "hardened" },
		"units":               func(s *publish.Spec) { s.Share.Organization, s.Share.OrganizationalUnits = false, []string{unit} },
		"accounts":            func(s *publish.Spec) { s.Share.Organization, s.Share.Accounts = false, awssim.MemberAccounts() },
		"accounts, snapshots": func(s *publish.Spec) { s.Share.Accounts, s.Share.Snapshots = awssim.MemberAccounts(), true },
		"accounts, hardened": func(s *publish.Spec) {
			s.Share.Organization, s.Share.Accounts, s.Key.Policy = false, awssim.MemberAccounts(), "hardened"
		},
		"units, hardened": func(s *publish.Spec) {
			s.Share.Organization, s.Share.OrganizationalUnits, s.Key.Policy = false, []string{unit}, "hardened"
		},
		"primary elsewhere": func(s *publish.Spec) {
			s.Key.PrimaryRegion, s.Key.PrimaryRegionSet = "eu-west-1", true
			s.Regions = []string{"us-east-1"}
		},
		"tags": func(s *publish.Spec) {
			s.Key.Tags, s.Image.Tags, s.Image.SnapshotTags = map[string]string{"a": "1"}, map[string]string{"b": "2"}, map[string]string{"c": "3"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				spec := w.spec()
				change(&spec)
				result := w.mustPublish(t, spec)
				w.check(t, result, spec)
				w.checkLaunches(t, result)
				w.sim.ResetJournal()
				w.mustPublish(t, spec)
				if got := w.mutations(); len(got) > 0 {
					t.Errorf("mutating calls of the second run: %v", got)
				}
			})
		})
	}
}

// TestRefusals checks that bad input gets a clear error and changes nothing.
func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		world func(*awssim.WorldFile)
		setUp func(t *testing.T, w *world)
		spec  func(*publish.Spec)
		says  []string
	}{
		"no such image": {
			spec: func(s *publish.Spec) { s.Sources[0].ImageID = "ami-00000000000000000" },
			says: []string{"ami-00000000000000000", "us-east-1", "exist"},
		},
		"another account's image": {
			spec: func(s *publish.Spec) { s.Sources[0].ImageID = publicImage },
			says: []string{"belongs to account", "Publish with the owner's credentials"},
		},
		"instance store": {
			spec: func(s *publish.Spec) { s.Sources[0].ImageID = instanceStoreImage },
			says: []string{"instance-store", "EBS-backed"},
		},
		"region not enabled": {
			spec: func(s *publish.Spec) { s.Regions = append(s.Regions, "af-south-1") },
			says: []string{"af-south-1", "enabled for the account", "enable-region"},
		},
		"no such region": {
			spec: func(s *publish.Spec) { s.Regions = append(s.Regions, "eu-west-9") },
			says: []string{"eu-west-9", "exist in this partition"},
		},
		"alias of a single-Region key": {
			setUp: func(t *testing.T, w *world) { w.makeKey(t, "us-east-1", false, "") },
			says:  []string{"single-Region", "choose another alias"},
		},
		"alias of a disabled key": {
			setUp: func(t *testing.T, w *world) { w.disable(t, "us-east-1", w.makeKey(t, "us-east-1", true, "")) },
			says:  []string{"disabled in us-east-1", "aws kms enable-key"},
		},
		"alias of a key pending deletion": {
			setUp: func(t *testing.T, w *world) { w.scheduleDeletion(t, "us-east-1", w.makeKey(t, "us-east-1", true, "")) },
			says:  []string{"pending deletion", "cancel-key-deletion"},
		},
		"alias of two keys": {
			setUp: func(t *testing.T, w *world) {
				w.makeKey(t, "us-east-1", true, "")
				w.makeKey(t, "eu-west-1", true, "")
			},
			says: []string{"in us-east-1", "in eu-west-1", "one multi-Region key"},
		},
		"key open to the world": {
			setUp: func(t *testing.T, w *world) { w.makeKey(t, "us-east-1", true, openToTheWorld) },
			says:  []string{"open to the world (Everybody)", "aws:PrincipalOrgID"},
		},
		"alias missing, create = false": {
			spec: func(s *publish.Spec) { s.Key.Create = false },
			says: []string{"alias/golden-ami does not exist", "create = true"},
		},
		"a wrong key and a wrong name at once": {
			setUp: func(t *testing.T, w *world) { w.makeKey(t, "us-east-1", false, "") },
			spec:  func(s *publish.Spec) { s.Image.Name = "golden" },
			says:  []string{"single-Region", `has the name "golden"`},
		},
		"primary elsewhere": {
			setUp: func(t *testing.T, w *world) { w.makeKey(t, "us-east-1", true, "") },
			spec:  func(s *publish.Spec) { s.Key.PrimaryRegion, s.Key.PrimaryRegionSet = "eu-west-1", true },
			says:  []string{`set primary_region to "us-east-1"`},
		},
		"no such key": {
			spec: func(s *publish.Spec) { s.Key.Alias, s.Key.ID = "", "mrk-00000000000000000000000000000000" },
			says: []string{"mrk-00000000000000000000000000000000", "exist"},
		},
		"name taken": {
			spec: func(s *publish.Spec) { s.Image.Name = "golden" },
			says: []string{`in us-east-1 has the name "golden"`, "Set `ami_name`"},
		},
		"another organization": {
			spec: func(s *publish.Spec) { s.Organization.ID = "o-anotherorg1" },
			says: []string{"belongs to organization " + awssim.OrganizationID, "organization block"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				if test.setUp != nil {
					test.setUp(t, w)
					time.Sleep(time.Minute) // until it shows
				}
				spec := w.spec()
				if test.spec != nil {
					test.spec(&spec)
				}
				before := w.state()
				w.sim.ResetJournal()
				result, err := w.publish(spec)
				if err == nil {
					t.Fatal("it was published")
				}
				for _, text := range test.says {
					if !strings.Contains(err.Error(), text) {
						t.Errorf("the error does not say %q: %v", text, err)
					}
				}
				if got := w.mutations(); len(got) > 0 {
					t.Errorf("mutating calls: %v", got)
				}
				if diff := cmp.Diff(before, w.state()); diff != "" {
					t.Errorf("the world changed:\n%s", diff)
				}
				m := result.Manifest()
				if m.Complete || len(m.Errors) == 0 || len(result.Images()) > 0 {
					t.Errorf("the manifest says complete %v, errors %v", m.Complete, m.Errors)
				}
				directory := t.TempDir()
				if _, err := result.Write(directory); err != nil {
					t.Fatal(err)
				}
				if err := schema.Validate("orgami-failure.schema.json", []byte(read(t, directory, manifest.FailureFile))); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func read(t *testing.T, directory, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(directory, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// validate checks a manifest against its schema.
func validate(t *testing.T, m manifest.Manifest) {
	t.Helper()
	content, err := manifest.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate("orgami.schema.json", content); err != nil {
		t.Errorf("the manifest does not fit its schema: %v\n%s", err, content)
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
}

// inVirtualTime runs the test in a world with realistic latencies, lags and copy times,
// which pass in virtual time.
func inVirtualTime(t *testing.T, build func() awssim.WorldFile, test func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t, build())) })
}
