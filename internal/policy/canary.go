package policy

// TagCanary is the tag of everything that a canary launch creates.
const TagCanary = "orgami:canary"

// Canary returns the IAM policy of the role that launches canaries in an account.
// It can terminate and delete only what has the tag of a canary. wildcardKeyARN is
// that of [Karpenter]: the role uses the key as Karpenter's does. autoScaling adds
// what a launch through an Auto Scaling group needs. Fact: ASG-1, ASG-10.
func Canary(partition, wildcardKeyARN string, autoScaling bool) Document {
	read := Values{
		"ec2:DescribeInstanceStatus", "ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstances",
		"ec2:DescribeLaunchTemplates", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
	}
	launch := Values{"ec2:CreateSecurityGroup", "ec2:RunInstances"}
	createActions := Values{"CreateSecurityGroup", "RunInstances"}
	remove := Values{"ec2:DeleteSecurityGroup", "ec2:RevokeSecurityGroupEgress", "ec2:TerminateInstances"}
	var scale []Statement
	if autoScaling {
		read = append(Values{"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities"}, read...)
		launch = Values{"ec2:CreateLaunchTemplate", "ec2:CreateSecurityGroup", "ec2:RunInstances"}
		createActions = Values{"CreateLaunchTemplate", "CreateSecurityGroup", "RunInstances"}
		remove = Values{"autoscaling:DeleteAutoScalingGroup", "ec2:DeleteLaunchTemplate", "ec2:DeleteSecurityGroup", "ec2:RevokeSecurityGroupEgress", "ec2:TerminateInstances"}
		scale = []Statement{{
			Sid: "ScaleCanaries", Effect: "Allow", Action: Values{"autoscaling:CreateAutoScalingGroup", "autoscaling:CreateOrUpdateTags"},
			Resource: Values{"*"}, Condition: Condition{"StringLike": {"aws:RequestTag/" + TagCanary: {"*"}}},
		}}
	}
	statements := []Statement{
		{Sid: "FindCanaries", Effect: "Allow", Action: read, Resource: Values{"*"}},
		{Sid: "LaunchCanaries", Effect: "Allow", Action: launch, Resource: Values{"*"}},
		{
			Sid: "TagNewCanaries", Effect: "Allow", Action: Values{"ec2:CreateTags"}, Resource: Values{"*"},
			Condition: Condition{"StringEquals": {"ec2:CreateAction": createActions}},
		},
		{
			Sid: "RemoveCanaries", Effect: "Allow", Action: remove, Resource: Values{"*"},
			Condition: Condition{"StringLike": {"aws:ResourceTag/" + TagCanary: {"*"}}},
		},
	}
	document := NewDocument(append(statements, scale...)...)
	document.Statements = append(document.Statements, Karpenter(partition, wildcardKeyARN).Statements...)
	return document
}
