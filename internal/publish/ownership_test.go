package publish_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestCanceledRunKeepsWhatAnotherPublished checks that two runs of one image start a
// second apart and get the same copies, since their client tokens are the same. One
// completes, the other is canceled.
func TestCanceledRunKeepsWhatAnotherPublished(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		lock := mutex()
		canceled, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		var complete outcome
		group.Go(func() {
			var err error
			if complete, err = w.publishLocked(t.Context(), w.spec(), lock); err != nil {
				t.Errorf("the first run: %v", err)
			}
			cancel()
		})
		group.Go(func() {
			time.Sleep(time.Second)
			if _, err := w.publishLocked(canceled, w.spec(), lock); err == nil {
				t.Log("the second run completed before it was canceled")
			}
		})
		group.Wait()
		w.checkComplete(t, complete)
	})
}

// TestFailingCheckKeepsWhatAnotherPublished checks that a run copies; a second finds
// the copies and publishes them; then the launch checks of the first one fail (defect
// D1, the other way).
func TestFailingCheckKeepsWhatAnotherPublished(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		w.mustPublish(t, w.spec())
		withDeny(t, w)
		first, second := w.spec(), w.spec()
		first.Image.Name, second.Image.Name = "golden-2", "golden-2"
		second.Check = publish.CheckOff
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := w.publish(first); err == nil || !strings.Contains(err.Error(), "would fail") {
				t.Errorf("the first run ends with: %v", err)
			}
		})
		var complete outcome
		group.Go(func() {
			time.Sleep(time.Minute) // it finds the copies, pending
			complete = w.mustPublish(t, second)
		})
		group.Wait()
		w.checkComplete(t, complete)
	})
}

// TestDisabledImageIsKept checks that publishing over a disabled image changes nothing
// and says how to enable it.
func TestDisabledImageIsKept(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		published := w.mustPublish(t, w.spec()).Images()
		id := published["eu-west-1"]
		client := ec2.NewFromConfig(w.config(awssim.PublishingAccount, "eu-west-1"))
		done(client.DisableImage(t.Context(), &ec2.DisableImageInput{ImageId: &id}))(t)
		time.Sleep(time.Minute)
		w.sim.ResetJournal()
		_, err := w.publish(w.spec())
		if err == nil || !strings.Contains(err.Error(), "aws ec2 enable-image --region eu-west-1 --image-id "+id) {
			t.Errorf("the run ends with: %v", err)
		}
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("the run changed: %v", got)
		}
		for region, id := range published {
			if found := w.described(t, region, id); found.ImageId == nil {
				t.Errorf("image %s in %s is gone", id, region)
			}
		}
	})
}

// TestDisabledWhileItIsPublished checks that an image that someone disables while the
// run shares it is never reported as published.
func TestDisabledWhileItIsPublished(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		w.sim.OnCall(func(call awssim.Entry) {
			if call.Operation == "ModifyImageAttribute" && call.Region == "eu-west-1" && !call.DryRun {
				w.sim.OnCall(nil)
				for _, image := range w.ourCopies() {
					if image.Region == "eu-west-1" {
						client := ec2.NewFromConfig(w.config(awssim.PublishingAccount, "eu-west-1"))
						done(client.DisableImage(t.Context(), &ec2.DisableImageInput{ImageId: &image.ID}))(t)
					}
				}
			}
		})
		result, err := w.publish(w.spec())
		if err == nil || result.Complete || !strings.Contains(err.Error(), "eu-west-1") {
			t.Errorf("complete %v, error %v", result.Complete, err)
		}
	})
}

// TestSharingFailsHalfway checks that when sharing fails in one Region, the others stay
// shared, since every image was verified and checked before. The error names the
// Regions that were reached, and the next run finishes.
func TestSharingFailsHalfway(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
			if call.Operation == "ModifyImageAttribute" && call.Region == "eu-west-1" && !call.DryRun {
				return &awssim.Fault{Kind: awssim.Denied}
			}
			return nil
		})
		result, err := w.publish(w.spec())
		if err == nil || !strings.Contains(err.Error(), "shared in ap-southeast-2, us-east-1. They aren't shared, or may not be, in eu-west-1") {
			t.Errorf("error is %v", err)
		}
		if len(result.Unpublished) != 3 {
			t.Errorf("unpublished copies: %v", result.Unpublished)
		}
		shared := 0
		for _, u := range result.Unpublished {
			if u.SharedWith.Any() {
				shared++
			}
		}
		if shared != 2 {
			t.Errorf("%d copies are listed as shared: %v", shared, result.Unpublished)
		}
		w.sim.ClearFaults()
		w.checkComplete(t, w.mustPublish(t, w.spec()))
	})
}

// existingCopies leaves unshared copies, as a run that was interrupted before
// sharing does.
func existingCopies(t *testing.T, w *world) {
	t.Helper()
	w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
		if call.Operation == "ModifyImageAttribute" && !call.DryRun {
			return &awssim.Fault{Kind: awssim.Denied}
		}
		return nil
	})
	if _, err := w.publish(w.spec()); err == nil {
		t.Fatal("it was published")
	}
	w.sim.ClearFaults()
	if len(w.ourCopies()) != 3 {
		t.Fatalf("%d copies", len(w.ourCopies()))
	}
}

// TestFailingCheckAddsNoPermission checks that launch checks run before sharing, so
// copies that existed before get no permission when the checks fail. A Deny
// that the plan's read doesn't show yet is found by the checks of the copies.
func TestFailingCheckAddsNoPermission(t *testing.T) {
	for name, settled := range map[string]time.Duration{"the plan's read shows the Deny": time.Minute, "it doesn't": 0} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				existingCopies(t, w)
				withDenyIn(t, w, "eu-west-1")
				time.Sleep(settled)
				spec := w.spec()
				if settled == 0 {
					spec.Image.Name = "golden-2" // its copies take until the Deny shows
				}
				result, err := w.publish(spec)
				early := err != nil && strings.Contains(err.Error(), "changed nothing: "+foreseen)
				late := err != nil && result.Checks.Matrix.Count(evaluate.Fails) > 0
				if early != (settled > 0) || late == early {
					t.Fatalf("error is %v", err)
				}
				for _, image := range w.ourCopies() {
					if len(image.LaunchPermissions) > 0 {
						t.Errorf("image %s in %s is shared with %v", image.ID, image.Region, image.LaunchPermissions)
					}
				}
			})
		})
	}
}

// TestUnreadableChecks checks that what can't be read makes checks inconclusive. With
// `fail` nothing is shared, with `warn` the publication continues.
func TestUnreadableChecks(t *testing.T) {
	for mode, complete := range map[publish.Check]bool{publish.CheckFail: false, publish.CheckWarn: true} {
		t.Run(string(mode), func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				existingCopies(t, w)
				reads := 0
				w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
					if call.Operation != "GetKeyPolicy" {
						return nil
					}
					if reads++; reads > len(w.regions) { // the reads for the plan are done
						return &awssim.Fault{Kind: awssim.CustomError, Error: &awssim.Error{Status: 400, Code: "SomethingException", Message: "no"}}
					}
					return nil
				})
				spec := w.spec()
				spec.Check = mode
				result, err := w.publish(spec)
				w.sim.ClearFaults()
				if result.Complete != complete || (err == nil) != complete {
					t.Errorf("complete %v, error %v", result.Complete, err)
				}
				if result.Checks.Err == nil || result.Checks.Matrix.Count(evaluate.Launches) > 0 {
					t.Errorf("the checks are %v, %v", result.Checks.Matrix, result.Checks.Err)
				}
				for _, image := range w.ourCopies() {
					if (len(image.LaunchPermissions) > 0) != complete {
						t.Errorf("image %s in %s is shared with %v", image.ID, image.Region, image.LaunchPermissions)
					}
				}
				w.checkComplete(t, w.mustPublish(t, w.spec()))
			})
		})
	}
}

// TestResumeWithoutTheSource checks that a publication that failed is finished from the
// kept copies although the source AMI is gone; the missing Region is copied from one of
// them.
func TestResumeWithoutTheSource(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		w.sim.FailCopy("eu-west-1", "the quota is used up")
		failed, err := w.publish(w.spec())
		if err == nil {
			t.Fatal("it was published")
		}
		time.Sleep(timing.CopyTime)
		w.deregisterSource(t)
		resume := w.failure(t, failed)
		if resume.Resume == nil {
			t.Fatalf("the failure doesn't say how to resume: %+v", resume)
		}
		for name, sources := range map[string][]publish.Source{
			"the kept copy": {{Region: resume.Resume.Region, ImageID: resume.Resume.ImageID}},
			"the source":    w.spec().Sources,
		} {
			spec := w.spec()
			spec.Sources, spec.Image.Name = sources, resume.Resume.AMIName
			result := w.mustPublish(t, spec)
			t.Log(name)
			w.checkComplete(t, result)
			if len(result.Images()) != 3 {
				t.Errorf("%s: published %v", name, result.Images())
			}
		}
	})
}

// failure is the record of a failed run.
func (w *world) failure(t *testing.T, o outcome) manifest.Failure {
	t.Helper()
	directory := t.TempDir()
	if _, err := o.Write(directory); err != nil {
		t.Fatal(err)
	}
	var f manifest.Failure
	if err := json.Unmarshal([]byte(read(t, directory, manifest.FailureFile)), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func (w *world) deregisterSource(t *testing.T) {
	t.Helper()
	client := ec2.NewFromConfig(w.config(awssim.PublishingAccount, w.regions[0]))
	done(client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: aws.String(sourceImage), DeleteAssociatedSnapshots: aws.Bool(true)}))(t)
	time.Sleep(time.Minute)
}

// TestPendingCopyDisappears checks that a copy that someone deregisters while the run
// waits for it is replaced.
func TestPendingCopyDisappears(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		var copying atomic.Int32
		w.sim.OnCall(func(call awssim.Entry) {
			if call.Operation != "DescribeImages" || call.Region != "eu-west-1" || copying.Add(1) != 20 {
				return
			}
			for _, image := range w.ourCopies() {
				if image.Region == "eu-west-1" && image.State == "pending" {
					client := ec2.NewFromConfig(w.config(awssim.PublishingAccount, "eu-west-1"))
					done(client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &image.ID}))(t)
				}
			}
		})
		result := w.mustPublish(t, w.spec())
		w.sim.OnCall(nil)
		w.checkComplete(t, result)
		if n := w.mutations()["ec2 CopyImage"]; n < 4 {
			t.Errorf("CopyImage was called %d times", n)
		}
	})
}

// TestFailFast checks that when one Region fails permanently, the run doesn't wait for
// the others. The pending copies stay, and the next run uses them.
func TestFailFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, defaultWorld(), timing)
		w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
			if call.Operation == "CopyImage" && call.Region == "eu-west-1" && !call.DryRun {
				return &awssim.Fault{Kind: awssim.Denied}
			}
			return nil
		})
		start := time.Now()
		result, err := w.publish(w.spec())
		if err == nil || !strings.Contains(err.Error(), "eu-west-1") {
			t.Errorf("error is %v", err)
		}
		if took := time.Since(start); took > 3*time.Minute {
			t.Errorf("the run went on for %v", took)
		}
		if len(result.Unpublished) != 2 {
			t.Errorf("unpublished copies: %v", result.Unpublished)
		}
		w.sim.ClearFaults()
		w.sim.ResetJournal()
		w.checkComplete(t, w.mustPublish(t, w.spec()))
		if diff := cmp.Diff(map[string]int{"us-east-1": 1, "eu-west-1": 1, "ap-southeast-2": 1}, w.copies()); diff != "" {
			t.Errorf("copies by Region:\n%s", diff)
		}
	})
}

// TestConcurrentCopyLimit checks that a refusal of one more concurrent copy is waited
// for.
func TestConcurrentCopyLimit(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		refused := 0
		w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
			if call.Operation == "CopyImage" && call.Region == "eu-west-1" && !call.DryRun {
				if refused++; refused <= 5 {
					return &awssim.Fault{Kind: awssim.CustomError, Error: &awssim.Error{Status: 400, Code: "ResourceLimitExceeded", Message: "too many"}}
				}
			}
			return nil
		})
		w.checkComplete(t, w.mustPublish(t, w.spec()))
		if !strings.Contains(w.said(), "EC2 doesn't allow another concurrent copy") {
			t.Errorf("the wait isn't reported:\n%s", w.said())
		}
	})
}

// TestUnpublishedCopiesAreListed checks that a plan lists the copies that failed runs
// left, whatever their name, with the commands that remove them; but no command removes
// the only copy of an original.
func TestUnpublishedCopiesAreListed(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		existingCopies(t, w)
		spec := w.spec()
		spec.Image.Name, spec.PlanOnly = "another", true
		summary := w.mustPublish(t, spec).Summary()
		for _, part := range []string{"3 unpublished copies", "28 GiB", "aws ec2 deregister-image --region eu-west-1", "not shared", `"golden-shared"`} {
			if !strings.Contains(summary, part) {
				t.Errorf("the summary lacks %q:\n%s", part, summary)
			}
		}
		w.deregisterSource(t)
		kept := w.ourCopies()[0]
		spec.Sources = []publish.Source{{Region: kept.Region, ImageID: kept.ID}}
		summary = w.mustPublish(t, spec).Summary()
		if strings.Contains(summary, "deregister-image") || !strings.Contains(summary, "may be the only copy") {
			t.Errorf("the summary tells to remove copies of an original that is gone:\n%s", summary)
		}
	})
}

// TestUnpublishedCopiesOfOthersNeverBlock checks that unpublished copies of another
// source, of the same name, don't keep an image from being published.
func TestUnpublishedCopiesOfOthersNeverBlock(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		existingCopies(t, w)
		id := w.buildAnother(t)
		spec := w.spec()
		spec.Sources[0].ImageID, spec.Image.Name = id, "golden-shared"
		result := w.mustPublish(t, spec)
		if len(result.Images()) != 3 || len(result.Unpublished) != 3 {
			t.Errorf("published %v, unpublished %v", result.Images(), result.Unpublished)
		}
		// Now the name counts as that of the first source.
		if _, err := w.publish(w.spec()); err == nil || !strings.Contains(err.Error(), "is a copy of "+id) {
			t.Errorf("error is %v", err)
		}
	})
}

// buildAnother copies the source image, as another build would.
func (w *world) buildAnother(t *testing.T) string {
	t.Helper()
	client := ec2.NewFromConfig(w.config(awssim.PublishingAccount, w.regions[0]))
	answer, err := client.CopyImage(t.Context(), &ec2.CopyImageInput{SourceRegion: &w.regions[0], SourceImageId: aws.String(sourceImage), Name: aws.String("golden-next")})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(timing.CopyTime + time.Minute)
	return aws.ToString(answer.ImageId)
}

// TestCopiesInOtherRegionsOfTheKeyAreListed checks that a publication to fewer Regions
// still lists what an earlier run left in the others.
func TestCopiesInOtherRegionsOfTheKeyAreListed(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		existingCopies(t, w)
		spec := w.spec()
		spec.Regions = spec.Regions[:1]
		result := w.mustPublish(t, spec)
		if len(result.Unpublished) != 2 {
			t.Errorf("unpublished copies: %v", result.Unpublished)
		}
	})
}

// TestUnreadableKey checks that with `fail`, nothing is shared if the account's own key
// can't be read for the launch checks, whatever AWS's reason.
func TestUnreadableKey(t *testing.T) {
	for _, operation := range []string{"DescribeKey", "GetKeyPolicy"} {
		t.Run(operation, func(t *testing.T) {
			inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
				existingCopies(t, w)
				verified := false
				w.sim.Interpose(func(call awssim.Entry) *awssim.Fault {
					// The plan is made, and the images are read back with their snapshots.
					verified = verified || call.Operation == "DescribeSnapshots" && strings.Contains(w.said(), "Plan:")
					if verified && call.Operation == operation {
						return &awssim.Fault{Kind: awssim.Denied}
					}
					return nil
				})
				w.lines = nil
				result, err := w.publish(w.spec())
				if err == nil || result.Complete || !strings.Contains(err.Error(), operation+" returned AccessDenied") {
					t.Errorf("complete %v, error %v", result.Complete, err)
				}
				for _, image := range w.ourCopies() {
					if len(image.LaunchPermissions) > 0 {
						t.Errorf("image %s in %s is shared with %v", image.ID, image.Region, image.LaunchPermissions)
					}
				}
			})
		})
	}
}

// TestTooManyPermissions checks that more launch permissions than EC2 allows are a
// problem of the plan.
func TestTooManyPermissions(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.spec()
		spec.Share.Organization, spec.Grants = false, publish.GrantsSpec{}
		for n := range 1001 {
			spec.Share.Accounts = append(spec.Share.Accounts, fmt.Sprintf("%012d", 300000000000+n))
		}
		_, err := w.publish(spec)
		if err == nil || !strings.Contains(err.Error(), "1001 organizations, units and accounts, and EC2 allows 1000") {
			t.Errorf("error is %v", err)
		}
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("mutating calls: %v", got)
		}
	})
}

// TestPlannedPolicies checks that a plan's manifest has each policy before and after.
func TestPlannedPolicies(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.spec()
		spec.PlanOnly = true
		if planned := w.mustPublish(t, spec).Manifest().Key.PlannedPolicies; len(planned) != 3 {
			t.Errorf("policies are planned for %d Regions", len(planned))
		}
		spec.PlanOnly = false
		w.mustPublish(t, spec)
		takeOurStatement(t, w)
		time.Sleep(time.Minute)
		spec.PlanOnly = true
		w.lines = nil
		m := w.mustPublish(t, spec).Manifest()
		for _, region := range w.regions {
			before, after := m.Key.Regions[region].Policy, m.Key.PlannedPolicies[region]
			if slices.Contains(before.Sids(), policy.SidOrganization) || !slices.Contains(after.Sids(), policy.SidOrganization) {
				t.Errorf("%s: before %v, after %v", region, before.Sids(), after.Sids())
			}
		}
		if !strings.Contains(w.said(), `+ {"Sid": "ShareAMIToAccounts"`) {
			t.Errorf("the plan doesn't show what changes:\n%s", w.said())
		}
	})
}

// TestManifestListsUnpublishedCopies checks that what is recorded lists them, too.
func TestManifestListsUnpublishedCopies(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		w.sim.FailCopy("eu-west-1", "the quota is used up")
		if _, err := w.publish(w.spec()); err == nil {
			t.Fatal("it was published")
		}
		var recorded publish.Outcome
		clients := awsclient.New(w.config(awssim.PublishingAccount, w.regions[0]))
		runner := publish.Runner{Clients: clients, Reporter: w.reporter(), Lock: unlocked, Record: func(o publish.Outcome) error { recorded = o; return nil }}
		if _, err := runner.Run(t.Context(), w.spec()); err != nil {
			t.Fatal(err)
		}
		if !recorded.Complete || len(recorded.Unpublished) != 1 {
			t.Errorf("complete %v, unpublished %v", recorded.Complete, recorded.Unpublished)
		}
	})
}
