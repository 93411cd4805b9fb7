package awsclient

import (
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

// throttleCodes are the SDK's, without LimitExceededException: KMS returns it
// when a resource quota is exhausted, which waiting doesn't change. Fact: QUOTA-9.
var throttleCodes = func() map[string]struct{} {
	codes := maps.Clone(retry.DefaultThrottleErrorCodes)
	delete(codes, CodeLimitExceeded)
	return codes
}()

// IsThrottled reports whether AWS throttled the call.
func IsThrottled(err error) bool {
	_, throttled := throttleCodes[Code(err)]
	return throttled
}

// newRetryer returns the SDK's standard retryer with enough attempts for a busy
// account: AWS's quotas are per second, so a throttled call succeeds if it keeps
// trying. The SDK's token bucket is off because it would let the throttling of
// one Region fail the calls of another. [watch] bounds attempts without an
// answer. Fact: ERR-1.
func newRetryer() aws.Retryer {
	return retry.NewStandard(patient, func(o *retry.StandardOptions) {
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(exhausted)}, o.Retryables...)
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{
			CodeKMSInternal: {}, CodeDependencyTimeout: {},
		}})
	})
}

func patient(o *retry.StandardOptions) {
	o.MaxAttempts = 12
	o.MaxBackoff = 20 * time.Second
	o.RateLimiter = ratelimit.None
}

// exhausted keeps the SDK from retrying a call when a quota is exhausted, or the
// capacity of a zone. Fact: EC2-INST-5.
func exhausted(err error) aws.Ternary {
	if Is(err, CodeLimitExceeded, CodeNoCapacity, CodeNoHostCapacity) {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

// OnceUnlessThrottled is an option that retries a call only when it was throttled and
// so had no effect. Use it for operations without an idempotency token. When a response
// is lost, the caller looks for what the call may have created.
func OnceUnlessThrottled(o *kms.Options) {
	o.Retryer = retry.NewStandard(patient, func(o *retry.StandardOptions) {
		o.Retryables = []retry.IsErrorRetryable{retry.RetryableErrorCode{Codes: throttleCodes}}
	})
}
