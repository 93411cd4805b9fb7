package awsclient

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// CallsAtOnce bounds the calls that are under way at the same time, in all accounts and
// Regions together. As many connections are kept for later calls, so a process has at
// most twice as many open, which is below the usual limit of 1,024 files.
const CallsAtOnce = 400

// reusing returns an HTTP client with connections for so many calls. Without it, the
// SDK keeps 10 for each host, and opens the others for one call each.
func reusing() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = CallsAtOnce, CallsAtOnce
	})
}

// shared returns a client with connections for all services, Regions and accounts. With
// some settings, the SDK would otherwise give each of its clients connections of its own.
func shared(client aws.HTTPClient) aws.HTTPClient {
	if buildable, ok := client.(*awshttp.BuildableClient); ok {
		return buildable.Freeze()
	}
	return client
}

// enter waits until the call can be sent. The caller calls leave at its end. enter fails
// only with the context's error.
func (w *watch) enter(ctx context.Context) (leave func(), err error) {
	select {
	case w.calls <- struct{}{}:
		return func() { <-w.calls }, nil
	case <-ctx.Done():
		return nil, &aws.RequestCanceledError{Err: context.Cause(ctx)}
	}
}
