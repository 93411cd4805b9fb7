package retention_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestRetireAsksForReportFirst checks that the first run creates a report and keeps the
// image, that a run while the report is pending does nothing, and that the next one
// retires the image.
func TestRetireAsksForReportFirst(t *testing.T) {
	inVirtualTime(t, func(w *world) {
		old := w.generation(home, "one")
		w.generation(home, "two")
		for _, step := range []struct {
			name       string
			calls      int
			said, left string
		}{
			{"no report", 1, "creates an image usage report", "available"},
			{"pending", 0, "isn't available yet", "available"},
			{"available", 1, "deregistered with its snapshots", ""},
			{"again", 0, "", ""},
		} {
			w.sim.ResetJournal()
			actions := w.plan(retention.RetentionPolicy{Family: family, Keep: 2, DeleteAfter: day}, home)
			if got := describeActions(actions); !strings.Contains(got, step.said) {
				w.Errorf("%s: the plan says %q", step.name, got)
			}
			if n := len(w.sim.Mutations()); n > 0 {
				w.Errorf("%s: planning changes something: %d", step.name, n)
			}
			if err := retention.Retire(w.Context(), w.clients(), actions); err != nil {
				w.Errorf("%s: %v", step.name, err)
			}
			if n := len(w.sim.Mutations()); n != step.calls || w.state(home, old) != step.left {
				w.Errorf("%s: %d changing calls, and the image is %q", step.name, n, w.state(home, old))
			}
			if step.name == "pending" {
				time.Sleep(time.Hour)
			}
		}
	})
}

// TestReportsThatDoNotCount checks that a report that failed, is older than 7
// days, or belongs to another account counts as no report.
func TestReportsThatDoNotCount(t *testing.T) {
	for name, set := range map[string]func(w *world, id string){
		"failed": func(w *world, _ string) {
			w.sim.FailUsageReport(home, "internal error")
			w.reported(deleteOld, home)
		},
		"old": func(w *world, _ string) {
			w.reported(deleteOld, home)
			time.Sleep(7 * day)
		},
		"another's": func(w *world, id string) {
			must(w.own(home).CreateImageUsageReport(w.Context(), &ec2.CreateImageUsageReportInput{
				ImageId: &id, ResourceTypes: []ec2types.ImageUsageResourceTypeRequest{{ResourceType: aws.String("ec2:Instance")}},
			}))(w)
			time.Sleep(time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(w *world) {
				old := w.generation(home, "one")
				time.Sleep(day)
				set(w, old)
				w.sim.ResetJournal()
				w.reported(deleteOld, home)
				if calls := w.sim.Mutations(); len(calls) != 1 || calls[0].Operation != "CreateImageUsageReport" {
					w.Errorf("changing calls: %+v", calls)
				}
				if err := retention.Retire(w.Context(), w.clients(), w.plan(deleteOld, home)); err != nil {
					w.Error(err)
				}
				if state := w.state(home, old); state != "" {
					w.Errorf("with a report that counts, the image is %q", state)
				}
			})
		})
	}
}

// TestUses checks that an image that is in use in any account is kept, and that
// the plan names the account and the kind of use.
func TestUses(t *testing.T) {
	member := awssim.MemberAccounts()[0]
	tests := map[string]struct {
		use  func(w *world, id string)
		said []string
	}{
		"instance": {
			func(w *world, id string) { w.run(awssim.PublishingAccount, home, id) },
			[]string{"instance i-", "(account " + awssim.PublishingAccount + ")"},
		},
		"version of a launch template": {
			func(w *world, id string) {
				w.template(awssim.PublishingAccount, home, "web", id, awssim.BaseImage(home))
			},
			[]string{"launch template lt-", "version 1 (web)"},
		},
		"parameter": {
			func(w *world, id string) { w.parameter(home, "/golden", id) },
			[]string{"SSM parameter arn:aws:ssm:" + home + ":" + awssim.PublishingAccount + ":parameter/golden"},
		},
		"instances of a member": {
			func(w *world, id string) { w.run(member, home, id); w.run(member, home, id); time.Sleep(day) },
			[]string{"2 × instance, by report amiur-", "(account " + member + ")"},
		},
		"launch template of a member": {
			func(w *world, id string) { w.template(member, home, "web", id); time.Sleep(3 * day) },
			[]string{"1 × launch template, by report amiur-", "(account " + member + ")"},
		},
		"launched a week ago by a member": {
			func(w *world, id string) { w.terminate(member, home, w.run(member, home, id)); time.Sleep(5 * day) },
			[]string{"was launched on"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(w *world) {
				used, unused := w.generation(home, "one"), w.generation(home, "two")
				test.use(w, used)
				w.reported(deleteOld, home)
				time.Sleep(day) // the second image has reached its age
				w.reported(deleteOld, home)
				actions := w.plan(deleteOld, home)
				said := describeActions(actions)
				for _, want := range test.said {
					if !strings.Contains(said, want) {
						w.Errorf("the plan does not say %q:\n%s", want, said)
					}
				}
				if err := retention.Retire(w.Context(), w.clients(), actions); err != nil {
					w.Error(err)
				}
				if w.state(home, used) != "available" || w.state(home, unused) != "" {
					w.Errorf("the used image is %q, the other one %q", w.state(home, used), w.state(home, unused))
				}
			})
		})
	}
}

// TestRetireLooksAgain checks that an image that changes after the plan is kept, with
// the reason and the command, and that other images are retired.
func TestRetireLooksAgain(t *testing.T) {
	tag := func(key, value string) func(*world, string) {
		return func(w *world, id string) {
			must(w.own(home).CreateTags(w.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: ami.TagList(map[string]string{key: value})}))(w)
		}
	}
	tests := map[string]struct {
		change func(w *world, id string)
		why    string
	}{
		"state": {func(w *world, id string) {
			must(w.own(home).DisableImage(w.Context(), &ec2.DisableImageInput{ImageId: &id}))(w)
		}, "it was available and is now disabled"},
		"tag":         {tag("keep", "yes"), "its tags changed"},
		"family":      {tag(ami.TagFamily, "silver"), "its tags no longer mark it"},
		"unpublished": {tag(ami.TagState, ami.StateUnpublished), "its tags no longer mark it"},
		"shared":      {func(w *world, id string) { w.share(home, id, "999999999999") }, `"999999999999"`},
		"protection": {func(w *world, id string) {
			must(w.own(home).EnableImageDeregistrationProtection(w.Context(), &ec2.EnableImageDeregistrationProtectionInput{ImageId: &id}))(w)
		}, `its deregistration protection was "disabled"`},
		"instance": {func(w *world, id string) { w.run(awssim.PublishingAccount, home, id) }, "is used by instance i-"},
		"template": {func(w *world, id string) { w.template(awssim.PublishingAccount, home, "web", id) }, "is used by launch template lt-"},
		"report deleted": {func(w *world, _ string) {
			for _, r := range must(w.own(home).DescribeImageUsageReports(w.Context(), &ec2.DescribeImageUsageReportsInput{}))(w).ImageUsageReports {
				must(w.own(home).DeleteImageUsageReport(w.Context(), &ec2.DeleteImageUsageReportInput{ReportId: r.ReportId}))(w)
			}
		}, "its uses in other accounts aren't known"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(w *world) {
				old, elsewhere := w.generation(home, "one"), w.generation(away, "one")
				w.reported(deleteOld, home, away)
				actions := w.plan(deleteOld, home, away)
				test.change(w, old)
				before := w.state(home, old)
				err := retention.Retire(w.Context(), w.clients(), actions)
				for _, want := range []string{old, home, test.why, "aws ec2 deregister-image --region " + home + " --image-id " + old} {
					if err == nil || !strings.Contains(err.Error(), want) {
						w.Errorf("the error does not say %q: %v", want, err)
					}
				}
				if w.state(home, old) != before || w.state(away, elsewhere) != "" {
					w.Errorf("the image is %q, the other Region's %q", w.state(home, old), w.state(away, elsewhere))
				}
			})
		})
	}
}

// TestRetireGone checks that an image that was deregistered since the plan isn't an
// error.
func TestRetireGone(t *testing.T) {
	inVirtualTime(t, func(w *world) {
		old := w.generation(home, "one")
		w.reported(deleteOld, home)
		actions := w.plan(deleteOld, home)
		must(w.own(home).DeregisterImage(w.Context(), &ec2.DeregisterImageInput{ImageId: &old}))(w)
		if err := retention.Retire(w.Context(), w.clients(), actions); err != nil {
			w.Error(err)
		}
	})
}

// TestRetireReportsAllErrors checks that, whatever call fails in one Region, the other
// Region is completed, the error names the failed one, and no image is retired there
// without complete information.
func TestRetireReportsAllErrors(t *testing.T) {
	for _, operation := range []string{
		"DescribeInstances", "DescribeLaunchTemplates", "DescribeImageReferences", "DescribeImageUsageReports", "DescribeImageUsageReportEntries",
		"DescribeImages", "DescribeImageAttribute", "DeregisterImage",
	} {
		t.Run(operation, func(t *testing.T) {
			inVirtualTime(t, func(w *world) {
				old, elsewhere := w.generation(home, "one"), w.generation(away, "one")
				w.reported(deleteOld, home, away)
				actions := w.plan(deleteOld, home, away)
				w.sim.Inject(awssim.Fault{Operation: operation, Region: home, Kind: awssim.Denied, Times: -1})
				err := retention.Retire(w.Context(), w.clients(), actions)
				w.sim.ClearFaults()
				if err == nil || !strings.Contains(err.Error(), home) || !strings.Contains(err.Error(), "ec2:"+operation) {
					w.Errorf("error is %v", err)
				}
				if w.state(home, old) != "available" || w.state(away, elsewhere) != "" {
					w.Errorf("the image is %q, the other Region's %q", w.state(home, old), w.state(away, elsewhere))
				}
			})
		})
	}
}

// TestOperationThatIsNotOffered checks that nothing is disabled or deregistered
// in a Region without image references, and that the plan reports it.
func TestOperationThatIsNotOffered(t *testing.T) {
	for _, operation := range []string{"DescribeImageReferences", "DescribeImageUsageReports"} {
		t.Run(operation, func(t *testing.T) {
			inVirtualTime(t, func(w *world) {
				old := w.generation(home, "one")
				w.reported(deleteOld, home)
				w.sim.Inject(awssim.Fault{
					Operation: operation, Kind: awssim.CustomError, Times: -1,
					Error: &awssim.Error{Status: 400, Code: "InvalidAction", Message: "The action " + operation + " is not valid for this web service."},
				})
				actions := w.plan(deleteOld, home)
				if said := describeActions(actions); !strings.Contains(said, operation) || !strings.Contains(said, "its uses aren't known") {
					w.Errorf("the plan says %q", said)
				}
				if err := retention.Retire(w.Context(), w.clients(), actions); err != nil || w.state(home, old) != "available" {
					w.Errorf("error %v, and the image is %q", err, w.state(home, old))
				}
			})
		})
	}
}

// TestUnpublishedIsNeverTouched checks that no run changes unpublished copies, or
// images without all of the plugin's tags, however old they are.
func TestUnpublishedIsNeverTouched(t *testing.T) {
	inVirtualTime(t, func(w *world) {
		var ids []string
		for name, tags := range map[string]map[string]string{
			"no tags": nil, "no state": marks(ami.TagState), "no publication": marks(ami.TagPublication), "no family": marks(ami.TagFamily),
			"unpublished": {ami.TagPublication: "pub-1", ami.TagFamily: family, ami.TagState: ami.StateUnpublished, ami.TagSourceImage: "ami-1", ami.TagSourceRegion: home},
			"wildcard":    {ami.TagPublication: "pub-1", ami.TagFamily: "golden2", ami.TagState: ami.StatePublished, ami.TagSourceImage: "ami-1", ami.TagSourceRegion: home},
		} {
			ids = append(ids, w.image(home, name, tags))
		}
		time.Sleep(100 * day)
		for _, of := range []string{family, "golden*"} {
			policy := retention.RetentionPolicy{Family: of, Keep: 1, DeprecateAfter: time.Hour, DisableAfter: day, DeleteAfter: 2 * day}
			if actions := w.plan(policy, home); len(actions) != 0 {
				w.Errorf("planned for %s:\n%s", of, describeActions(actions))
			}
		}
		for _, id := range ids {
			if state := w.state(home, id); state != "available" {
				w.Errorf("%s is %q", id, state)
			}
		}
	})
}
