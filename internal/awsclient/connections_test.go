package awsclient

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

// gauge counts what is under way, and remembers the most.
type gauge struct{ now, most atomic.Int32 }

func (g *gauge) add(n int32) {
	now := g.now.Add(n)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
}

// read calls AWS from as many accounts and in as many Regions as the number says, all
// at the same time.
func read(t *testing.T, c *Clients, accounts, regions int) {
	t.Helper()
	var group sync.WaitGroup
	for account := range accounts {
		clients := c.WithSession(c.config.Credentials)
		for n := range regions {
			group.Go(func() {
				_, err := clients.EC2(fmt.Sprintf("eu-west-%d", n)).GetEbsDefaultKmsKeyId(t.Context(), &ec2.GetEbsDefaultKmsKeyIdInput{})
				if err != nil {
					t.Errorf("account %d in Region %d: %v", account, n, err)
				}
			})
		}
	}
	group.Wait()
}

type counting struct {
	http.RoundTripper

	gauge gauge
}

func (c *counting) RoundTrip(request *http.Request) (*http.Response, error) {
	c.gauge.add(1)
	defer c.gauge.add(-1)
	return c.RoundTripper.RoundTrip(request)
}

// All accounts and Regions share one bound of the calls that are under way, and use it
// up. A call that waits doesn't count toward its time-out.
func TestCallsAtOnce(t *testing.T) {
	counted := &counting{RoundTripper: &transport{serve: always(answer{status: http.StatusOK, body: `{}`})}}
	inVirtualTime(t, nil, func(t *testing.T, c *Clients) {
		c.plain.HTTPClient = &http.Client{Transport: counted}
		c.watch.timeout = 2 * latency
		start := time.Now()
		read(t, c, 100, 17)
		if most := counted.gauge.most.Load(); most != CallsAtOnce {
			t.Errorf("%d calls at once, want %d", most, CallsAtOnce)
		}
		if took, least := time.Since(start), latency*100*17/CallsAtOnce; took > least+latency {
			t.Errorf("took %v, want %v", took, least)
		}
	})
}

// A canceled call doesn't wait for others to end.
func TestCanceledBeforeItsTurn(t *testing.T) {
	inVirtualTime(t, always(answer{}), func(t *testing.T, c *Clients) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		var group sync.WaitGroup
		for range 2 * CallsAtOnce {
			group.Go(func() {
				_, err := c.KMS(region).ListGrants(ctx, &kms.ListGrantsInput{KeyId: aws.String("k")})
				if got, want := Wrap(err, "listing").Error(), "listing: canceled"; got != want {
					t.Errorf("error is %q, want %q", got, want)
				}
			})
		}
		group.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// Connections are kept for later calls, whichever account makes them, and with every
// setting that makes the SDK change its HTTP client for each service.
func TestConnectionsAreReused(t *testing.T) {
	const rounds = 3
	for _, mode := range []string{"legacy", "standard"} {
		t.Run(mode, func(t *testing.T) {
			var opened atomic.Int32
			var open gauge
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(`<GetEbsDefaultKmsKeyIdResponse/>`))
			}))
			server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				switch state {
				case http.StateNew:
					opened.Add(1)
					open.add(1)
				case http.StateClosed:
					open.add(-1)
				case http.StateActive, http.StateIdle, http.StateHijacked:
				}
			}
			server.Start()
			defer server.Close()
			t.Setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
			t.Setenv("AWS_CONFIG_FILE", os.DevNull)
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
			t.Setenv("AWS_DEFAULTS_MODE", mode)
			c, err := Load(t.Context(), Config{Region: region, EndpointURL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			for range rounds {
				read(t, c, 30, 17)
			}
			if n := opened.Load(); n > 2*CallsAtOnce {
				t.Errorf("%d connections for %d calls", n, rounds*30*17)
			}
			if most := open.most.Load(); most > 2*CallsAtOnce {
				t.Errorf("%d connections at once", most)
			}
		})
	}
}
