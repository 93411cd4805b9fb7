package grant

import "testing"

func TestWithCommand(t *testing.T) {
	for role, want := range map[string]string{
		"arn:aws:iam::222222222222:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot":                                                  " with 'aws iam create-service-linked-role --aws-service-name spot.amazonaws.com'",
		"arn:aws-cn:iam::222222222222:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_batch":                              " with 'aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com --custom-suffix batch'",
		"arn:aws:iam::222222222222:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService": " with 'aws iam create-service-linked-role --aws-service-name ecs.application-autoscaling.amazonaws.com'",
		"arn:aws:iam::222222222222:role/Launcher": "",
	} {
		if got := withCommand(role); got != want {
			t.Errorf("%s: %q", role, got)
		}
	}
}
