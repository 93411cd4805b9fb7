package kmskey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Keys that the search for an interrupted run's key may meet.
var (
	// locked allows one user, not the account.
	locked = `{"Version":"2012-10-17","Statement":[{"Sid":"Them","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/admin"},"Action":"kms:*","Resource":"*"}]}`
	// showcase lets the account describe the key, and one user use and manage it.
	showcase = strings.Replace(locked, `"Statement":[`, `"Statement":[{"Sid":"Show","Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"kms:DescribeKey","Resource":"*"},`, 1)
)

// TestSearchByTag checks that other teams' keys don't stop a run. A caller that
// isn't allowed to read any tags is stopped before another key is created. The
// decision doesn't depend on AWS's error texts.
func TestSearchByTag(t *testing.T) {
	for name, test := range map[string]struct {
		keys    []string // their policies; "" is AWS's default
		denied  string   // an action that the caller may not use
		orphan  bool     // an interrupted run left a key
		fails   bool
		creates bool
	}{
		"no key at all":                           {creates: true},
		"no key at all, without the permission":   {denied: "kms:ListResourceTags", creates: true},
		"another key":                             {keys: []string{""}, creates: true},
		"a locked key":                            {keys: []string{locked}, creates: true},
		"locked keys":                             {keys: []string{locked, locked}, creates: true},
		"a locked key and another":                {keys: []string{locked, ""}, creates: true},
		"a described key and another":             {keys: []string{showcase, ""}, creates: true},
		"another and a described key":             {keys: []string{"", showcase}, creates: true},
		"another key, without the permission":     {keys: []string{""}, denied: "kms:ListResourceTags", fails: true},
		"keys of all kinds, without it":           {keys: []string{"", locked, showcase}, denied: "kms:ListResourceTags", fails: true},
		"an orphan":                               {orphan: true},
		"an orphan among others":                  {keys: []string{locked, "", showcase}, orphan: true},
		"an orphan, without the permission":       {orphan: true, denied: "kms:ListResourceTags", fails: true},
		"an orphan and a locked key, without it":  {keys: []string{locked}, orphan: true, denied: "kms:ListResourceTags", fails: true},
		"a key that may not be described, and is": {keys: []string{showcase}, denied: "kms:DescribeKey", creates: true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				for _, document := range test.keys {
					input := multiRegion()
					if document != "" {
						input = withPolicy(document)
						input.BypassPolicyLockoutSafetyCheck = true
					}
					if _, err := w.others(awssim.PublishingAccount, primary).CreateKey(t.Context(), &input); err != nil {
						t.Fatal(err)
					}
				}
				if test.orphan {
					if _, err := w.others(awssim.PublishingAccount, primary).CreateKey(t.Context(), tagged()); err != nil {
						t.Fatal(err)
					}
				}
				clients := w.role(t, test.denied)
				observed, err := read(t, clients.KMS, desired())
				if test.fails {
					if err == nil || !containsAll(err.Error(), []string{test.denied, "interrupted run", alias, primary}) {
						t.Errorf("error is %v, observed %+v", err, observed)
					}
					return
				}
				if err != nil || test.creates != (observed.ID == "") || len(observed.Findings) > 0 {
					t.Errorf("error is %v, observed %+v", err, observed)
				}
			})
		})
	}
}

// role is a role of the publishing account that can use KMS, except one action.
func (w *world) role(t *testing.T, denied string) *awsclient.Clients {
	t.Helper()
	config := w.config(awssim.PublishingAccount)
	roles := iam.NewFromConfig(config)
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}]}`
	role, err := roles.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("publisher"), AssumeRolePolicyDocument: &trust})
	if err != nil {
		t.Fatal(err)
	}
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}`
	if denied != "" {
		document = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":"` + denied + `","Resource":"*"}]}`
	}
	_, err = roles.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: aws.String("publisher"), PolicyName: aws.String("kms"), PolicyDocument: &document})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
	assumed := config.Copy()
	assumed.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(config), *role.Role.Arn))
	return awsclient.New(assumed)
}
