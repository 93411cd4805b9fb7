package awssim

import (
	"time"

	"golang.org/x/time/rate"
)

// kmsQuotas are KMS's default request quotas, per second, for each account and
// Region. A cross-account call counts for the caller's account. Fact: QUOTA-1 to
// QUOTA-4, QUOTA-6.
var kmsQuotas = map[string]int{
	"CreateGrant": 50, "RevokeGrant": 50, "RetireGrant": 50, "ListGrants": 100, "ListRetirableGrants": 100, "PutKeyPolicy": 15,
	"CreateKey": 5, "ReplicateKey": 5, "CreateAlias": 5, "UpdateAlias": 5, "DeleteAlias": 15, "TagResource": 10, "UntagResource": 5,
	"EnableKeyRotation": 15, "ScheduleKeyDeletion": 15, "CancelKeyDeletion": 5, "DescribeKey": 2_000, "GetKeyPolicy": 1_000, "GetKeyRotationStatus": 1_000,
	"ListAliases": 500, "ListKeys": 500, "ListResourceTags": 2_000,
}

// stsQuotas are STS's, per second, for each account and Region: believed, and
// less than AWS allows (Fact: STS-3).
var stsQuotas = map[string]int{"AssumeRole": 100}

// ec2Bucket is a token bucket: EC2 refills per second up to a size. The sizes
// are documented for some operations only. Fact: EC2-API-3, QUOTA-7, QUOTA-8.
type ec2Bucket struct{ refill, size int }

var ec2Buckets = map[string]ec2Bucket{
	"DescribeImages": {20, 100}, "DescribeSnapshots": {20, 100}, "DescribeImageAttribute": {20, 100}, "DescribeSnapshotAttribute": {20, 100},
	"CopyImage": {1, 100}, "ModifyImageAttribute": {5, 100}, "ModifySnapshotAttribute": {5, 100}, "DeregisterImage": {5, 100}, "DeleteSnapshot": {5, 100},
}

// quotaState holds a token bucket for each account, Region and operation.
type quotaState struct {
	buckets map[quotaKey]*rate.Limiter
}

type quotaKey struct{ account, region, service, operation string }

// take counts the call, and reports whether it is within the quota.
func (q *quotaState) take(on bool, c *call) bool {
	if !on {
		return true
	}
	perSecond, size := quotaOf(c.service, c.operation)
	if perSecond == 0 {
		return true
	}
	return q.allow(quotaKey{c.caller.Account, c.region, c.service, c.operation}, perSecond, size, c.now, 1)
}

func quotaOf(service, operation string) (perSecond, size int) {
	if service == "ec2" {
		bucket := ec2Buckets[operation]
		return bucket.refill, bucket.size
	}
	if service == "kms" {
		return kmsQuotas[operation], kmsQuotas[operation]
	}
	if service != "sts" {
		return 0, 0
	}
	return stsQuotas[operation], stsQuotas[operation]
}

func (q *quotaState) allow(key quotaKey, perSecond, size int, now time.Time, n int) bool {
	if q.buckets == nil {
		q.buckets = map[quotaKey]*rate.Limiter{}
	}
	if q.buckets[key] == nil {
		q.buckets[key] = rate.NewLimiter(rate.Limit(perSecond), size)
	}
	return q.buckets[key].AllowN(now, n)
}
