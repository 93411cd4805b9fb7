package awssim_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// tampering changes a signed request.
type tampering struct {
	http.RoundTripper
	change func(*http.Request)
}

func (t tampering) RoundTrip(r *http.Request) (*http.Response, error) {
	t.change(r)
	return t.RoundTripper.RoundTrip(r)
}

// Fact: SIG-1, SIG-2, SIG-3.
func TestSignature(t *testing.T) {
	w, err := awssim.New(awssim.DefaultWorld(), awssim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	good := config(w, awssim.PublishingAccount, "us-east-1")
	wrongSecret := good.Copy()
	id, _ := w.AccessKey(awssim.PublishingAccount)
	wrongSecret.Credentials = credentials.NewStaticCredentialsProvider(id, "guess", "")
	role := newRole(t, w, awssim.PublishingAccount, "Signer", `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	session := sessionOf(t, good, role, "us-east-1")
	own, err := session.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	with := func(secret, token string) aws.Config {
		c := session.Copy()
		c.Credentials = credentials.NewStaticCredentialsProvider(own.AccessKeyID, secret, token)
		return c
	}
	tampered := func(change func(*http.Request)) aws.Config {
		c := good.Copy()
		c.HTTPClient = &http.Client{Transport: tampering{w.Client().Transport, change}}
		return c
	}
	calls := []struct {
		service, code string
		do            func(aws.Config) error
	}{
		{"ec2", "AuthFailure", func(c aws.Config) error {
			_, err := ec2.NewFromConfig(c).DescribeImages(t.Context(), nil)
			return err
		}},
		{"kms", "InvalidSignatureException", func(c aws.Config) error {
			_, err := kms.NewFromConfig(c).ListAliases(t.Context(), nil)
			return err
		}},
		{"organizations", "InvalidSignatureException", func(c aws.Config) error {
			_, err := organizations.NewFromConfig(c).DescribeOrganization(t.Context(), nil)
			return err
		}},
		{"ssm", "InvalidSignatureException", func(c aws.Config) error {
			_, err := ssm.NewFromConfig(c).PutParameter(t.Context(), &ssm.PutParameterInput{
				Name: aws.String("/signed"), Value: aws.String("value"), Type: types.ParameterTypeString, Overwrite: aws.Bool(true),
			})
			return err
		}},
		{"sts", "SignatureDoesNotMatch", func(c aws.Config) error {
			_, err := sts.NewFromConfig(c).GetCallerIdentity(t.Context(), nil)
			return err
		}},
		{"iam", "SignatureDoesNotMatch", func(c aws.Config) error {
			_, err := iam.NewFromConfig(c).ListRoles(t.Context(), nil)
			return err
		}},
		{"autoscaling", "SignatureDoesNotMatch", func(c aws.Config) error {
			_, err := autoscaling.NewFromConfig(c).DescribeAutoScalingGroups(t.Context(), nil)
			return err
		}},
	}
	wrong := map[string]aws.Config{
		"a wrong secret":               wrongSecret,
		"a session's wrong secret":     with("guess", own.SessionToken),
		"another token":                with(own.SecretAccessKey, "guess"),
		"no token":                     with(own.SecretAccessKey, ""),
		"a changed header":             tampered(func(r *http.Request) { r.Header.Set("Amz-Sdk-Invocation-Id", "other") }),
		"an added header":              tampered(func(r *http.Request) { r.Header.Set("X-Amz-Added", "later") }),
		"another time":                 tampered(func(r *http.Request) { r.Header.Set("X-Amz-Date", "20200101T000000Z") }),
		"no time":                      tampered(func(r *http.Request) { r.Header.Del("X-Amz-Date") }),
		"another host":                 tampered(func(r *http.Request) { r.Host = "elsewhere.example.com" }),
		"a body that isn't signed":     tampered(appendToBody),
		"another path than the signed": tampered(func(r *http.Request) { r.URL.Path = "/other" }),
	}
	for _, call := range calls {
		t.Run(call.service, func(t *testing.T) {
			for name, c := range map[string]aws.Config{"the account's key": good, "a session": session, "an unsigned header": tampered(func(r *http.Request) { r.Header.Set("Via", "a proxy") })} {
				if err := call.do(c); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			for name, c := range wrong {
				t.Run(name, func(t *testing.T) { wantCode(t, call.do(c), call.code) })
			}
		})
	}
}

// sign signs a request with the key of the publishing account.
func sign(t *testing.T, r *http.Request, w *awssim.World, service, region, body string) {
	t.Helper()
	id, secret := w.AccessKey(awssim.PublishingAccount)
	hash := sha256.Sum256([]byte(body))
	err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, r, hex.EncodeToString(hash[:]), service, region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
}

// appendToBody adds a space, which changes the meaning of no request.
func appendToBody(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	suffix := " "
	if r.Header.Get("X-Amz-Target") == "" {
		suffix = "&"
	}
	body = append(body, suffix...)
	r.Body = io.NopCloser(bytes.NewReader(body))
}
