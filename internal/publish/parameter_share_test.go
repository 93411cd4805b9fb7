package publish_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ram"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

func (w *world) ramIn(region string) *ram.Client {
	return ram.NewFromConfig(w.config(awssim.PublishingAccount, region))
}

// sharingSpec is [world.spec] with a shared parameter.
func (w *world) sharingSpec() publish.Spec {
	spec := w.spec()
	spec.Parameter = publish.ParameterSpec{Name: "/golden", Share: true}
	return spec
}

// checkShares compares the account's resource shares: one in each Region with the
// parameter, and the principals.
func (w *world) checkShares(t *testing.T, external bool, principals ...string) {
	t.Helper()
	slices.Sort(principals)
	var want []awssim.ParameterShare
	for _, region := range w.regions {
		want = append(want, awssim.ParameterShare{
			Region: region, External: external, Principals: principals, Tags: map[string]string{"orgami:parameter": "/golden"},
			Resources: []string{"arn:aws:ssm:" + region + ":" + awssim.PublishingAccount + ":parameter/golden"},
		})
	}
	got := w.sim.ParameterShares(awssim.PublishingAccount)
	for i := range got {
		slices.Sort(got[i].Principals)
	}
	byRegion := func(a, b awssim.ParameterShare) int { return strings.Compare(a.Region, b.Region) }
	slices.SortFunc(got, byRegion)
	slices.SortFunc(want, byRegion)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("shares:\n%s", diff)
	}
}

// memberReads is the image that a member account reads through the parameter's ARN, or
// the error.
func (w *world) memberReads(t *testing.T, account, region string) string {
	t.Helper()
	answer, err := ssm.NewFromConfig(w.config(account, region)).GetParameter(t.Context(), &ssm.GetParameterInput{
		Name: aws.String("arn:aws:ssm:" + region + ":" + awssim.PublishingAccount + ":parameter/golden"),
	})
	if err != nil {
		return err.Error()
	}
	return *answer.Parameter.Value
}

// TestSharedParameters checks that the accounts of the organization read the parameter of
// each Region by its ARN, and only they; and that a second run changes nothing.
func TestSharedParameters(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.sharingSpec()
		result := w.mustPublish(t, spec)
		for _, want := range []string{
			"parameter /golden in", "names the image, in the advanced tier, which AWS charges for", "shares the parameter with " + awssim.OrganizationARN,
			"'aws ram enable-sharing-with-aws-organization' in the management account " + awssim.ManagementAccount,
		} {
			if !strings.Contains(w.said(), want) {
				t.Errorf("the plan doesn't say %q:\n%s", want, w.said())
			}
		}
		w.checkShares(t, false, awssim.OrganizationARN)
		for region, image := range result.Images() {
			if got := w.memberReads(t, awssim.MemberAccounts()[1], region); got != image {
				t.Errorf("a member reads %s in %s", got, region)
			}
			if got := w.memberReads(t, awssim.OutsideAccount, region); !strings.Contains(got, "ParameterNotFound") {
				t.Errorf("an account outside reads %s in %s", got, region)
			}
			p := result.Parameters[region]
			if p.ShareARN == "" || p.ARN != "arn:aws:ssm:"+region+":"+awssim.PublishingAccount+":parameter/golden" || !slices.Equal(p.SharedWith, []string{awssim.OrganizationARN}) {
				t.Errorf("the outcome has the parameter %+v", p)
			}
		}
		w.sim.ResetJournal()
		if again := w.mustPublish(t, spec); again.Changed() != 0 {
			t.Errorf("a second run changes %v", again.Changes)
		}
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("a second run changes something: %v", got)
		}
		spec.Image.Name = "next"
		next := w.mustPublish(t, spec)
		for region, image := range next.Images() {
			if got := w.memberReads(t, awssim.MemberAccounts()[1], region); got != image {
				t.Errorf("a member reads %s in %s, not the next image", got, region)
			}
		}
	})
}

// TestParameterBecomesAdvanced checks that sharing upgrades a parameter of the standard
// tier, and that the plan reports it.
func TestParameterBecomesAdvanced(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.sharingSpec()
		spec.Parameter.Share = false
		w.mustPublish(t, spec)
		spec.Parameter.Share = true
		w.mustPublish(t, spec)
		if want := "becomes an advanced parameter, which AWS charges for and which can't become a standard one again"; !strings.Contains(w.said(), want) {
			t.Errorf("the plan doesn't say %q:\n%s", want, w.said())
		}
		w.checkShares(t, false, awssim.OrganizationARN)
	})
}

// TestParameterSharingOff checks that the run's error says who turns on RAM's sharing
// with AWS Organizations, that the images stay published, and that the next run finishes.
func TestParameterSharingOff(t *testing.T) {
	off := func() awssim.WorldFile {
		file := defaultWorld()
		file.Organization.ResourceSharing = false
		return file
	}
	for name, share := range map[string]publish.ShareSpec{
		"organization": {Organization: true},
		"accounts":     {Accounts: awssim.MemberAccounts()[:2]},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, off, func(t *testing.T, w *world) {
				spec := w.sharingSpec()
				spec.Share = share
				result, err := w.publish(spec)
				if err == nil || !strings.Contains(err.Error(), "aws ram enable-sharing-with-aws-organization") || result.Complete {
					t.Errorf("complete %v, error %v", result.Complete, err)
				}
				if share.Organization && !strings.Contains(err.Error(), "in the management account "+awssim.ManagementAccount) {
					t.Errorf("error %v", err)
				}
				if got := w.sim.ParameterShares(awssim.PublishingAccount); len(got) > 0 {
					t.Errorf("shares: %+v", got)
				}
				_, err = ram.NewFromConfig(w.config(awssim.ManagementAccount, w.regions[0])).EnableSharingWithAwsOrganization(t.Context(), &ram.EnableSharingWithAwsOrganizationInput{})
				if err != nil {
					t.Fatal(err)
				}
				w.mustPublish(t, spec)
				if share.Organization {
					w.checkShares(t, false, awssim.OrganizationARN)
				} else {
					w.checkShares(t, false, share.Accounts...)
				}
			})
		})
	}
}

// TestParameterExternalAccounts checks that accounts outside the organization are refused
// unless the configuration allows them.
func TestParameterExternalAccounts(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.sharingSpec()
		spec.Share = publish.ShareSpec{Organization: true, Accounts: []string{awssim.OutsideAccount, awssim.PublishingAccount}}
		_, err := w.publish(spec)
		if err == nil || !strings.Contains(err.Error(), "set ssm.external_accounts") {
			t.Errorf("error is %v", err)
		}
		spec.Parameter.ExternalAccounts = true
		w.mustPublish(t, spec)
		w.checkShares(t, true, awssim.OrganizationARN, awssim.OutsideAccount)
		w.sim.ResetJournal()
		w.mustPublish(t, spec) // the account hasn't accepted its invitation
		if want := "no access yet: RAM's invitation must be accepted by " + awssim.OutsideAccount; !strings.Contains(w.said(), want) {
			t.Errorf("the plan doesn't say %q:\n%s", want, w.said())
		}
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("a second run changes something: %v", got)
		}
	})
}

// TestParameterShareDrift checks that principals that aren't configured are reported, and
// removed only if the configuration asks for that; and only from the plugin's share.
func TestParameterShareDrift(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.sharingSpec()
		spec.Share = publish.ShareSpec{Accounts: awssim.MemberAccounts()[:2]}
		spec.Grants = publish.GrantsSpec{}
		w.mustPublish(t, spec)
		region := w.regions[1]
		arn := "arn:aws:ssm:" + region + ":" + awssim.PublishingAccount + ":parameter/golden"
		_, err := w.ramIn(region).CreateResourceShare(t.Context(), &ram.CreateResourceShareInput{
			Name: aws.String("theirs"), Principals: []string{awssim.MemberAccounts()[2]}, ResourceArns: []string{arn}, AllowExternalPrincipals: aws.Bool(false),
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		removed := spec.Share.Accounts[1]
		spec.Share.Accounts = spec.Share.Accounts[:1]
		w.lines = nil
		w.mustPublish(t, spec)
		for _, want := range []string{"also shared with " + removed, "the resource share theirs (", "also shares the parameter with " + awssim.MemberAccounts()[2]} {
			if !strings.Contains(w.said(), want) {
				t.Errorf("the plan doesn't say %q:\n%s", want, w.said())
			}
		}
		if got := w.memberReads(t, removed, region); !strings.HasPrefix(got, "ami-") {
			t.Errorf("without prune, it reads %s", got)
		}
		spec.Share.Prune = true
		result := w.mustPublish(t, spec)
		if got := result.Parameters[region].SharedWith; !slices.Equal(got, spec.Share.Accounts) {
			t.Errorf("the outcome says that it is shared with %v", got)
		}
		time.Sleep(time.Minute)
		for account, reads := range map[string]bool{removed: false, spec.Share.Accounts[0]: true, awssim.MemberAccounts()[2]: true} {
			if got := w.memberReads(t, account, region); strings.HasPrefix(got, "ami-") != reads {
				t.Errorf("%s reads %s", account, got)
			}
		}
		w.sim.ResetJournal()
		w.mustPublish(t, spec)
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("another run changes something: %v", got)
		}
	})
}

// TestParameterShareOfOthers checks that a share that also has another resource gets no
// principals, and stops the run before anything is changed.
func TestParameterShareOfOthers(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.sharingSpec()
		w.mustPublish(t, spec)
		region := w.regions[0]
		other := spec
		other.Parameter.Name, other.Image.Name = "/other", "other"
		w.mustPublish(t, other)
		shares, err := w.ramIn(region).GetResourceShares(t.Context(), &ram.GetResourceSharesInput{ResourceOwner: "SELF"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.ramIn(region).AssociateResourceShare(t.Context(), &ram.AssociateResourceShareInput{
			ResourceShareArn: shares.ResourceShares[0].ResourceShareArn, ResourceArns: []string{"arn:aws:ssm:" + region + ":" + awssim.PublishingAccount + ":parameter/other"},
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		spec.Share.Accounts = awssim.MemberAccounts()[:1]
		before := w.state()
		plan := spec
		plan.PlanOnly = true
		if o, err := w.publish(plan); err != nil || len(o.Problems) != 1 || !strings.Contains(w.said(), "! "+o.Problems[0]) {
			t.Errorf("the plan doesn't say %q, %v:\n%s", o.Problems, err, w.said())
		}
		_, err = w.publish(spec)
		if err == nil || !strings.Contains(err.Error(), "parameter/other") || !strings.Contains(err.Error(), "Remove that from the share") {
			t.Errorf("error is %v", err)
		}
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("the world changed:\n%s", diff)
		}
	})
}

// TestParameterShareRemoved checks that fail_on_drift reports a principal that was removed
// by hand, and that the next run adds it.
func TestParameterShareRemoved(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.sharingSpec()
		result := w.mustPublish(t, spec)
		region := w.regions[1]
		_, err := w.ramIn(region).DisassociateResourceShare(t.Context(), &ram.DisassociateResourceShareInput{
			ResourceShareArn: aws.String(result.Parameters[region].ShareARN), Principals: []string{awssim.OrganizationARN},
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		audit := spec
		audit.PlanOnly, audit.FailOnDrift = true, true
		o, err := w.publish(audit)
		if err == nil || o.Changed() != 1 {
			t.Errorf("%d changes, error %v", o.Changed(), err)
		}
		if want := "~ parameter share /golden in " + region + ": shares the parameter with " + awssim.OrganizationARN; !strings.Contains(w.said(), want) {
			t.Errorf("the plan doesn't say %q:\n%s", want, w.said())
		}
		w.mustPublish(t, spec)
		w.checkShares(t, false, awssim.OrganizationARN)
	})
}

// TestParameterStillAssociating checks that a run that finds nothing to change still waits
// until RAM has associated what an earlier run requested, and reports its failure.
func TestParameterStillAssociating(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.sharingSpec()
		result := w.mustPublish(t, spec)
		region := w.regions[0]
		w.sim.FailAssociation(awssim.OrganizationARN, "The reason.")
		_, err := w.ramIn(region).AssociateResourceShare(t.Context(), &ram.AssociateResourceShareInput{
			ResourceShareArn: aws.String(result.Parameters[region].ShareARN), Principals: []string{awssim.OrganizationARN},
		})
		if err != nil {
			t.Fatal(err)
		}
		result, err = w.publish(spec) // while the association is pending
		if err == nil || !strings.Contains(err.Error(), "failed: The reason") || result.Complete {
			t.Errorf("complete %v, error %v", result.Complete, err)
		}
		w.mustPublish(t, spec)
		w.checkShares(t, false, awssim.OrganizationARN)
	})
}
