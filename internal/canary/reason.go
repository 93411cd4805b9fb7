package canary

import (
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// capacityCodes are the errors of launches that fail for a reason that isn't the
// image's. Another zone may work. Fact: EC2-INST-5, EC2-INST-6.
var capacityCodes = []string{
	awsclient.CodeNoCapacity, awsclient.CodeNoHostCapacity, "InsufficientCapacity", "InsufficientFreeAddressesInSubnet",
	"VcpuLimitExceeded", "InstanceLimitExceeded", "VolumeLimitExceeded", "MaxIOPSLimitExceeded", "PendingVerification",
}

// capacityWords identify the same reasons in the activities of Auto Scaling, and in
// messages whose code has other meanings, too.
var capacityWords = []string{
	"sufficient capacity", "not have sufficient", "not supported in your requested Availability Zone", "more vCPU capacity than your current",
	"does not match the architecture", "not enough free addresses", "Volume limit exceeded",
}

// unsupported is the error of a type that a zone doesn't offer. The word alone is
// ambiguous in a message.
const unsupported = "Unsupported"

// isCapacity reports whether a reason isn't the image's.
func isCapacity(reason string) bool {
	contains := func(part string) bool { return strings.Contains(strings.ToLower(reason), strings.ToLower(part)) }
	return slices.ContainsFunc(capacityCodes, contains) || slices.ContainsFunc(capacityWords, contains)
}

// isKeyError reports whether a reason is one that a KMS key causes.
// Fact: LAUNCH-15, LAUNCH-16.
func isKeyError(reason string) bool {
	return strings.Contains(reason, "Client.InternalError") || strings.Contains(reason, "Client.InvalidKMSKey")
}
