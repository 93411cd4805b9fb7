package awssim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	asgtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestRefreshingGroups checks that a group's new template applies only to instances
// that it launches later, and that an instance refresh replaces the others.
func TestRefreshingGroups(t *testing.T) {
	inImageWorld(t, awssim.Options{BuildTime: 10 * time.Second}, func(t *testing.T, w *awssim.World) {
		g := newGroup(t, w)
		g.grant(t, g.key, launchGrantOperations)
		if err := g.create(t); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		launched := func() string {
			described := g.describe(t)
			if len(described.Instances) != 1 {
				t.Fatalf("the group has %+v", described.Instances)
			}
			return aws.ToString(described.Instances[0].InstanceId)
		}
		first := launched()
		update := func(template string) error {
			_, err := g.client.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{
				AutoScalingGroupName: aws.String("group"),
				LaunchTemplate:       &asgtypes.LaunchTemplateSpecification{LaunchTemplateName: &template, Version: aws.String("$Latest")},
			})
			return err
		}
		wantCode(t, update("missing"), "ValidationError")
		nodeTemplate(t, g.ec2(), "next", g.image)
		if err := update("next"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if now := launched(); now != first {
			t.Errorf("the update replaced %s with %s", first, now)
		}
		if name := aws.ToString(g.describe(t).LaunchTemplate.LaunchTemplateName); name != "next" {
			t.Errorf("the template is %q", name)
		}
		_, err := g.client.StartInstanceRefresh(t.Context(), &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("missing")})
		wantCode(t, err, "ValidationError")
		refresh := must(g.client.StartInstanceRefresh(t.Context(), &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("group")}))(t)
		time.Sleep(time.Minute)
		if now := launched(); now == first || aws.ToString(refresh.InstanceRefreshId) == "" {
			t.Errorf("refresh %q left %s", aws.ToString(refresh.InstanceRefreshId), now)
		}
	})
}
