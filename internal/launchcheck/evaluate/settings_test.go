package evaluate_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// These launches depend on the key of a volume in an account that doesn't own the
// image.
func TestVolumeKey(t *testing.T) {
	const arn = "arn:aws:kms:" + region + ":" + member + ":key/0a1b2c3d-0000-0000-0000-000000000000"
	key := func(alter func(*evaluate.Key)) func(*scene) {
		return func(s *scene) {
			k := evaluate.Key{ARN: arn, State: "Enabled", Policy: document(to("arn:aws:iam::" + member + ":root"))}
			alter(&k)
			s.account.DefaultEBSKeys = map[string]evaluate.Key{region: k}
		}
	}
	policies := func(statements ...string) func(*scene) {
		return key(func(k *evaluate.Key) { k.Policy = document(statements...) })
	}
	all := func(s *scene) { s.identityPolicy(allow + "}") }
	granted := func(s *scene) { s.asService(); s.grant(whole()...) }
	managed := key(func(k *evaluate.Key) { k.AWSManaged, k.Policy, k.State = true, nil, "" })
	check(t, []ruling{
		{"aws/ebs needs nothing", managed, evaluate.Launches, ""},
		{"aws/ebs needs nothing for a service", steps(granted, managed), evaluate.Launches, ""},
		{"the emitted policy is not for another key", policies(to("arn:aws:iam::" + member + ":root")), evaluate.Fails, "volume-key"},
		{"the role's policy and the account's statement are enough", steps(all, policies(to("arn:aws:iam::"+member+":root"))), evaluate.Launches, ""},
		{"a service-linked role needs to be named", steps(granted, policies(to("arn:aws:iam::"+member+":root"))), evaluate.Fails, "volume-key"},
		{"a service-linked role that is named launches", steps(granted, policies(to(roleARN(member, autoScaling)))), evaluate.Launches, ""},
		{"a service-linked role with a grant on it launches", steps(granted, key(func(k *evaluate.Key) {
			k.Grants = []evaluate.Grant{{ID: "g", Grantee: roleARN(member, autoScaling), Operations: whole()}}
		})), evaluate.Launches, ""},
		{"a key that is disabled fails", steps(all, key(func(k *evaluate.Key) { k.State = "Disabled" })), evaluate.Fails, "volume-key"},
		{"a key whose state is not known is inconclusive", steps(all, key(func(k *evaluate.Key) { k.State = "" })), evaluate.Inconclusive, "volume-key"},
		{"a key whose policy is not known is inconclusive", steps(all, key(func(k *evaluate.Key) { k.Policy = nil })), evaluate.Inconclusive, "volume-key"},
		{"a key without an ARN is inconclusive", steps(all, key(func(k *evaluate.Key) { k.ARN = "" })), evaluate.Inconclusive, "volume-key"},
		{"a key of another Region fails", steps(all, key(func(k *evaluate.Key) { k.ARN = strings.Replace(arn, region, "us-east-1", 1) })), evaluate.Fails, "volume-key"},
		{"another Region's default key doesn't matter", func(s *scene) {
			s.account.DefaultEBSKeys = map[string]evaluate.Key{"us-east-1": {ARN: arn, State: "Disabled"}}
		}, evaluate.Launches, ""},
		{"the owner's volumes keep the snapshot's key", steps((*scene).inOwnersAccount, key(func(k *evaluate.Key) { k.State = "Disabled" })), evaluate.Launches, ""},
		{"volumes of an unencrypted image have no key", steps(func(s *scene) {
			s.region.Image.Snapshots = []evaluate.Snapshot{plain("snap-1")}
		}, key(func(k *evaluate.Key) { k.State = "Disabled" })), evaluate.Launches, ""},
		{"a link of the image's key fails first", steps(key(func(k *evaluate.Key) { k.State = "Disabled" }), func(s *scene) { s.key.State = "Disabled" }), evaluate.Fails, "key-state"},
	})
}

// An image that the account doesn't see although it should.
func TestSeesImage(t *testing.T) {
	sees := func(sees bool) func(*scene) {
		return func(s *scene) { s.account.SeesImage = map[string]bool{region: sees} }
	}
	check(t, []ruling{
		{"the account sees it", sees(true), evaluate.Launches, ""},
		{"the account doesn't see it", sees(false), evaluate.Inconclusive, "shared"},
		{"the account doesn't see it, because it isn't shared", steps(sees(false), func(s *scene) { s.region.Image.Organizations = nil }), evaluate.Fails, "shared"},
		{"the account doesn't see it, because Allowed AMIs hides it", steps(sees(false), func(s *scene) {
			s.account.AllowedAMIs = map[string]evaluate.AllowedAMIs{region: {State: "enabled", Criteria: []evaluate.ImageCriterion{{Providers: []string{other}}}}}
		}), evaluate.Fails, "allowed-amis"},
		{"its owner needn't see it", steps(sees(false), (*scene).inOwnersAccount), evaluate.Launches, ""},
	})
}

func TestAllowedAMIs(t *testing.T) {
	now := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	days := func(n int) *int { return &n }
	setting := func(state string, criteria ...evaluate.ImageCriterion) func(*scene) {
		return func(s *scene) {
			s.now = now
			s.region.Image.Name, s.region.Image.Created = "golden-2026", now.AddDate(0, 0, -10)
			s.account.AllowedAMIs = map[string]evaluate.AllowedAMIs{region: {State: state, Criteria: criteria}}
		}
	}
	enabled := func(criteria ...evaluate.ImageCriterion) func(*scene) { return setting("enabled", criteria...) }
	deprecated := func(ago int, most *int) func(*scene) {
		return steps(enabled(evaluate.ImageCriterion{MaximumDaysSinceDeprecated: most}), func(s *scene) { s.region.Image.Deprecated = now.AddDate(0, 0, -ago) })
	}
	elsewhere := evaluate.ImageCriterion{Providers: []string{"amazon", other}}
	check(t, []ruling{
		{"a setting that is disabled", setting("disabled", elsewhere), evaluate.Launches, ""},
		{"a setting in audit mode", setting("audit-mode", elsewhere), evaluate.Launches, ""},
		{"a setting in a state of tomorrow", setting("strict", elsewhere), evaluate.Inconclusive, "allowed-amis"},
		{"the owner as a provider", enabled(evaluate.ImageCriterion{Providers: []string{"amazon", owner}}), evaluate.Launches, ""},
		{"other providers", enabled(elsewhere), evaluate.Fails, "allowed-amis"},
		{"no provider", enabled(evaluate.ImageCriterion{Providers: []string{"none"}}), evaluate.Fails, "allowed-amis"},
		{"AWS Backup as a provider", enabled(evaluate.ImageCriterion{Providers: []string{"aws-backup-vault"}}), evaluate.Inconclusive, "allowed-amis"},
		{"one criterion of two", enabled(elsewhere, evaluate.ImageCriterion{Providers: []string{owner}}), evaluate.Launches, ""},
		{"the owner with another name", enabled(evaluate.ImageCriterion{Providers: []string{owner}, Names: []string{"base-*"}}), evaluate.Fails, "allowed-amis"},
		{"the owner with the name", enabled(evaluate.ImageCriterion{Providers: []string{owner}, Names: []string{"base-*", "gold??-*"}}), evaluate.Launches, ""},
		{"an image without a known name", steps(enabled(evaluate.ImageCriterion{Names: []string{"*"}}), func(s *scene) { s.region.Image.Name = "" }), evaluate.Inconclusive, "allowed-amis"},
		{"a product code", enabled(evaluate.ImageCriterion{ProductCodes: []string{"abc"}}), evaluate.Fails, "allowed-amis"},
		{"a young image", enabled(evaluate.ImageCriterion{MaximumDaysSinceCreated: days(10)}), evaluate.Launches, ""},
		{"an old image", enabled(evaluate.ImageCriterion{MaximumDaysSinceCreated: days(9)}), evaluate.Fails, "allowed-amis"},
		{"an image of unknown age", steps(enabled(evaluate.ImageCriterion{MaximumDaysSinceCreated: days(9)}), func(s *scene) { s.region.Image.Created = time.Time{} }), evaluate.Inconclusive, "allowed-amis"},
		{"an image that is never deprecated", enabled(evaluate.ImageCriterion{MaximumDaysSinceDeprecated: days(0)}), evaluate.Launches, ""},
		{"an image that will be deprecated", deprecated(-1, days(0)), evaluate.Launches, ""},
		{"a deprecated image", deprecated(1, days(0)), evaluate.Fails, "allowed-amis"},
		{"an image that was deprecated lately", deprecated(3, days(3)), evaluate.Launches, ""},
		{"an image that was deprecated long ago", deprecated(4, days(3)), evaluate.Fails, "allowed-amis"},
		{"a criterion with other parts", enabled(evaluate.ImageCriterion{Providers: []string{owner}, Other: true}), evaluate.Inconclusive, "allowed-amis"},
		{"a criterion with other parts that isn't met", enabled(evaluate.ImageCriterion{Providers: []string{other}, Other: true}), evaluate.Fails, "allowed-amis"},
		{"no criteria", enabled(), evaluate.Inconclusive, "allowed-amis"},
		{"the account's own image", steps(enabled(elsewhere), (*scene).inOwnersAccount), evaluate.Launches, ""},
	})
}

func TestServiceControlPolicies(t *testing.T) {
	full := `{"Effect":"Allow","Action":"*","Resource":"*"}`
	levels := func(levels ...[]string) func(*scene) {
		return func(s *scene) {
			s.management, s.account.SCPs = stranger, [][]evaluate.ControlPolicy{}
			for _, level := range levels {
				var policies []evaluate.ControlPolicy
				for i, statements := range level {
					policies = append(policies, evaluate.ControlPolicy{Name: "p-" + string(rune('a'+i)), Document: document(statements)})
				}
				s.account.SCPs = append(s.account.SCPs, policies)
			}
		}
	}
	with := func(deny string) func(*scene) { return levels([]string{full}, []string{full, deny}) }
	deny := func(rest string) func(*scene) { return with(`{"Effect":"Deny",` + rest + "}") }
	outside := `"NotAction":["iam:*","sts:*"],"Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["us-east-1","%"]}}`
	check(t, []ruling{
		{"no policies", levels(), evaluate.Launches, ""},
		{"policies that allow everything", levels([]string{full}, []string{full}), evaluate.Launches, ""},
		{"a level that allows nothing", levels([]string{full}, []string{`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`}), evaluate.Fails, "scp"},
		{"a level that doesn't allow KMS", levels([]string{full}, []string{`{"Effect":"Allow","Action":["ec2:*"],"Resource":"*"}`}), evaluate.Fails, "scp"},
		{"a denial of launches", deny(`"Action":"ec2:Run*","Resource":"*"`), evaluate.Fails, "scp"},
		{"a denial of the image", deny(`"Action":"ec2:RunInstances","Resource":"arn:aws:ec2:*::image/ami-*"`), evaluate.Fails, "scp"},
		{"a denial of another image", deny(`"Action":"ec2:RunInstances","Resource":"arn:aws:ec2:*::image/ami-1"`), evaluate.Launches, ""},
		{"a denial of all other images", deny(`"Action":"ec2:RunInstances","NotResource":["arn:aws:ec2:*::image/ami-1","arn:aws:ec2:*:*:instance/*","arn:aws:ec2:*:*:volume/*"]`), evaluate.Fails, "scp"},
		{"a denial in a subnet", deny(`"Action":"ec2:RunInstances","Resource":"arn:aws:ec2:*:*:subnet/subnet-1"`), evaluate.Inconclusive, "scp"},
		{"a denial by the image's owner", deny(`"Action":"ec2:RunInstances","Resource":"*","Condition":{"StringNotEquals":{"ec2:Owner":"amazon"}}`), evaluate.Inconclusive, "scp"},
		{"a denial of a key operation", deny(`"Action":"kms:CreateGrant","Resource":"*"`), evaluate.Fails, "scp"},
		{"a denial of grants that aren't for AWS", deny(`"Action":"kms:CreateGrant","Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"false"}}`), evaluate.Launches, ""},
		{"a denial of the key", deny(`"Action":"kms:*","Resource":"arn:aws:kms:*:` + owner + `:key/*"`), evaluate.Fails, "scp"},
		{"a denial of keys of the account, which its volumes have", deny(`"Action":"kms:*","Resource":"arn:aws:kms:*:` + member + `:key/*"`), evaluate.Fails, "scp"},
		{"a denial of what isn't a key, where EC2 names aws/ebs by its alias", steps(deny(`"Action":"kms:*","NotResource":"arn:aws:kms:*:*:key/*"`), func(s *scene) {
			s.account.DefaultEBSKeys = map[string]evaluate.Key{region: {ARN: "alias/aws/ebs", AWSManaged: true}}
		}), evaluate.Launches, ""},
		{"a denial of another service", deny(`"Action":"s3:*","Resource":"*"`), evaluate.Launches, ""},
		{"a denial of other Regions", deny(strings.Replace(outside, "%", region, 1)), evaluate.Launches, ""},
		{"a denial of the Region", deny(strings.Replace(outside, "%", "us-west-2", 1)), evaluate.Fails, "scp"},
		{"a denial of calls that no service makes", deny(`"Action":"kms:*","Resource":"*","Condition":{"Bool":{"aws:ViaAWSService":"false"}}`), evaluate.Launches, ""},
		{"a denial of launches that no service makes", deny(`"Action":"ec2:*","Resource":"*","Condition":{"Bool":{"aws:ViaAWSService":"false"}}`), evaluate.Fails, "scp"},
		{"a denial that spares the role", deny(`"Action":"*","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/Karpenter*"}}`), evaluate.Launches, ""},
		{"a policy that is not JSON", with("{"), evaluate.Inconclusive, "scp"},
		{"a service-linked role is not affected", steps(deny(`"Action":"*","Resource":"*"`), func(s *scene) { s.asService(); s.grant(whole()...) }), evaluate.Launches, ""},
		{"the management account is not affected", steps(deny(`"Action":"*","Resource":"*"`), func(s *scene) { s.management = member }), evaluate.Launches, ""},
		{"what may be the management account", steps(deny(`"Action":"*","Resource":"*"`), func(s *scene) { s.management = "" }), evaluate.Inconclusive, "scp"},
	})
}

func TestRegionEnabled(t *testing.T) {
	enabled := func(is bool) func(*scene) {
		return func(s *scene) { s.account.RegionEnabled = map[string]bool{region: is} }
	}
	check(t, []ruling{
		{"a Region that is enabled", enabled(true), evaluate.Launches, ""},
		{"a Region that is not enabled", enabled(false), evaluate.Fails, "region-enabled"},
		{"the owner has enabled it", steps((*scene).inOwnersAccount, enabled(false)), evaluate.Launches, ""},
	})
}

// Each assumption is named once, and only where a verdict depends on it.
func TestAssumptions(t *testing.T) {
	assumed := func(w evaluate.Input) []string {
		var links []string
		for _, a := range evaluate.Evaluate(w).Assumptions {
			if a.Text == "" || strings.HasSuffix(a.Text, ".") {
				t.Errorf("not the end of a sentence: %q", a.Text)
			}
			links = append(links, a.Link)
		}
		return links
	}
	w := published(3, "eu-west-1", "us-east-1")
	if got := assumed(w); !slices.Equal(got, []string{"allowed-amis", "identity-policy", "scp", "volume-key"}) {
		t.Errorf("%q", got)
	}
	if got := assumed(published(1, "ap-east-1")); !slices.Contains(got, "region-enabled") {
		t.Errorf("an opt-in Region: %q", got)
	}
	w.Launchers = w.Launchers[1:]
	for i := range w.Accounts {
		a := &w.Accounts[i]
		a.SCPs, a.AllowedAMIs, a.DefaultEBSKeys = [][]evaluate.ControlPolicy{}, map[string]evaluate.AllowedAMIs{}, map[string]evaluate.Key{}
		for _, r := range w.Regions {
			a.AllowedAMIs[r.Name] = evaluate.AllowedAMIs{State: "disabled"}
			a.DefaultEBSKeys[r.Name] = evaluate.Key{AWSManaged: true}
		}
	}
	if got := assumed(w); len(got) > 0 {
		t.Errorf("everything is known: %q", got)
	}
	own := published(0, region)
	own.Accounts = []evaluate.Account{{ID: owner, Organization: organization, Path: unitPath, SCPs: [][]evaluate.ControlPolicy{}}}
	own.Launchers = own.Launchers[1:]
	if got := assumed(own); len(got) > 0 {
		t.Errorf("the owner's own launches: %q", got)
	}
	own.Accounts[0].Organization, own.Accounts[0].ID, own.Accounts[0].SCPs = "none", stranger, nil
	if got := assumed(own); len(got) > 0 {
		t.Errorf("launches that fail: %q", got)
	}
}
