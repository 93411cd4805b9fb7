package awsclient

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/go-cmp/cmp"
)

// Every throttling code is retried and slows the limiter down. A resource quota
// that is exhausted fails immediately and slows nothing down.
func TestThrottling(t *testing.T) {
	for code := range retry.DefaultThrottleErrorCodes {
		t.Run(code, func(t *testing.T) {
			attempts := 0
			inVirtualTime(t, func(_, _ string, n int) answer {
				if attempts = n + 1; n == 0 {
					return jsonError(code, "no")
				}
				return answer{status: http.StatusOK, body: `{}`}
			}, func(t *testing.T, c *Clients) {
				_, err := c.KMS(region).CreateGrant(t.Context(), someGrant())
				slowed := grants(t, c, 200) > 4200*time.Millisecond // 3.9 s at the full rate
				permanent := code == CodeLimitExceeded
				if permanent {
					if !Is(err, CodeLimitExceeded) || IsThrottled(err) || attempts != 201 || slowed {
						t.Errorf("%d attempts, slowed down %v, %v", attempts, slowed, err)
					}
					return
				}
				if err != nil || attempts != 202 || !slowed {
					t.Errorf("%d attempts, slowed down %v, %v", attempts, slowed, err)
				}
			})
		})
	}
}

// grants creates n grants at the same time and returns how long that took.
func grants(t *testing.T, c *Clients, n int, options ...func(*kms.Options)) time.Duration {
	t.Helper()
	start := time.Now()
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			if _, err := c.KMS(region).CreateGrant(t.Context(), someGrant(), options...); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	return time.Since(start)
}

// assumed answers AssumeRole with credentials that differ by account.
func assumed(operation, body string, _ int) answer {
	if operation == "AssumeRole" {
		return answer{status: http.StatusOK, body: `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
			<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>
			<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`}
	}
	return answer{status: http.StatusOK, body: `{}`}
}

// Calls count against the account whose credentials sign them, wherever these
// come from. Each account has exactly one limiter.
func TestLimitersOfAccounts(t *testing.T) {
	member := func(n int) AssumeRole {
		return AssumeRole{RoleARN: fmt.Sprintf("arn:aws:iam::20000000000%d:role/member", n)}
	}
	const calls = 200
	one := time.Duration(calls-10)*time.Second/49 + time.Second // of one account, at most
	for name, test := range map[string]struct {
		run  func(t *testing.T, c *Clients, n int)
		same bool
	}{
		"other accounts' credentials": {func(t *testing.T, c *Clients, n int) {
			grants(t, c, calls, WithCredentials(c.Credentials(member(n))))
		}, false},
		"other accounts' clients": {func(t *testing.T, c *Clients, n int) { grants(t, c.WithRole(member(n)), calls) }, false},
		"credentials and clients of one account": {func(t *testing.T, c *Clients, n int) {
			if n == 0 {
				grants(t, c.WithRole(member(0)), calls)
			} else {
				grants(t, c, calls, WithCredentials(c.Credentials(member(0))))
			}
		}, true},
		"one account": {func(t *testing.T, c *Clients, _ int) { grants(t, c, calls) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, assumed, func(t *testing.T, c *Clients) {
				start := time.Now()
				var group sync.WaitGroup
				for n := range 2 {
					group.Go(func() { test.run(t, c, n) })
				}
				group.Wait()
				if took := time.Since(start); (took > one) != test.same {
					t.Errorf("took %v, and one account takes %v", took, one)
				}
			})
		})
	}
}

// Without a usable folder, calls are still limited, after one warning.
func TestSharedQuotasWithoutFolder(t *testing.T) {
	inVirtualTime(t, assumed, func(t *testing.T, c *Clients) {
		var warnings messages
		c = c.WithRole(AssumeRole{RoleARN: "arn:aws:iam::200000000001:role/member"})
		c.OnWarning(warnings.add)
		c.ShareQuotas(filepath.Join(t.TempDir(), "absent"))
		if took := grants(t, c, 59); took < 900*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if _, err := c.KMS(region).RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: someGrant().KeyId, GrantId: someGrant().KeyId}); err != nil {
			t.Error(err)
		}
		if len(warnings.list) != 1 || !strings.HasPrefix(warnings.list[0], "Can't share AWS request quotas with other builds on this machine: ") {
			t.Errorf("warnings: %q", warnings.list)
		}
	})
}

// Two builds of one account share the quota through the folder.
func TestSharedQuotas(t *testing.T) {
	inVirtualTime(t, assumed, func(t *testing.T, _ *Clients) {
		folder := t.TempDir()
		start := time.Now()
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() {
				c := newTestClients(assumed).WithRole(AssumeRole{RoleARN: "arn:aws:iam::200000000001:role/member"})
				c.OnWarning(func(warning string) { t.Error(warning) })
				c.ShareQuotas(folder)
				grants(t, c, 100)
			})
		}
		group.Wait()
		if took := time.Since(start); took < 190*time.Second/49 {
			t.Errorf("took %v", took)
		}
	})
}

// A list ends with an error when AWS repeats a page token, in all services.
func TestRepeatedPages(t *testing.T) {
	ctx := context.Background()
	for name, test := range map[string]struct {
		page string
		list func(c *Clients) error
	}{
		"KMS":           {`{"Grants":[],"Truncated":true,"NextMarker":"one"}`, func(c *Clients) error { return listGrants(ctx, c) }},
		"EC2":           {`<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><imagesSet/><nextToken>one</nextToken></DescribeImagesResponse>`, func(c *Clients) error { return listImages(ctx, c) }},
		"Organizations": {`{"Accounts":[],"NextToken":"one"}`, func(c *Clients) error { return listAccounts(ctx, c) }},
	} {
		t.Run(name, func(t *testing.T) {
			pages := 0
			inVirtualTime(t, func(_, _ string, n int) answer {
				pages = n + 1
				return answer{status: http.StatusOK, body: test.page}
			}, func(t *testing.T, c *Clients) {
				err := Wrap(test.list(c), "listing")
				if err == nil || !strings.Contains(err.Error(), "same page token twice") || !strings.HasPrefix(err.Error(), "listing: "+name+" ") {
					t.Errorf("error is %v", err)
				}
				if pages != 2 {
					t.Errorf("%d pages", pages)
				}
			})
			// It also ends with an error if the repeated page isn't the previous one.
			inVirtualTime(t, func(_, _ string, n int) answer {
				return answer{status: http.StatusOK, body: strings.ReplaceAll(test.page, "one", []string{"a", "b", "c"}[n%3])}
			}, func(t *testing.T, c *Clients) {
				if err := test.list(c); err == nil || !strings.Contains(err.Error(), "same page token twice") {
					t.Errorf("error is %v", err)
				}
			})
			// Different listings may have the same tokens.
			inVirtualTime(t, func(_, _ string, n int) answer {
				if n%3 < 2 {
					return answer{status: http.StatusOK, body: strings.ReplaceAll(test.page, "one", fmt.Sprint("token", n%3))}
				}
				last := strings.NewReplacer(`,"Truncated":true,"NextMarker":"one"`, "", `,"NextToken":"one"`, "", "<nextToken>one</nextToken>", "")
				return answer{status: http.StatusOK, body: last.Replace(test.page)}
			}, func(t *testing.T, c *Clients) {
				for range 3 {
					if err := test.list(c); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// A response that lacks a documented value is an error that names the call.
func TestIncompleteIdentity(t *testing.T) {
	for _, body := range []string{
		"", "{}", `{"Organization":{}}`, `{"Organization":{"Id":"o-1"}}`, "null",
		`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"/>`,
		`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult/></GetCallerIdentityResponse>`,
		`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`,
	} {
		inVirtualTime(t, always(answer{status: http.StatusOK, body: body}), func(t *testing.T, c *Clients) {
			if identity, err := c.Identity(t.Context()); err == nil || !strings.Contains(err.Error(), "GetCallerIdentity in eu-west-1") && !strings.Contains(err.Error(), "GetCallerIdentity: ") {
				t.Errorf("%q: %v, %v", body, identity, err)
			}
			if organization, err := c.Organization(t.Context(), "aws"); err == nil || !strings.Contains(err.Error(), "DescribeOrganization") {
				t.Errorf("%q: %v, %v", body, organization, err)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	inVirtualTime(t, func(operation, _ string, _ int) answer {
		if operation == "DescribeOrganization" {
			return answer{status: http.StatusOK, body: `{"Organization":{"Id":"o-1","Arn":"arn:aws:organizations::1:organization/o-1"}}`}
		}
		return answer{status: http.StatusOK, body: `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
			<Account>111111111111</Account><Arn>arn:aws-cn:sts::111111111111:assumed-role/Builder/packer</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`}
	}, func(t *testing.T, c *Clients) {
		identity, err := c.Identity(t.Context())
		want := Identity{Account: "111111111111", ARN: "arn:aws-cn:sts::111111111111:assumed-role/Builder/packer", Partition: "aws-cn"}
		if diff := cmp.Diff(want, identity); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		organization, err := c.Organization(t.Context(), "aws")
		if err != nil || organization != (Organization{ID: "o-1", ARN: "arn:aws:organizations::1:organization/o-1"}) {
			t.Errorf("%v, %v", organization, err)
		}
	})
}
