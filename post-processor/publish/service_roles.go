package publish

import (
	"fmt"
	"strings"
)

// serviceLinked are the services of well-known service-linked roles by the beginning
// of the roles' names. EC2 Auto Scaling has more roles, with a suffix of yours.
// Fact: IAM-ROLE-1 to IAM-ROLE-7.
var serviceLinked = []struct{ name, service string }{
	{"AWSServiceRoleForAutoScaling", "autoscaling.amazonaws.com"},
	{"AWSServiceRoleForEC2Spot", "spot.amazonaws.com"},
	{"AWSServiceRoleForEC2SpotFleet", "spotfleet.amazonaws.com"},
	{"AWSServiceRoleForEC2Fleet", "ec2fleet.amazonaws.com"},
	{"AWSServiceRoleForAmazonEKSNodegroup", "eks-nodegroup.amazonaws.com"},
	{"AWSServiceRoleForApplicationAutoScaling_ECSService", "ecs.application-autoscaling.amazonaws.com"},
}

// serviceLinkedHint returns the correct path of a service-linked role whose
// path is wrong or missing. No role has such an ARN, and KMS would reject each
// grant. It returns "" if the role is right, or isn't a service-linked role.
func serviceLinkedHint(role string) string {
	name := role[strings.LastIndexByte(role, '/')+1:]
	if !strings.HasPrefix(name, "AWSServiceRoleFor") {
		return ""
	}
	for _, known := range serviceLinked {
		if name != known.name && (known.name != "AWSServiceRoleForAutoScaling" || !strings.HasPrefix(name, known.name+"_")) {
			continue
		}
		if right := "aws-service-role/" + known.service + "/" + name; role != right {
			return fmt.Sprintf("Write %q", right)
		}
		return ""
	}
	path := strings.Split(role, "/")
	if len(path) == 3 && path[0] == "aws-service-role" && strings.Contains(path[1], ".") {
		return ""
	}
	return fmt.Sprintf("Write aws-service-role/SERVICE/%s; 'aws iam get-role --role-name %s --query Role.Path' prints the path", name, name)
}
