package ssmparam_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/ssmparam"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const (
	region = "eu-west-1"
	name   = "/golden"
	first  = "ami-0a0a0a0a0a0a0a0a0"
	second = "ami-0b0b0b0b0b0b0b0b0"
)

// standard is a parameter in the standard tier.
var standard = ssmparam.Parameter{Region: region, Name: name}

// world is a simulated AWS whose responses to GetParameter a test can change.
type world struct {
	sim     *awssim.World
	clients *awsclient.Clients
	client  *ssm.Client
	answer  string
}

func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		file := awssim.DefaultWorld()
		for _, id := range []string{first, second} {
			file.Images = append(file.Images, awssim.ImageFile{Account: awssim.PublishingAccount, Region: region, ID: id, Name: id})
		}
		sim, err := awssim.New(file, awssim.Options{Latency: 50 * time.Millisecond, PropagationLag: 3 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{sim: sim}
		id, secret := sim.AccessKey(awssim.PublishingAccount)
		w.clients = awsclient.New(aws.Config{Region: region, HTTPClient: &http.Client{Transport: w}, Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")})
		w.client = w.clients.SSM(region)
		f(t, w)
	})
}

func (w *world) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := w.sim.Client().Transport.RoundTrip(request)
	if err == nil && w.answer != "" && strings.HasSuffix(request.Header.Get("X-Amz-Target"), ".GetParameter") {
		answer.StatusCode, answer.Body = http.StatusOK, io.NopCloser(bytes.NewBufferString(w.answer))
		answer.ContentLength = int64(len(w.answer))
	}
	return answer, err
}

func TestName(t *testing.T) {
	for template, want := range map[string]string{
		"/golden": "/golden",
		"/golden/{{ .Region }}/{{ .Architecture }}": "/golden/eu-west-1/arm64",
	} {
		if got, err := ssmparam.Name(template, region, "arm64"); got != want || err != nil {
			t.Errorf("%q is %q, %v", template, got, err)
		}
	}
	for _, template := range []string{"/{{ .Account }}", "/{{ .Region"} {
		if got, err := ssmparam.Name(template, region, "arm64"); err == nil || !strings.Contains(err.Error(), "{{ .Architecture }}") || !strings.Contains(err.Error(), "Account") && !strings.Contains(err.Error(), "/{{ .Region") {
			t.Errorf("%q is %q, %v", template, got, err)
		}
	}
}

func TestDiff(t *testing.T) {
	for want, test := range map[string]struct{ image, have string }{
		"+ eu-west-1      parameter /golden: names the image":                      {first, ""},
		"= eu-west-1      parameter /golden":                                       {first, first},
		"~ eu-west-1      parameter /golden: names the image instead of " + second: {first, second},
		"~ eu-west-1      parameter /golden: names the image instead of " + first:  {"", first}, // the image isn't known yet
	} {
		if got := ssmparam.Diff(standard, test.image, ssmparam.Observed{Value: test.have}).String(); got != want {
			t.Errorf("%q with %q: %s", test.image, test.have, got)
		}
	}
}

// TestPut checks that the parameter is created, updated, and left alone.
func TestPut(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, step := range []struct {
			image string
			calls int
		}{{first, 1}, {first, 0}, {second, 1}} {
			w.sim.ResetJournal()
			if err := ssmparam.Put(t.Context(), w.client, standard, step.image); err != nil {
				t.Fatal(err)
			}
			have, err := ssmparam.Read(t.Context(), w.client, standard)
			if n := len(w.sim.Mutations()); err != nil || have.Value != step.image || n != step.calls {
				t.Errorf("the value is %q after %d calls, %v", have.Value, n, err)
			}
			time.Sleep(time.Minute)
		}
	})
}

// TestPutLostResponse checks that Put creates and updates the parameter although the
// connection breaks after AWS took the request: the repeated request fails with
// ParameterAlreadyExists when it creates.
func TestPutLostResponse(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, image := range []string{first, second} {
			w.sim.Inject(awssim.Fault{Operation: "PutParameter", Kind: awssim.ResetAfter})
			if err := ssmparam.Put(t.Context(), w.client, standard, image); err != nil {
				t.Error(err)
			}
			if got := w.sim.Parameter(awssim.PublishingAccount, region, name); got != image {
				t.Errorf("the parameter is %q", got)
			}
		}
	})
}

// TestPutCreatedByAnother checks that a parameter that another principal creates in the
// meantime, with another image, is an error that names that image at once.
func TestPutCreatedByAnother(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		created := false
		w.sim.OnCall(func(call awssim.Entry) {
			if call.Operation == "GetParameter" && !created {
				created = true
				_, err := w.client.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String(name), Value: aws.String(second), Type: types.ParameterTypeString, DataType: aws.String("aws:ec2:image")})
				if err != nil {
					t.Error(err)
				}
			}
		})
		start := time.Now()
		err := ssmparam.Put(t.Context(), w.client, standard, first)
		if err == nil || !strings.Contains(err.Error(), second) || !strings.Contains(err.Error(), "another principal") || time.Since(start) > time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if got := w.sim.Parameter(awssim.PublishingAccount, region, name); got != second {
			t.Errorf("the parameter is %q", got)
		}
	})
}

// TestPutRefused checks that the wait ends if AWS silently rejects an image.
func TestPutRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		start := time.Now()
		err := ssmparam.Put(t.Context(), w.client, standard, "ami-00000000000000000")
		if took := time.Since(start); err == nil || !strings.Contains(err.Error(), "did not accept") || !strings.Contains(err.Error(), region) || took > 6*time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// TestRead checks that a value that can't hold an image's ID is an error, as is
// a response without a parameter. Only AWS's not-found error means that the
// parameter doesn't exist.
func TestRead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if have, err := ssmparam.Read(t.Context(), w.client, standard); err != nil || have.Value != "" {
			t.Errorf("before: %+v, %v", have, err)
		}
		if _, err := w.client.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String(name), Value: aws.String("x"), Type: types.ParameterTypeString}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := ssmparam.Read(t.Context(), w.client, standard); err == nil || !strings.Contains(err.Error(), "is a String of the data type") {
			t.Errorf("of another type: %v", err)
		}
		for _, answer := range []string{`{}`, `{"Parameter":null}`, `{"Parameter":{}}`, `{"Parameter":{"Type":"String","DataType":"aws:ec2:image"}}`, `{"Parameter":{"Value":"ami-1"}}`} {
			w.answer = answer
			have, err := ssmparam.Read(t.Context(), w.client, standard)
			if err == nil || have.Value != "" || !strings.Contains(err.Error(), "SSM GetParameter for /golden in eu-west-1 returned a response without") {
				t.Errorf("%s: %+v, %v", answer, have, err)
			}
		}
	})
}
