package ssmparam_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ram"
	"github.com/aws/aws-sdk-go-v2/service/ram/types"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/ssmparam"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const organization = awssim.OrganizationARN

var advanced = ssmparam.Parameter{Region: region, Name: name, Advanced: true}

func sharing(principals ...string) ssmparam.Sharing {
	return ssmparam.Sharing{Region: region, Name: name, ARN: advanced.ARN("aws", awssim.PublishingAccount), Principals: principals}
}

// inSharingWorld is [inWorld] with an advanced parameter.
func inSharingWorld(t *testing.T, f func(t *testing.T, w *world, client *ram.Client)) {
	t.Helper()
	inWorld(t, func(t *testing.T, w *world) {
		if err := ssmparam.Put(t.Context(), w.client, advanced, first); err != nil {
			t.Fatal(err)
		}
		f(t, w, w.clients.RAM(region))
	})
}

// diff reads the shares, and returns the lines of their plan.
func diff(t *testing.T, client *ram.Client, s ssmparam.Sharing) string {
	t.Helper()
	have, err := ssmparam.ReadShares(t.Context(), client, s, true)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range s.Diff(have) {
		lines = append(lines, c.String())
	}
	return strings.Join(lines, "\n")
}

// TestPutAdvanced checks that a parameter moves to the advanced tier once, although its
// value stays, and stays there when it is updated without the tier.
func TestPutAdvanced(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for i, step := range []struct {
			p        ssmparam.Parameter
			image    string
			versions int
		}{{standard, first, 1}, {advanced, first, 2}, {advanced, first, 2}, {standard, second, 3}} {
			if err := ssmparam.Put(t.Context(), w.client, step.p, step.image); err != nil {
				t.Fatal(err)
			}
			have, err := ssmparam.Read(t.Context(), w.client, advanced)
			if err != nil || have.Value != step.image || have.Advanced != (i > 0) || len(have.Versions) != step.versions {
				t.Errorf("after step %d: %+v, %v", i, have, err)
			}
		}
	})
}

// TestShare checks that a parameter is shared, that sharing it again changes nothing, and
// that more principals are added.
func TestShare(t *testing.T) {
	inSharingWorld(t, func(t *testing.T, w *world, client *ram.Client) {
		many := awssim.MemberAccounts()
		for _, step := range []struct {
			principals []string
			plan       string
			calls      int
		}{
			{[]string{organization}, "+ eu-west-1      parameter share /golden: shares the parameter with " + organization, 1},
			{[]string{organization}, "= eu-west-1      parameter share /golden", 0},
			{append([]string{organization}, many...), "~ eu-west-1      parameter share /golden: shares the parameter with " + strings.Join(many, ", "), 1},
			{append([]string{organization}, many...), "= eu-west-1      parameter share /golden", 0},
			{many[:1], "= eu-west-1      parameter share /golden\n? eu-west-1      parameter share /golden: also shared with " + strings.Join(many[1:], ", ") + ", " + organization, 0},
		} {
			s := sharing(step.principals...)
			if got := diff(t, client, s); got != step.plan {
				t.Errorf("plan for %v:\n%s\nwant\n%s", step.principals, got, step.plan)
			}
			w.sim.ResetJournal()
			have, err := ssmparam.Apply(t.Context(), client, s)
			if n := len(w.sim.Mutations()); err != nil || n != step.calls || have.ARN() == "" {
				t.Errorf("%d calls, %q, %v", n, have.ARN(), err)
			}
		}
		if got := w.sim.ParameterShares(awssim.PublishingAccount); len(got) != 1 {
			t.Errorf("shares: %+v", got)
		}
	})
}

// TestShareLostResponse checks that a lost response to the creation leads to no second
// share, also not if another run creates it before readers see the first.
func TestShareLostResponse(t *testing.T) {
	inSharingWorld(t, func(t *testing.T, w *world, client *ram.Client) {
		w.sim.Inject(awssim.Fault{Operation: "CreateResourceShare", Kind: awssim.ResetAfter})
		if _, err := ssmparam.Apply(t.Context(), client, sharing(organization)); err != nil {
			t.Error(err)
		}
		_, err := client.CreateResourceShare(t.Context(), &ram.CreateResourceShareInput{Name: aws.String("unrelated")})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.sim.ParameterShares(awssim.PublishingAccount); len(got) != 2 {
			t.Errorf("shares: %+v", got)
		}
	})
	inSharingWorld(t, func(t *testing.T, w *world, client *ram.Client) {
		done := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := ssmparam.Apply(t.Context(), client, sharing(organization))
				done <- err
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if got := w.sim.ParameterShares(awssim.PublishingAccount); len(got) != 1 {
			t.Errorf("two runs at once created the shares %+v", got)
		}
	})
}

// TestDeletedShare checks that a share that was deleted is created again, although RAM
// still lists it and remembers its client token.
func TestDeletedShare(t *testing.T) {
	inSharingWorld(t, func(t *testing.T, _ *world, client *ram.Client) {
		for range 2 {
			have, err := ssmparam.Apply(t.Context(), client, sharing(organization))
			if err != nil {
				t.Fatal(err)
			}
			arn := have.ARN()
			if _, err := client.DeleteResourceShare(t.Context(), &ram.DeleteResourceShareInput{ResourceShareArn: &arn}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if got := diff(t, client, sharing(organization)); !strings.HasPrefix(got, "+ ") {
				t.Errorf("plan: %s", got)
			}
		}
		if _, err := ssmparam.Apply(t.Context(), client, sharing(organization)); err != nil {
			t.Error(err)
		}
	})
}

// TestFailedAssociation checks that a failed association is an error with AWS's message,
// and that the next run repeats it although readers still see the failure at first.
func TestFailedAssociation(t *testing.T) {
	for _, entity := range []string{organization, sharing().ARN} {
		inSharingWorld(t, func(t *testing.T, w *world, client *ram.Client) {
			w.sim.FailAssociation(entity, "This is the reason.")
			start := time.Now()
			_, err := ssmparam.Apply(t.Context(), client, sharing(organization))
			if err == nil || !strings.Contains(err.Error(), "the association of "+entity) || !strings.Contains(err.Error(), "failed: This is the reason. Correct") || time.Since(start) > 2*time.Minute {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
			if got := diff(t, client, sharing(organization)); !strings.HasPrefix(got, "~ ") {
				t.Errorf("plan: %s", got)
			}
			if _, err := ssmparam.Apply(t.Context(), client, sharing(organization)); err != nil {
				t.Errorf("the next run: %v", err)
			}
			if got := diff(t, client, sharing(organization)); got != "= eu-west-1      parameter share /golden" {
				t.Errorf("plan: %s", got)
			}
		})
	}
}

// TestShareNeverAssociated checks that the wait ends, and says what is pending.
func TestShareNeverAssociated(t *testing.T) {
	inSharingWorld(t, func(t *testing.T, _ *world, client *ram.Client) {
		s := sharing(awssim.OutsideAccount)
		s.External = true // the account doesn't accept
		if _, err := ssmparam.Apply(t.Context(), client, s); err != nil {
			t.Errorf("an invitation: %v", err)
		}
		s.External = false // so that the account is taken for a member
		start := time.Now()
		_, err := ssmparam.Apply(t.Context(), client, s)
		if err == nil || !strings.Contains(err.Error(), awssim.OutsideAccount+" is ASSOCIATING") || !strings.Contains(err.Error(), "get-resource-share-associations --region eu-west-1 --association-type PRINCIPAL --resource-share-arns arn:aws:ram:eu-west-1:") || time.Since(start) > 6*time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// TestSharesOfOthers checks that all shares with the parameter are read, that those of
// other principals are reported and left alone, and that a second one with the plugin's
// tag is reported.
func TestSharesOfOthers(t *testing.T) {
	inSharingWorld(t, func(t *testing.T, w *world, client *ram.Client) {
		s := sharing(organization)
		create := func(name string, tags ...types.Tag) string {
			answer, err := client.CreateResourceShare(t.Context(), &ram.CreateResourceShareInput{
				Name: &name, Principals: awssim.MemberAccounts()[:1], ResourceArns: []string{s.ARN}, Tags: tags, AllowExternalPrincipals: aws.Bool(len(tags) > 0),
			})
			if err != nil {
				t.Fatal(err)
			}
			return *answer.ResourceShare.ResourceShareArn
		}
		for i := range 4 {
			create(fmt.Sprintf("theirs %d", i))
		}
		time.Sleep(time.Minute)
		got := diff(t, client, s)
		for i := range 4 {
			if want := fmt.Sprintf("the resource share theirs %d (", i); !strings.Contains(got, want) {
				t.Errorf("the plan doesn't say %q:\n%s", want, got)
			}
		}
		if _, err := ssmparam.Apply(t.Context(), client, s); err != nil {
			t.Fatal(err)
		}
		create("copied", types.Tag{Key: aws.String(ssmparam.TagParameter), Value: aws.String(name)})
		time.Sleep(time.Minute)
		s.Prune = true
		got = diff(t, client, s)
		for _, want := range []string{"a second resource share of the parameter exists", "update-resource-share --region eu-west-1", "--no-allow-external-principals'", "- eu-west-1      parameter share /golden: sharing will be removed with " + awssim.MemberAccounts()[0]} {
			if !strings.Contains(got, want) {
				t.Errorf("the plan doesn't say %q:\n%s", want, got)
			}
		}
		have, err := ssmparam.ReadShares(t.Context(), client, s, true)
		if err != nil {
			t.Fatal(err)
		}
		w.sim.ResetJournal()
		if _, err := ssmparam.Remove(t.Context(), client, s, have); err != nil || len(w.sim.Mutations()) != 1 {
			t.Errorf("%d calls, %v", len(w.sim.Mutations()), err)
		}
	})
}

// TestShareProblems checks what the plugin refuses to share.
func TestShareProblems(t *testing.T) {
	long := sharing(organization)
	long.Name = "/" + strings.Repeat("a", 256)
	if got := long.Problem(ssmparam.Shares{}); !strings.Contains(got, "has 257 characters") || !strings.Contains(got, "ssm.name") {
		t.Errorf("a long name: %s", got)
	}
	if got := sharing().Problem(ssmparam.Shares{}); !strings.Contains(got, "lists no account other than the publishing one") {
		t.Errorf("no principals: %s", got)
	}
	inSharingWorld(t, func(t *testing.T, _ *world, client *ram.Client) {
		s := sharing(organization)
		have, err := ssmparam.Apply(t.Context(), client, s)
		if got := s.Problem(have); err != nil || got != "" {
			t.Errorf("%s, %v", got, err)
		}
		s.External = true
		if got := s.Problem(have); !strings.Contains(got, "'aws ram update-resource-share --region eu-west-1 --resource-share-arn "+have.ARN()+" --allow-external-principals'") {
			t.Errorf("an account outside: %s", got)
		}
		if _, err := ssmparam.Apply(t.Context(), client, s); err == nil || !strings.Contains(err.Error(), "external_accounts") {
			t.Errorf("error is %v", err)
		}
	})
}

// TestShareErrors checks that only errors that are known to mean it say that sharing with
// the organization may be off.
func TestShareErrors(t *testing.T) {
	for message, off := range map[string]bool{
		"Organization o-exampleorgid could not be found.": true,
		"OrganizationalUnit ou-1 could not be found.":     true,
		"The resource you are attempting to share can only be shared within your AWS Organization. This error may also occur …": true,
		"Resource arn:aws:ssm:… could not be found.":     false,
		"The request exceeds the limit of your account.": false,
	} {
		inSharingWorld(t, func(t *testing.T, w *world, client *ram.Client) {
			w.sim.Inject(awssim.Fault{Operation: "CreateResourceShare", Kind: awssim.CustomError, Error: &awssim.Error{Status: 400, Code: "UnknownResourceException", Message: message}})
			_, err := ssmparam.Apply(t.Context(), client, sharing(organization))
			if err == nil || !strings.Contains(err.Error(), message) || strings.Contains(err.Error(), "enable-sharing-with-aws-organization' in the management account "+awssim.ManagementAccount) != off {
				t.Errorf("%s: %v", message, err)
			}
		})
	}
}

// TestShareResponses checks that incomplete responses of RAM are errors, and never read as
// a share that doesn't exist.
func TestShareResponses(t *testing.T) {
	for _, fault := range []awssim.Fault{
		{Operation: "GetResourceShares", Kind: awssim.MissingMembers},
		{Operation: "GetResourceShareAssociations", Kind: awssim.MissingMembers},
		{Operation: "GetResourceShares", Kind: awssim.Denied},
		{Operation: "GetResourceShareAssociations", Kind: awssim.Denied},
	} {
		inSharingWorld(t, func(t *testing.T, w *world, client *ram.Client) {
			s := sharing(organization)
			if _, err := ssmparam.Apply(t.Context(), client, s); err != nil {
				t.Fatal(err)
			}
			w.sim.Inject(fault)
			_, err := ssmparam.ReadShares(t.Context(), client, s, true)
			if err == nil || !strings.Contains(err.Error(), fault.Operation) {
				t.Errorf("%s with %s: %v", fault.Operation, fault.Kind, err)
			}
		})
	}
}

// TestEnableSharing checks that the hint names the management account if it is known.
func TestEnableSharing(t *testing.T) {
	for principal, want := range map[string]string{
		organization:          "in the management account " + awssim.ManagementAccount,
		awssim.OutsideAccount: "in the organization's management account",
	} {
		if got := sharing(principal).EnableSharing(); !strings.HasSuffix(got, want) {
			t.Error(got)
		}
	}
	if kind := sharing(organization).Diff(ssmparam.Shares{})[0].Kind; kind != change.ParameterShare {
		t.Errorf("kind %s", kind)
	}
}
