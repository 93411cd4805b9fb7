package awsclient

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/smithy-go"
)

func listGrants(ctx context.Context, c *Clients) error {
	for pages := kms.NewListGrantsPaginator(c.KMS(region), &kms.ListGrantsInput{KeyId: someGrant().KeyId}); pages.HasMorePages(); {
		if _, err := pages.NextPage(ctx); err != nil {
			return err
		}
	}
	return nil
}

func listImages(ctx context.Context, c *Clients) error {
	for pages := ec2.NewDescribeImagesPaginator(c.EC2(region), &ec2.DescribeImagesInput{}); pages.HasMorePages(); {
		if _, err := pages.NextPage(ctx); err != nil {
			return err
		}
	}
	return nil
}

func listAccounts(ctx context.Context, c *Clients) error {
	for pages := organizations.NewListAccountsPaginator(c.Organizations("aws"), &organizations.ListAccountsInput{}); pages.HasMorePages(); {
		if _, err := pages.NextPage(ctx); err != nil {
			return err
		}
	}
	return nil
}

// The text of an error describes what was being done, which call returned what, and
// what to do. Nothing in it controls a terminal.
func TestErrorText(t *testing.T) {
	for _, test := range []struct {
		answer answer
		want   string
	}{
		{jsonError("DisabledException", "key is disabled."), "listing k: KMS ListGrants returned DisabledException: key is disabled. Enable the key"},
		{jsonError("StrangeException", "what?"), "listing k: KMS ListGrants returned StrangeException: what?"},
		{jsonError("StrangeException", "a\nb"), `listing k: KMS ListGrants returned StrangeException: a\nb`},
		{
			answer{status: http.StatusBadRequest, body: `{"__type":"StrangeException","message":"\u001b[2J\u202eevil"}`},
			`listing k: KMS ListGrants returned StrangeException: \x1b[2J\u202eevil`,
		},
	} {
		inVirtualTime(t, always(test.answer), func(t *testing.T, c *Clients) {
			_, err := c.KMS(region).ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: someGrant().KeyId})
			if got := Wrap(err, "listing %s", "k").Error(); got != test.want {
				t.Errorf("error is %q, want %q", got, test.want)
			}
			if !IsClientError(err) || IsNoAnswer(err) {
				t.Errorf("%v isn't a client error", err)
			}
		})
	}
	if err := Wrap(nil, "listing"); err != nil {
		t.Errorf("nothing is %v", err)
	}
}

// TestHint checks that a hint fits the call and AWS's message, not only the code.
func TestHint(t *testing.T) {
	const user = "User: arn:aws:iam::111111111111:user/x is not authorized to perform: kms:CreateGrant "
	for _, test := range []struct{ call, code, message, want string }{
		{"KMS CreateGrant", CodeLimitExceeded, "limit", "The key has as many grants as the quota allows."},
		{"KMS PutKeyPolicy", CodeLimitExceeded, "limit", "Remove or merge statements of the key policy"},
		{"KMS CreateKey", CodeLimitExceeded, "limit", "Request an increase of the quota"},
		{"KMS EnableKeyRotation", CodeUnsupportedOperation, "", "KMS can't rotate this key"},
		{"KMS ReplicateKey", CodeUnsupportedOperation, "", "Only a symmetric multi-Region primary key"},
		{"EC2 RunInstances", CodeOptInRequired, "", "Subscribe the account"},
		{"EC2 DescribeImages", CodeOptInRequired, "", "Enable the Region"},
		{"KMS CreateGrant", CodeAccessDenied, user + "with an explicit deny in a service control policy", "A service control policy of the organization denies"},
		{"KMS CreateGrant", CodeAccessDenied, user + "with an explicit deny in a resource control policy: arn:aws:organizations::1:policy/x", "A resource control policy of the organization denies"},
		{"KMS CreateGrant", CodeAccessDenied, user + "because no service control policy allows the kms:CreateGrant action", "A service control policy of the organization denies"},
		{"KMS CreateGrant", CodeAccessDenied, user + "because no identity-based policy allows the kms:CreateGrant action", "Allow this action in the caller's IAM policy. Run"},
		{"KMS CreateGrant", CodeAccessDenied, user + "with an explicit deny in an identity-based policy", "Remove or change the statement that denies this action in the caller's IAM policies"},
		{"KMS CreateGrant", CodeAccessDenied, user + "because no resource-based policy allows the kms:CreateGrant action", "Allow this action in the key policy"},
		{"KMS CreateGrant", CodeAccessDenied, user + "with an explicit deny in a resource-based policy", "Remove or change the statement of the key policy"},
		{"KMS CreateGrant", CodeAccessDenied, user, "Allow this action in the caller's IAM policy and in the key policy"},
		{"EC2 CopyImage", CodeUnauthorized, user + "because no permissions boundary allows the ec2:CopyImage action", "Allow this action in the permissions boundary"},
		{"EC2 CopyImage", CodeUnauthorized, user + "with an explicit deny in a permissions boundary", "Allow this action in the permissions boundary"},
		{"EC2 CopyImage", CodeUnauthorized, user + "because no session policy allows the action", "Allow this action in the session policy"},
		{"EC2 CopyImage", CodeUnauthorized, user + "because no VPC endpoint policy allows the action", "Allow this action in the policy of the VPC endpoint"},
		{"EC2 CopyImage", CodeUnauthorized, "You are not authorized. Encoded authorization failure message: abc", "Run 'aws sts decode-authorization-message"},
		{"EC2 CopyImage", CodeUnauthorized, "You are not authorized", "Allow this action in the caller's IAM policy. Run"},
		{"STS AssumeRole", CodeSTSAccessDenied, "no", "Check that the role exists. Allow the action in the caller's IAM policy, and the caller in the role's trust policy"},
		{"EC2 ModifyImageAttribute", "InvalidParameterValue", "The organization or organizational unit does not exist.", "Check the share block, and organization.id and organization.arn if they're set. Run 'aws organizations describe-organization'"},
		{"EC2 DescribeImages", CodeAuthFailure, "no", "Check that the credentials are valid and that the Region is enabled for the account. Run 'aws sts get-caller-identity'"},
		{"EC2 DescribeImages", "ExpiredToken", "no", "The credentials have expired. Get new ones, for example with 'aws sso login'"},
		{"STS AssumeRole", CodeSTSAccessDenied, user + "because no resource-based policy allows the sts:AssumeRole action", "Allow the caller in the role's trust policy"},
		{"KMS CreateGrant", "StrangeException", "", ""},
	} {
		got := hint(test.call, &smithy.GenericAPIError{Code: test.code, Message: test.message})
		if !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s, %s, %q:\n got %q\nwant %q", test.call, test.code, test.message, got, test.want)
		}
	}
}

// A call whose role can't be assumed blames STS.
func TestErrorOfARole(t *testing.T) {
	inVirtualTime(t, always(answer{status: http.StatusForbidden, body: `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>`}),
		func(t *testing.T, c *Clients) {
			member := c.Credentials(AssumeRole{RoleARN: "arn:aws:iam::200000000001:role/member"})
			_, err := c.KMS(region).CreateGrant(t.Context(), someGrant(), WithCredentials(member))
			want := "granting: STS AssumeRole returned AccessDenied: not authorized to perform: sts:AssumeRole. "
			if got := Wrap(err, "granting").Error(); !strings.HasPrefix(got, want) || !IsAccessDenied(err) {
				t.Errorf("error is %q, want %q", got, want)
			}
		})
}

func TestPredicates(t *testing.T) {
	codes := func(code string) error {
		var err error
		inVirtualTime(t, always(jsonError(code, "no")), func(t *testing.T, c *Clients) {
			_, err = c.KMS(region).ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: someGrant().KeyId})
		})
		return err
	}
	for name, test := range map[string]struct {
		is       func(error) bool
		yes, not []string
	}{
		"IsNotFound":     {IsNotFound, []string{CodeNotFound, CodeImageNotFound, CodeParameterNotFound}, []string{CodeAccessDenied, CodeImageUnavailable}},
		"IsAccessDenied": {IsAccessDenied, []string{CodeAccessDenied, CodeUnauthorized, CodeSTSAccessDenied}, []string{CodeNotFound, CodeDisabled}},
		"IsThrottled":    {IsThrottled, []string{"ThrottlingException", "RequestLimitExceeded"}, []string{CodeLimitExceeded, CodeResourceLimit}},
	} {
		for _, code := range test.yes {
			if !test.is(codes(code)) {
				t.Errorf("not %s: %s", name, code)
			}
		}
		for _, code := range test.not {
			if test.is(codes(code)) {
				t.Errorf("%s: %s", name, code)
			}
		}
		if test.is(nil) {
			t.Errorf("%s: nil", name)
		}
	}
}

// The error of missing credentials names them, and no missing endpoint.
func TestNoCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	for variable, value := range map[string]string{
		"AWS_EC2_METADATA_DISABLED":         "true",
		"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
	} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, value)
			c, err := Load(t.Context(), Config{Region: region})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = c.Identity(t.Context())
			if err == nil || !IsNoCredentials(err) || !strings.HasPrefix(err.Error(), "getting the caller's identity in eu-west-1: no AWS credentials: ") || !strings.HasSuffix(err.Error(), signInFirst) {
				t.Errorf("error is %v", err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
	// A call that was sent had credentials.
	inVirtualTime(t, always(jsonError("DisabledException", "no")), func(t *testing.T, c *Clients) {
		if err := listGrants(t.Context(), c); IsNoCredentials(err) {
			t.Error(err)
		}
	})
}

// Each way in which a profile gives no credentials has its own sentence, which
// names the next step and never repeats what a credential_process printed.
func TestProfilesWithoutCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join("testdata", "profiles"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	for profile, want := range map[string]string{
		"missing":  `loading the AWS configuration: failed to get shared config profile, missing. Check AWS_PROFILE, the option ` + "`profile`" + `, and the AWS config file`,
		"mfa":      `loading the AWS configuration: profile "mfa" needs an MFA code, and a build can't ask for one. Sign in first and pass the credentials in the environment, or use a profile without mfa_serial`,
		"sso":      `getting the caller's identity in us-east-1: no AWS credentials: the sign-in of profile "sso" to IAM Identity Center (SSO) is missing or has expired. Run 'aws sso login --profile sso'`,
		"no-tool":  `getting the caller's identity in us-east-1: no AWS credentials: the credential_process of profile "no-tool" failed (exit status 127). Run its command from the AWS config file by hand, and correct it`,
		"no-json":  `getting the caller's identity in us-east-1: no AWS credentials: the credential_process of profile "no-json" printed something other than credentials. Run its command from the AWS config file by hand, and correct it: it must print JSON with Version, AccessKeyId and SecretAccessKey`,
		"old-json": `getting the caller's identity in us-east-1: no AWS credentials: the credential_process of profile "old-json" printed something other than credentials. Run its command from the AWS config file by hand, and correct it: it must print JSON with Version, AccessKeyId and SecretAccessKey`,
	} {
		t.Run(profile, func(t *testing.T) {
			c, err := Load(t.Context(), Config{Profile: profile, EndpointURL: "http://127.0.0.1:1"})
			if err == nil {
				_, err = c.Identity(t.Context())
			}
			if err == nil || err.Error() != want {
				t.Errorf("error is %v\nwant     %s", err, want)
			}
		})
	}
}
