package awsclient

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"go.uber.org/goleak"
)

// No test may leave a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const region = "eu-west-1"

// latency is how long the AWS of a test takes to respond.
const latency = 50 * time.Millisecond

// answer is what AWS returns to a request. Without a status, it never responds, unless
// it has an error of the connection.
type answer struct {
	status int
	body   string
	err    error
}

// serve answers a request for an operation, the n-th from 0.
type serve func(operation, body string, n int) answer

// inVirtualTime runs a test with clients of an AWS that is played by serve.
func inVirtualTime(t *testing.T, serve serve, test func(t *testing.T, c *Clients)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newTestClients(serve)) })
}

func newTestClients(serve serve) *Clients {
	return New(aws.Config{
		Region: region, Credentials: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "secret", ""),
		HTTPClient: &http.Client{Transport: &transport{serve: serve}},
	})
}

type transport struct {
	serve serve
	mu    sync.Mutex
	n     int
}

func (tr *transport) answer(operation, body string) answer {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.n++
	return tr.serve(operation, body, tr.n-1)
}

// operationOf finds the operation of a request of the JSON or query protocol.
func operationOf(request *http.Request, body string) string {
	if target := request.Header.Get("X-Amz-Target"); target != "" {
		return target[strings.LastIndexByte(target, '.')+1:]
	}
	form, _ := url.ParseQuery(body)
	return form.Get("Action")
}

// always gives every request the same answer.
func always(a answer) serve { return func(string, string, int) answer { return a } }

func someGrant() *kms.CreateGrantInput {
	return &kms.CreateGrantInput{KeyId: aws.String("k"), GranteePrincipal: aws.String("r"), Operations: []types.GrantOperation{types.GrantOperationDecrypt}}
}

// jsonError is an error of KMS.
func jsonError(code, message string) answer {
	return answer{status: http.StatusBadRequest, body: fmt.Sprintf(`{"__type":%q,"message":%q}`, code, message)}
}

func (tr *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	var body []byte
	if request.Body != nil {
		body, _ = io.ReadAll(request.Body)
		_ = request.Body.Close()
	}
	a := tr.answer(operationOf(request, string(body)), string(body))
	timer := time.NewTimer(latency)
	defer timer.Stop()
	expired := timer.C
	if a.status == 0 && a.err == nil {
		expired = nil
	}
	select {
	case <-request.Context().Done():
		return nil, request.Context().Err()
	case <-expired:
	}
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{
		StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body)), Request: request,
		ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}
