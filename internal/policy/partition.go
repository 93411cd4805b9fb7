package policy

import (
	"fmt"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
)

// EC2ViaService is the kms:ViaService pattern of EC2 in every Region of the
// partition. Fact: KMS-COND-2.
func EC2ViaService(partition string) string {
	pattern, _ := EC2Service(partition, "*")
	return pattern
}

// EC2Service is the value of kms:ViaService in calls that EC2 makes in the
// Region. AWS documents one suffix for all partitions, China included. It is
// confirmed for aws, aws-us-gov and aws-cn; for other partitions the name is a
// guess, and confirmed is false. Fact: KMS-COND-1, KMS-COND-2.
func EC2Service(partition, region string) (name string, confirmed bool) {
	name = "ec2." + region + ".amazonaws.com"
	switch partition {
	case "aws", "aws-us-gov", "aws-cn":
		return name, true
	default:
		return name, false
	}
}

// OrganizationPaths turns the ARNs of organizational units into
// aws:PrincipalOrgPaths patterns that match the units and all below them.
// Malformed ARNs give none; they are rejected when the configuration is read.
func OrganizationPaths(unitARNs []string) []string {
	var paths []string
	for _, arn := range unitARNs {
		// arn:PARTITION:organizations::MANAGEMENT:ou/o-…/ou-…
		resource := strings.Split(arn[strings.LastIndexByte(arn, ':')+1:], "/")
		if len(resource) == 3 && resource[0] == "ou" && pattern.Organization.Match(resource[1]) && pattern.Unit.Match(resource[2]) {
			paths = append(paths, fmt.Sprintf("%s/*/%s/*", resource[1], resource[2]))
		}
	}
	return paths
}
