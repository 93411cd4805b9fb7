package grant

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// failAtQuota makes a client return LimitExceededException at once. KMS returns
// it when a key is full, which no waiting changes. The SDK takes the code for
// throttling. Fact: QUOTA-9.
func failAtQuota(o *kms.Options) {
	if o.Retryer != nil {
		o.Retryer = quotaRetryer{o.Retryer}
	}
}

type quotaRetryer struct{ aws.Retryer }

func (r quotaRetryer) IsErrorRetryable(err error) bool {
	return !isQuota(err) && r.Retryer.IsErrorRetryable(err)
}

func isQuota(err error) bool { return awsclient.Is(err, awsclient.CodeLimitExceeded) }
