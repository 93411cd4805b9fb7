package evaluate_test

import (
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

func TestImageAndSharing(t *testing.T) {
	state := func(state string) func(*scene) { return func(s *scene) { s.region.Image.State = state } }
	shared := func(to func(*evaluate.Image)) func(*scene) {
		return func(s *scene) {
			s.region.Image.Organizations = nil
			to(&s.region.Image)
		}
	}
	units := func(ids ...string) func(*scene) {
		return shared(func(i *evaluate.Image) {
			for _, id := range ids {
				i.OrganizationalUnits = append(i.OrganizationalUnits, unitARN(id))
			}
		})
	}
	account := func(before func(*scene), organization, path string) func(*scene) {
		return func(s *scene) {
			before(s)
			s.account.Organization, s.account.Path = organization, path
			s.region.Image.Snapshots = []evaluate.Snapshot{plain("snap-1")}
		}
	}
	shareAll := func(*scene) {}
	check(t, []ruling{
		{"everything in its place launches", shareAll, evaluate.Launches, ""},
		{"an image that is pending fails", state("pending"), evaluate.Fails, "image"},
		{"an image that is disabled fails", state("disabled"), evaluate.Fails, "image"},
		{"an image that has failed fails", state("failed"), evaluate.Fails, "image"},
		{"an image whose state is not known is inconclusive", state(""), evaluate.Inconclusive, "image"},
		{"an image whose state is not known fails by a later link", func(s *scene) { s.region.Image.State, s.key.State = "", "Disabled" }, evaluate.Fails, "key-state"},
		{"an image that is shared with nobody fails", shared(func(*evaluate.Image) {}), evaluate.Fails, "shared"},
		{"an image that is public launches", shared(func(i *evaluate.Image) { i.Public = true }), evaluate.Launches, ""},
		{"an image that is shared with the account launches", shared(func(i *evaluate.Image) { i.Accounts = []string{other, member} }), evaluate.Launches, ""},
		{"an image that is shared with another account fails", shared(func(i *evaluate.Image) { i.Accounts = []string{other} }), evaluate.Fails, "shared"},
		{"the owner's own image launches", func(s *scene) { s.region.Image.Organizations = nil; s.inOwnersAccount() }, evaluate.Launches, ""},
		{"an image that is shared with the account's unit launches", units(apart, unit), evaluate.Launches, ""},
		{"an image that is shared with another unit fails", units(apart), evaluate.Fails, "shared"},
		{"an image that is shared with a unit above launches", account(units(unit), organization, unitPath+nested+"/"), evaluate.Launches, ""},
		{"an image that is shared with a unit below fails", units(nested), evaluate.Fails, "shared"},
		{"an image that is shared with a unit of another organization fails", shared(func(i *evaluate.Image) {
			i.OrganizationalUnits = []string{strings.Replace(unitARN(unit), organization, "o-other", 1)}
		}), evaluate.Fails, "shared"},
		{"a unit whose id begins like another is another", account(units("ou-ab12-1111"), organization, unitPath), evaluate.Fails, "shared"},
		{"sharing with the organization is nothing to an account in another one", account(shareAll, "o-other", "o-other/r-1/"), evaluate.Fails, "shared"},
		{"sharing with the organization is nothing to an account in none", account(shareAll, "none", ""), evaluate.Fails, "shared"},
		{"sharing with a unit is nothing to an account in no organization", account(units(unit), "none", ""), evaluate.Fails, "shared"},
		{"sharing with the organization is inconclusive for an account whose organization is not known", account(shareAll, "", ""), evaluate.Inconclusive, "shared"},
		{"an account's path tells its organization", account(shareAll, "", unitPath), evaluate.Launches, ""},
		{"sharing with a unit is inconclusive for an account whose path is not known", account(units(unit), organization, ""), evaluate.Inconclusive, "shared"},
		{"sharing with a unit is nothing to an account in another organization without a known path", account(units(unit), "o-other", ""), evaluate.Fails, "shared"},
		{"a launch permission in no known form is inconclusive", shared(func(i *evaluate.Image) { i.Organizations = []string{"o-exampleorgid"} }), evaluate.Inconclusive, "shared"},
		{"a launch permission in no known form does not matter beside one that holds", func(s *scene) { s.region.Image.OrganizationalUnits = []string{"ou-1"} }, evaluate.Launches, ""},
	})
}

func TestKeys(t *testing.T) {
	state := func(state string) func(*scene) { return func(s *scene) { s.key.State = state } }
	abroad := func(s *scene) {
		s.key.ARN = keyARN("us-east-1")
		s.region.Image.Snapshots[0].Key = s.key.ARN
	}
	managed := func(s *scene) { s.key.AWSManaged, s.key.Policy = true, nil }
	check(t, []ruling{
		{"a snapshot that is not encrypted needs no key", func(s *scene) { s.region.Image.Snapshots = []evaluate.Snapshot{plain("snap-1")} }, evaluate.Launches, ""},
		{"one encrypted snapshot of two needs its key", func(s *scene) { s.region.Image.Snapshots[0], s.key.State = plain("snap-1"), "Disabled" }, evaluate.Fails, "key-state"},
		{"a key of another region fails", abroad, evaluate.Fails, "key-region"},
		{"a key of which nothing was read is inconclusive", func(s *scene) { s.key.ARN, s.region.Keys = "", nil }, evaluate.Inconclusive, "key-region"},
		{"a key with an ARN in no known form is inconclusive", func(s *scene) {
			s.key.ARN = "alias/golden"
			s.region.Image.Snapshots = []evaluate.Snapshot{encrypted("snap-1", s.key.ARN)}
		}, evaluate.Inconclusive, "key-region"},
		{"a key that AWS manages fails in another account", managed, evaluate.Fails, "key-region"},
		{"a key that AWS manages launches in its own account", func(s *scene) { managed(s); s.inOwnersAccount() }, evaluate.Launches, ""},
		{"a key that AWS manages launches in its own account for a service", func(s *scene) { managed(s); s.inOwnersAccount(); s.asService() }, evaluate.Launches, ""},
		{"a key that is disabled fails", state("Disabled"), evaluate.Fails, "key-state"},
		{"a key that is to be deleted fails", state("PendingDeletion"), evaluate.Fails, "key-state"},
		{"a key that is being made fails", state("Creating"), evaluate.Fails, "key-state"},
		{"a key whose state is not known is inconclusive", state(""), evaluate.Inconclusive, "key-state"},
		{"a key whose policy is not known is inconclusive", func(s *scene) { s.key.Policy = nil }, evaluate.Inconclusive, "key-policy"},
		{"a key whose policy is not known fails without an identity policy", func(s *scene) { s.key.Policy, s.launcher.Policy = nil, nil }, evaluate.Fails, "identity-policy"},
		{"a second key must hold as well", func(s *scene) {
			second := s.key
			second.ARN += "2"
			second.State = "Disabled"
			s.region.Image.Snapshots[1].Key = second.ARN
			s.region.Keys = map[string]evaluate.Key{s.key.ARN: s.key, second.ARN: second}
			s.key.ARN = ""
		}, evaluate.Fails, "key-state"},
	})
}

const allow = `{"Sid":"Use","Effect":"Allow","Action":"kms:*","Resource":"*"`

// to returns a statement that allows a principal everything.
func to(principal string) string { return allow + `,"Principal":{"AWS":"` + principal + `"}}` }

// Combinations of key policy, identity policy and grants.
func TestAdmission(t *testing.T) {
	root := "arn:aws:iam::" + member + ":root"
	own := "arn:aws:iam::" + owner + ":root"
	deny := `{"Sid":"Never","Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}`
	denyIdentity := `{"Sid":"Never","Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}`
	odd := `{"Sid":"Odd","Effect":%q,"Principal":"*","Action":"kms:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`
	oddAllow, oddDeny := strings.Replace(odd, "%q", `"Allow"`, 1), strings.Replace(odd, "%q", `"Deny"`, 1)
	key := func(statements ...string) func(*scene) { return func(s *scene) { s.keyPolicy(statements...) } }
	identity := func(statements ...string) func(*scene) { return func(s *scene) { s.identityPolicy(statements...) } }
	granted := func(s *scene) { s.grant(whole()...) }
	noIdentity := func(s *scene) { s.launcher.Policy = nil }
	service, home := (*scene).asService, (*scene).inOwnersAccount
	check(t, []ruling{
		{"another account's role needs both policies", key(to(root)), evaluate.Launches, ""},
		{"another account's role is not let by the key policy alone", steps(key(to(roleARN(member, karpenter))), noIdentity), evaluate.Fails, "identity-policy"},
		{"another account's role is not let by its own policy alone", key(to(own)), evaluate.Fails, "key-policy"},
		{"another account's role launches by a grant without policies", steps(key(to(own)), noIdentity, granted), evaluate.Launches, ""},
		{"an identity policy for another key is none for this", identity(strings.Replace(allow, `"*"`, `"`+keyARN("us-east-1")+`"`, 1) + "}"), evaluate.Fails, "identity-policy"},
		{"in the key's account a policy that names the role is enough", steps(home, noIdentity, key(to(roleARN(owner, karpenter)))), evaluate.Launches, ""},
		{"in the key's account a policy that names everybody is enough", steps(home, noIdentity, key(to("*"))), evaluate.Launches, ""},
		{"in the key's account a policy that names the account leaves it to the role's", steps(home, noIdentity, key(to(own))), evaluate.Fails, "identity-policy"},
		{"in the key's account the account's statement and the role's policy are enough", steps(home, key(to(own))), evaluate.Launches, ""},
		{"in the key's account a role's policy alone is nothing", steps(home, key(to(root))), evaluate.Fails, "key-policy"},
		{"a service-linked role fails without a grant", service, evaluate.Fails, "grant"},
		{"a service-linked role of another account is not let by a key policy that names it", steps(service, key(to(roleARN(member, autoScaling)))), evaluate.Fails, "grant"},
		{"a service-linked role of the key's account is let by a key policy that names it", steps(service, home, key(to(roleARN(owner, autoScaling)))), evaluate.Launches, ""},
		{"a service-linked role of the key's account is not let by one that names the account", steps(service, home, key(to(own))), evaluate.Fails, "grant"},
		{"a service-linked role launches by a grant", steps(service, granted), evaluate.Launches, ""},
		{"a service-linked role launches by a grant on a key that admits nobody", steps(service, key(to(own)), granted), evaluate.Launches, ""},
		{"a policy that a service-linked role cannot have is nothing", steps(service, func(s *scene) { s.launcher.Policy = document(allow + "}") }), evaluate.Fails, "grant"},
		{"a denial of the key policy wins over policies", key(to("*"), deny), evaluate.Fails, "key-policy"},
		{"a denial of the key policy wins over a grant", steps(service, granted, key(to("*"), deny)), evaluate.Fails, "key-policy"},
		{"a denial of the identity policy wins over policies", identity(allow+"}", denyIdentity), evaluate.Fails, "identity-policy"},
		{"a denial of the identity policy wins over a grant", steps(granted, identity(denyIdentity)), evaluate.Fails, "identity-policy"},
		{"an allowance that is not supported is inconclusive where nothing else allows", key(to(own), oddAllow), evaluate.Inconclusive, "key-policy"},
		{"an allowance that is not supported does not matter where another allows", key(to("*"), oddAllow), evaluate.Launches, ""},
		{"an allowance that is not supported cannot fix a denial", key(oddAllow, deny), evaluate.Fails, "key-policy"},
		{"an allowance that is not supported cannot fix the identity policy", steps(key(oddAllow), noIdentity), evaluate.Fails, "identity-policy"},
		{"a denial that is not supported is inconclusive where others allow", key(to("*"), oddDeny), evaluate.Inconclusive, "key-policy"},
		{"a denial that is not supported is unknown also with a grant", steps(service, granted, key(to("*"), oddDeny)), evaluate.Inconclusive, "key-policy"},
		{"a denial that is not supported does not matter where nothing allows", steps(service, key(to("*"), oddDeny)), evaluate.Fails, "grant"},
		{"an identity policy that is not supported is inconclusive", func(s *scene) { s.launcher.Policy = []byte("{") }, evaluate.Inconclusive, "identity-policy"},
		{"an identity policy's allowance that is not supported is inconclusive", identity(strings.Replace(oddAllow, `"Principal":"*",`, "", 1)), evaluate.Inconclusive, "identity-policy"},
		{"an identity policy's denial that is not supported is inconclusive", identity(allow+"}", strings.Replace(oddDeny, `"Principal":"*",`, "", 1)), evaluate.Inconclusive, "identity-policy"},
		{"a session whose name cannot be known is inconclusive", key(to("arn:aws:sts::" + member + ":assumed-role/" + karpenter + "/me")), evaluate.Inconclusive, "key-policy"},
	})
}

func TestGrants(t *testing.T) {
	with := func(alter func(*scene)) func(*scene) { return func(s *scene) { s.asService(); alter(s) } }
	altered := func(alter func(*evaluate.Grant)) func(*scene) {
		return with(func(s *scene) { s.grant(whole()...); alter(&s.key.Grants[0]) })
	}
	var rulings []ruling
	for _, o := range whole() {
		rulings = append(rulings, ruling{"a grant without " + o + " is not what AWS lists", with(func(s *scene) { s.grant(without(whole(), o)...) }), evaluate.Inconclusive, "grant"})
	}
	check(t, append(rulings, []ruling{
		{"grants together are enough", with(func(s *scene) {
			s.grant("DescribeKey", "ReEncryptFrom", "ReEncryptTo", "Encrypt")
			s.grant("Decrypt", "CreateGrant")
			s.grant("GenerateDataKeyWithoutPlaintext", "GenerateDataKey")
		}), evaluate.Launches, ""},
		{"a grant makes none that may more than itself", with(func(s *scene) {
			s.inOwnersAccount()
			s.keyPolicy(to(owner))
			s.grant("CreateGrant", "DescribeKey", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKeyWithoutPlaintext")
			s.grant("Decrypt")
		}), evaluate.Fails, "grant"},
		{"in the key's account a grant with what a launch needs is enough", with(func(s *scene) {
			s.inOwnersAccount()
			s.keyPolicy(to(other))
			s.grant(without(without(whole(), "Encrypt"), "GenerateDataKey")...)
		}), evaluate.Launches, ""},
		{"a grant for another role is none", altered(func(g *evaluate.Grant) { g.Grantee = roleARN(member, ecs) }), evaluate.Fails, "grant"},
		{"a grant for another account's role is none", altered(func(g *evaluate.Grant) { g.Grantee = roleARN(other, autoScaling) }), evaluate.Fails, "grant"},
		{"a grant for a role that was deleted is none", altered(func(g *evaluate.Grant) { g.Grantee = "AROAEXAMPLE1234567" }), evaluate.Fails, "grant"},
		{"a grant with a constraint is inconclusive", altered(func(g *evaluate.Grant) { g.Constrained = true }), evaluate.Inconclusive, "grant"},
		{"a grant for the account is inconclusive", altered(func(g *evaluate.Grant) { g.Grantee = "arn:aws:iam::" + member + ":root" }), evaluate.Inconclusive, "grant"},
		{"a grant for a session of the role is inconclusive", altered(func(g *evaluate.Grant) {
			g.Grantee = "arn:aws:sts::" + member + ":assumed-role/AWSServiceRoleForAutoScaling/x"
		}), evaluate.Inconclusive, "grant"},
		{"EC2's own grants for volumes are nobody's", altered(func(g *evaluate.Grant) {
			g.Grantee, g.Constrained = "arn:aws:sts::"+member+":assumed-role/aws:ec2-infrastructure/i-1", true
		}), evaluate.Fails, "grant"},
		{"grants that could not be read are unknown", with(func(s *scene) { s.key.GrantsUnknown = true }), evaluate.Inconclusive, "grant"},
		{"grants that could not be read do not matter where policies allow", func(s *scene) { s.key.GrantsUnknown = true }, evaluate.Launches, ""},
		{"a grant adds to what policies allow", func(s *scene) {
			s.identityPolicy(`{"Effect":"Allow","Action":["kms:DescribeKey","kms:ReEncrypt*","kms:GenerateDataKey*"],"Resource":"*"}`)
			s.grant("Decrypt", "CreateGrant")
		}, evaluate.Launches, ""},
	}...))
}

func without(all []string, one string) []string {
	var rest []string
	for _, s := range all {
		if s != one {
			rest = append(rest, s)
		}
	}
	return rest
}

// The grants that count for a key of another account.
func TestIssuingAccounts(t *testing.T) {
	own := to("arn:aws:iam::" + owner + ":root")
	service, home := (*scene).asService, (*scene).inOwnersAccount
	lend := func(s *scene) { s.lend(whole()...) }
	grant := func(s *scene) { s.grant(whole()...) }
	unknown := func(s *scene) { s.grant(whole()...); s.key.Grants[0].IssuingAccount = "" }
	closed := func(s *scene) { s.keyPolicy(own) }
	powerless := func(s *scene) { s.launcher.Policy = nil }
	third := func(s *scene) { lend(s); s.key.Grants[0].IssuingAccount = other }
	odd := func(s *scene) {
		s.identityPolicy(`{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`)
	}
	check(t, []ruling{
		{"a grant of the role's account is enough for a service-linked role", steps(service, closed, grant), evaluate.Launches, ""},
		{"a grant of the key's owner is not", steps(service, closed, lend), evaluate.Fails, "grant"},
		{"a grant of a third account is not", steps(service, closed, third), evaluate.Fails, "grant"},
		{"a grant of the key's owner is not, whatever the key policy allows", steps(service, func(s *scene) { s.keyPolicy(to("*")) }, lend), evaluate.Fails, "grant"},
		{"a grant of the role's account is enough in addition to one of the owner", steps(service, closed, lend, grant), evaluate.Launches, ""},
		{"a grant that an unknown account issued is inconclusive", steps(service, closed, unknown), evaluate.Inconclusive, "grant"},
		{"in the key's account the issuing account doesn't matter", steps(service, home, closed, third), evaluate.Launches, ""},
		{"in the key's account an unknown issuing account doesn't matter", steps(service, home, closed, unknown), evaluate.Launches, ""},
		{"a grant of the owner replaces the key policy for a role with an identity policy", steps(closed, lend), evaluate.Launches, ""},
		{"a grant that an unknown account issued does so too", steps(closed, unknown), evaluate.Launches, ""},
		{"a grant of the owner doesn't replace the identity policy", steps(closed, powerless, lend), evaluate.Fails, "identity-policy"},
		{"a grant of the role's account replaces both", steps(closed, powerless, grant), evaluate.Launches, ""},
		{"a grant that an unknown account issued may replace both", steps(closed, powerless, unknown), evaluate.Inconclusive, "grant"},
		{"a grant of the owner with an identity policy that is not supported", steps(closed, odd, lend), evaluate.Inconclusive, "identity-policy"},
		{"a denial wins over an owner's grant", steps(lend, func(s *scene) {
			s.keyPolicy(to("*"), `{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}`)
		}), evaluate.Fails, "key-policy"},
	})
	s := newScene()
	steps(service, lend)(s)
	link, _ := s.verdict().Broken()
	if !strings.Contains(link.Because, "the account "+owner+" issued the grant") || link.Note != "with credentials of the account "+member || !strings.HasPrefix(link.Remedy, "aws kms create-grant ") {
		t.Errorf("%+v", link)
	}
}
