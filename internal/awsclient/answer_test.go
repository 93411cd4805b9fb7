package awsclient

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/go-cmp/cmp"
)

// messages collects warnings.
type messages struct {
	mu   sync.Mutex
	list []string
}

func (m *messages) add(message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, message)
}

// An endpoint that never responds fails a call within two minutes, and is
// reported within seconds.
func TestDeadEndpoint(t *testing.T) {
	inVirtualTime(t, always(answer{}), func(t *testing.T, c *Clients) {
		var warnings messages
		c.OnWarning(warnings.add)
		start := time.Now()
		_, err := c.EC2(region).CopyImage(t.Context(), &ec2.CopyImageInput{Name: aws.String("n"), SourceImageId: aws.String("ami-1"), SourceRegion: aws.String(region)})
		if took := time.Since(start); took < 90*time.Second || took > 2*time.Minute {
			t.Errorf("took %v", took)
		}
		if !IsNoAnswer(err) || IsClientError(err) {
			t.Errorf("error is %v", err)
		}
		want := "copying ami-1: EC2 CopyImage got no answer: waited 30s. Check the network connection and the proxy settings"
		if got := Wrap(err, "copying ami-1").Error(); got != want {
			t.Errorf("error is %q, want %q", got, want)
		}
		if diff := cmp.Diff([]string{
			"EC2 CopyImage in eu-west-1 hasn't responded for 10s",
			"EC2 CopyImage in eu-west-1 hasn't responded for 20s",
			"EC2 CopyImage in eu-west-1 hasn't responded for 40s",
			"EC2 CopyImage in eu-west-1 hasn't responded for 1m20s",
		}, warnings.list); diff != "" {
			t.Error(diff)
		}
	})
}

// Many calls that stall together are reported once.
func TestStalledTogether(t *testing.T) {
	inVirtualTime(t, func(_, _ string, n int) answer {
		if n < 50 {
			return answer{}
		}
		return answer{status: http.StatusOK, body: `{}`}
	}, func(t *testing.T, c *Clients) {
		var warnings messages
		c.OnWarning(warnings.add)
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				if _, err := c.KMS(region).ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: aws.String("k")}); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if diff := cmp.Diff([]string{
			"KMS ListGrants in eu-west-1 hasn't responded for 10s",
			"KMS ListGrants in eu-west-1 hasn't responded for 20s",
		}, warnings.list); diff != "" {
			t.Error(diff)
		}
	})
}

// An attempt that got no response is repeated. A call that gets some responses may
// continue for as long as it is throttled.
func TestLostAnswers(t *testing.T) {
	attempts := 0
	inVirtualTime(t, func(_, _ string, n int) answer {
		attempts = n + 1
		switch n {
		case 0, 1, 3, 4:
			return answer{}
		case 2, 5:
			return jsonError("ThrottlingException", "slow down")
		}
		return answer{status: http.StatusOK, body: `{}`}
	}, func(t *testing.T, c *Clients) {
		if _, err := c.KMS(region).ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: aws.String("k")}); err != nil || attempts != 7 {
			t.Errorf("%d attempts, %v", attempts, err)
		}
	})
}

// Calls without an idempotency token aren't repeated after a lost response.
func TestOnceUnlessThrottled(t *testing.T) {
	attempts := 0
	inVirtualTime(t, func(_, _ string, n int) answer {
		if attempts = n + 1; n < 2 {
			return jsonError("ThrottlingException", "slow down")
		}
		return answer{}
	}, func(t *testing.T, c *Clients) {
		_, err := c.KMS(region).CreateKey(t.Context(), &kms.CreateKeyInput{}, OnceUnlessThrottled)
		if !IsNoAnswer(err) || attempts != 3 {
			t.Errorf("%d attempts, %v", attempts, err)
		}
	})
}

// Ctrl-C ends a call at once, whether it waits for a response, for its next
// attempt or for its limiter.
func TestCanceled(t *testing.T) {
	for name, serve := range map[string]serve{
		"no answer": always(answer{}),
		"throttled": always(jsonError("ThrottlingException", "slow down")),
	} {
		inVirtualTime(t, serve, func(t *testing.T, c *Clients) {
			ctx, cancel := context.WithCancel(t.Context())
			start := time.Now()
			time.AfterFunc(12345*time.Millisecond, cancel)
			var group sync.WaitGroup
			for range 100 {
				group.Go(func() {
					_, err := c.KMS(region).CreateGrant(ctx, someGrant())
					if got, want := Wrap(err, "granting").Error(), "granting: canceled"; got != want {
						t.Errorf("%s: error is %q, want %q", name, got, want)
					}
				})
			}
			group.Wait()
			if took := time.Since(start); took > 12445*time.Millisecond {
				t.Errorf("%s: took %v", name, took)
			}
		})
	}
}

// The response time-out doesn't include the time in the limiter's queue.
func TestLimiterIsNoTimeout(t *testing.T) {
	inVirtualTime(t, always(answer{status: http.StatusOK, body: `{}`}), func(t *testing.T, c *Clients) {
		c.watch.timeout = time.Second
		var group sync.WaitGroup
		for range 300 {
			group.Go(func() {
				if _, err := c.KMS(region).CreateGrant(t.Context(), someGrant()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	})
}

// A call to an endpoint where nothing listens fails within seconds.
func TestRefused(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	attempts := 0
	inVirtualTime(t, func(_, _ string, n int) answer { attempts = n + 1; return answer{err: refused} }, func(t *testing.T, c *Clients) {
		start := time.Now()
		_, err := c.Identity(t.Context())
		if took := time.Since(start); took > 4*time.Second || attempts < 3 {
			t.Errorf("%d attempts in %v", attempts, took)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("error is %v", err)
		}
	})
}

// The error of a closed port names the configured endpoint, wherever it was
// configured.
func TestRefusedEndpoint(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	for _, variable := range []bool{false, true} {
		config := Config{Region: region, EndpointURL: endpoint}
		if variable {
			config.EndpointURL = ""
			t.Setenv("AWS_ENDPOINT_URL", endpoint)
		}
		c, err := Load(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Identity(t.Context())
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		for _, want := range []string{"getting the caller's identity in eu-west-1: STS GetCallerIdentity got no answer: ", "connection refused", "Check that endpoint_url (" + endpoint + ")"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in: %v", want, err)
			}
		}
	}
}

// Without retries by the SDK, an invalid response still ends a call.
func TestStrangeAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "object": "{}", "html": "<html><body>Sign in</body></html>", "truncated": `{"Grants":[{"GrantId":"`,
		"wrong type": `{"Grants":"none"}`, "null": "null",
	} {
		inVirtualTime(t, always(answer{status: http.StatusOK, body: body}), func(t *testing.T, c *Clients) {
			start := time.Now()
			_, err := c.KMS(region).ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: aws.String("k")})
			t.Logf("%s: %v", name, err)
			if took := time.Since(start); took > 2*time.Minute {
				t.Errorf("%s: took %v", name, took)
			}
		})
	}
}
