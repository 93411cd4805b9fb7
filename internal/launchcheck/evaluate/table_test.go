package evaluate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/test/golden"
)

// A world in which some launches fail, as a table.
func TestTable(t *testing.T) {
	w := published(1200, "ap-southeast-2", "eu-west-1", "us-east-1")
	w.Accounts = append(w.Accounts, evaluate.Account{ID: owner, Organization: organization, Path: organization + "/r-ab12/"})
	alter := func(region string, alter func(*evaluate.Key)) {
		i := slices.IndexFunc(w.Regions, func(r evaluate.Region) bool { return r.Name == region })
		key := w.Regions[i].Keys[keyARN(region)]
		alter(&key)
		w.Regions[i].Keys[key.ARN] = key
	}
	alter("eu-west-1", func(k *evaluate.Key) { k.Grants = k.Grants[2*42+1:] })
	alter("us-east-1", func(k *evaluate.Key) { k.State = "Disabled" })
	golden.Compare(t, "table", []byte(evaluate.Collect(evaluate.Evaluate(w).Verdicts).Text("orgami.json")))
}

// The sentences and remedies as they are printed in errors.
func TestSentences(t *testing.T) {
	scenes := []struct {
		name  string
		alter func(*scene)
	}{
		{"all holds", func(*scene) {}},
		{"by a grant", func(s *scene) { s.asService(); s.grant(whole()...); s.key.Grants[0].Name = "orgami" }},
		{"pending", func(s *scene) { s.region.Image.State = "pending" }},
		{"disabled", func(s *scene) { s.region.Image.State = "disabled" }},
		{"not shared", func(s *scene) { s.region.Image.Organizations = nil }},
		{"shared with others", func(s *scene) {
			s.region.Image.Organizations = nil
			s.region.Image.OrganizationalUnits, s.region.Image.Accounts = []string{unitARN(apart)}, []string{owner, other, stranger, keyOwner, "444444444444"}
		}},
		{"place not known", func(s *scene) {
			s.account.Path, s.region.Image.Organizations, s.region.Image.OrganizationalUnits = "", nil, []string{unitARN(apart)}
		}},
		{"key of another region", func(s *scene) {
			s.key.ARN = keyARN("us-east-1")
			s.region.Image.Snapshots[0].Key = s.key.ARN
		}},
		{"key of AWS", func(s *scene) { s.key.AWSManaged = true }},
		{"key not read", func(s *scene) { s.key.ARN, s.region.Keys = "", nil }},
		{"key disabled", func(s *scene) { s.key.State = "Disabled" }},
		{"key to be deleted", func(s *scene) { s.key.State = "PendingDeletion" }},
		{"no statement", func(s *scene) { s.keyPolicy(to(owner)) }},
		{"no statement for grants", func(s *scene) {
			s.keyPolicy(strings.Replace(to("*"), "kms:*", "kms:[DGR]*", 1), strings.Replace(to("*"), `"Action":"kms:*"`, `"NotAction":"kms:CreateGrant"`, 1))
		}},
		{"another organization", func(s *scene) { s.account.Organization = "o-other"; s.region.Image.Public = true }},
		{"denied", func(s *scene) {
			s.keyPolicy(to("*"), `{"Sid":"NotThem","Effect":"Deny","Principal":"*","Action":"kms:Re*","Resource":"*"}`)
		}},
		{"denied by itself", func(s *scene) {
			s.identityPolicy(allow+"}", `{"Effect":"Deny","Action":"kms:CreateGrant","Resource":"*"}`)
		}},
		{"no identity policy", func(s *scene) { s.launcher.Policy = nil }},
		{"another key's identity policy", func(s *scene) {
			s.identityPolicy(`{"Effect":"Allow","Action":"kms:*","Resource":"` + keyARN("us-east-1") + `"}`)
		}},
		{"no grant", (*scene).asService},
		{"half a grant", func(s *scene) { s.asService(); s.grant("Decrypt", "DescribeKey"); s.grant("ReEncryptFrom") }},
		{"not understood", func(s *scene) {
			s.keyPolicy(allow + `,"Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`)
		}},
		{"element not understood", func(s *scene) { s.keyPolicy(strings.Replace(to("*"), "Resource", "Resources", 1)) }},
		{"policy not read", func(s *scene) { s.key.Policy = nil }},
		{"organization not known", func(s *scene) {
			s.account.Organization, s.account.Path, s.region.Image.Public = "", "", true
		}},
		{"session", func(s *scene) { s.keyPolicy(to("arn:aws:sts::" + member + ":assumed-role/" + karpenter + "/me")) }},
		{"constrained", func(s *scene) { s.asService(); s.grant(whole()...); s.key.Grants[0].Constrained = true }},
		{"snapshot not read", func(s *scene) { s.region.Image.Snapshots[0] = evaluate.Snapshot{ID: "snap-1"} }},
		{"no snapshots", func(s *scene) { s.region.Image.Snapshots = nil }},
		{"product code", func(s *scene) { s.region.Image.ProductCodes = []string{"abc123def456ghi789"} }},
		{"state of tomorrow", func(s *scene) { s.region.Image.State = "archived" }},
		{"key's state of tomorrow", func(s *scene) { s.key.State = "Rotating" }},
		{"set operator with IfExists", func(s *scene) {
			s.account.Organization, s.region.Image.Public = "none", true
			s.keyPolicy(allow + `,"Principal":"*","Condition":{"ForAnyValue:StringLikeIfExists":{"aws:PrincipalOrgPaths":"o-exampleorgid/*"}}}`)
		}},
		{"EC2's name not confirmed", func(s *scene) {
			s.partition, s.launcher.Policy = "aws-iso", document(allow+"}")
			s.keyPolicy(allow + `,"Principal":"*","Condition":{"StringLike":{"kms:ViaService":"ec2.*.c2s.ic.gov"}}}`)
		}},
		{"a grant of the key's owner", func(s *scene) { s.asService(); s.lend(whole()...) }},
		{"a grant of the owner without an identity policy", func(s *scene) { s.launcher.Policy = nil; s.keyPolicy(to(owner)); s.lend(whole()...) }},
		{"a grant of an unknown account", func(s *scene) { s.asService(); s.grant(whole()...); s.key.Grants[0].IssuingAccount = "" }},
		{"a default EBS key that allows nobody", func(s *scene) {
			s.account.DefaultEBSKeys = map[string]evaluate.Key{region: {ARN: strings.Replace(keyARN(region), owner, member, 1), State: "Enabled", Policy: document(to(other))}}
		}},
		{"a default EBS key that is disabled", func(s *scene) {
			s.account.DefaultEBSKeys = map[string]evaluate.Key{region: {ARN: strings.Replace(keyARN(region), owner, member, 1), State: "Disabled"}}
		}},
		{"Allowed AMIs", func(s *scene) {
			s.account.AllowedAMIs = map[string]evaluate.AllowedAMIs{region: {State: "enabled", Criteria: []evaluate.ImageCriterion{{Providers: []string{"amazon"}}}}}
		}},
		{"Allowed AMIs of tomorrow", func(s *scene) {
			s.account.AllowedAMIs = map[string]evaluate.AllowedAMIs{region: {State: "enabled", Criteria: []evaluate.ImageCriterion{{Other: true}}}}
		}},
		{"service control policies that deny", func(s *scene) {
			s.management = stranger
			s.account.SCPs = [][]evaluate.ControlPolicy{{{Name: "p-1", Document: document(`{"Effect":"Allow","Action":"*","Resource":"*"}`)}, {Name: "p-2", Document: document(`{"Effect":"Deny","Action":"kms:*","Resource":"*"}`)}}}
		}},
		{"service control policies that don't allow", func(s *scene) {
			s.management = stranger
			s.account.SCPs = [][]evaluate.ControlPolicy{{{Name: "p-1", Document: document(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)}}}
		}},
		{"Region not enabled", func(s *scene) { s.account.RegionEnabled = map[string]bool{region: false} }},
		{"grants not read", func(s *scene) { s.asService(); s.key.GrantsUnknown = true }},
	}
	var text strings.Builder
	for _, test := range scenes {
		s := newScene()
		test.alter(s)
		v := s.verdict()
		fmt.Fprintf(&text, "# %s: %s\n", test.name, v.Outcome)
		for _, l := range v.Links {
			if l.Outcome == v.Outcome {
				fmt.Fprintf(&text, "%s: %s\n", l.Name, l.Because)
			}
			if l.Remedy != "" {
				fmt.Fprintf(&text, "  %s: %s\n", strings.TrimSuffix("remedy, "+l.Note, ", "), l.Remedy)
			}
		}
		text.WriteByte('\n')
	}
	golden.Compare(t, "sentences", []byte(text.String()))
}

// Verdicts are sorted by Region, account and launcher, whatever the order of
// the input.
func TestOrder(t *testing.T) {
	w := published(3, "us-east-1", "eu-west-1")
	slices.Reverse(w.Accounts)
	slices.Reverse(w.Launchers)
	var got []string
	for _, v := range evaluate.Evaluate(w).Verdicts {
		got = append(got, v.Region+" "+v.Account+" "+v.Launcher)
	}
	if len(got) != 18 || !slices.IsSorted(got) {
		t.Errorf("%q", got)
	}
	if w.Launchers[0].Name != "Karpenter" && w.Accounts[0].ID < w.Accounts[1].ID {
		t.Error("the world was sorted as well")
	}
}

// Accounts that launch for the same reason are one case, although each has its own
// grants. The owner's account in the ARNs of its keys doesn't separate cases.
func TestCollect(t *testing.T) {
	w := published(40, region)
	w.Accounts = append(w.Accounts, evaluate.Account{ID: owner, Organization: organization, Path: unitPath})
	matrix := evaluate.Collect(evaluate.Evaluate(w).Verdicts)
	if len(matrix) != 6 || matrix.Count(evaluate.Launches) != 41*3 {
		t.Errorf("%d cases, %d launches", len(matrix), matrix.Count(evaluate.Launches))
	}
	for _, c := range matrix {
		for _, l := range c.Links {
			if strings.Contains(l.Because+l.Remedy, "kms:"+region+":"+evaluate.Placeholder) || len(c.Accounts) > 1 && strings.Contains(l.Because, w.Accounts[0].ID) {
				t.Errorf("%s %s: %s", c.Launcher, l.Name, l.Because)
			}
		}
	}
}

// Each cause is listed once with all its cases, and the worst comes first.
func TestCauses(t *testing.T) {
	w := published(1200, "ap-southeast-2", "eu-west-1", "us-east-1")
	for i, r := range w.Regions {
		key := r.Keys[keyARN(r.Name)]
		if r.Name == "us-east-1" || r.Name == "eu-west-1" {
			key.State = "Disabled"
		} else {
			key.Grants = key.Grants[2*42+1:]
		}
		w.Regions[i].Keys[key.ARN] = key
	}
	matrix := evaluate.Collect(evaluate.Evaluate(w).Verdicts)
	causes := matrix.Causes()
	checks := 0
	var links []string
	for _, c := range causes {
		checks += c.Checks
		links = append(links, c.Link)
		if strings.Contains(c.Because, evaluate.Placeholder) || len(c.Remedies) == 0 {
			t.Errorf("%s: %q, %d remedies", c.Link, c.Because, len(c.Remedies))
		}
	}
	if want := matrix.Total() - matrix.Count(evaluate.Launches); checks != want {
		t.Errorf("the causes decide %d checks of %d", checks, want)
	}
	if want := []string{"key-state", "grant", "grant"}; !slices.Equal(links, want) {
		t.Fatalf("the causes are %v", links)
	}
	if c := causes[0]; len(c.Regions) != 2 || len(c.Launchers) != 3 || len(c.Remedies) != 2 || !strings.Contains(c.Because, ":kms:*:") || c.Remedies[0].Where != "eu-west-1" {
		t.Errorf("%+v", c)
	}
}
