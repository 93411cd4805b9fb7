package publish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

func (w *world) ssmIn(region string) *ssm.Client {
	return ssm.NewFromConfig(w.config(awssim.PublishingAccount, region))
}

// TestParameters checks that the parameter of each Region names the image that was
// published last, the earlier ones are its history, and a second run changes nothing.
func TestParameters(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.spec()
		spec.Parameter.Name = "/golden/{{ .Architecture }}"
		const name = "/golden/arm64"
		spec.Image.Name = "one"
		first := w.mustPublish(t, spec).Images()
		spec.Image.Name = "two"
		w.sim.ResetJournal()
		second := w.mustPublish(t, spec).Images()
		if n := w.mutations()["ssm PutParameter"]; n != 3 {
			t.Errorf("%d parameters were set, not 3", n)
		}
		for region := range second {
			history, err := w.ssmIn(region).GetParameterHistory(t.Context(), &ssm.GetParameterHistoryInput{Name: aws.String(name)})
			if err != nil {
				t.Fatal(err)
			}
			var values []string
			for _, version := range history.Parameters {
				values = append(values, aws.ToString(version.Value))
				if aws.ToString(version.DataType) != "aws:ec2:image" {
					t.Errorf("data type %s", aws.ToString(version.DataType))
				}
			}
			if diff := cmp.Diff([]string{first[region], second[region]}, values); diff != "" {
				t.Errorf("history in %s:\n%s", region, diff)
			}
		}
		w.sim.ResetJournal()
		w.mustPublish(t, spec)
		if got := w.mutations(); len(got) > 0 {
			t.Errorf("a second run changes something: %v", got)
		}
	})
}

// TestParameterOfAnotherType checks that a parameter that cannot name an image stops
// the run before anything is changed.
func TestParameterOfAnotherType(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		_, err := w.ssmIn("eu-west-1").PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("/golden"), Value: aws.String("ami-1"), Type: types.ParameterTypeString, DataType: aws.String("text")})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		spec := w.spec()
		spec.Parameter.Name = "/golden"
		before := w.state()
		_, err = w.publish(spec)
		if err == nil || !strings.Contains(err.Error(), "/golden in eu-west-1") || !strings.Contains(err.Error(), `"text"`) || !strings.Contains(err.Error(), "ssm.name") {
			t.Errorf("error is %v", err)
		}
		if diff := cmp.Diff(before, w.state()); diff != "" {
			t.Errorf("the world changed:\n%s", diff)
		}
	})
}

// TestParameterNotTaken checks that the run reports a value that AWS silently rejects.
func TestParameterNotTaken(t *testing.T) {
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		spec := w.spec()
		spec.Parameter.Name = "/golden"
		w.sim.OnCall(func(call awssim.Entry) { // as if AWS hadn't accepted it
			if call.Operation == "PutParameter" && call.Region == "eu-west-1" {
				time.Sleep(5 * time.Second) // a parameter that is not seen cannot be deleted
				if _, err := w.ssmIn("eu-west-1").DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: aws.String("/golden")}); err != nil {
					t.Error(err)
				}
			}
		})
		result, err := w.publish(spec)
		if err == nil || !strings.Contains(err.Error(), "AWS did not accept the image") || !strings.Contains(err.Error(), "eu-west-1") {
			t.Errorf("error is %v", err)
		}
		if result.Complete {
			t.Error("the publication is complete")
		}
		w.sim.OnCall(nil)
		w.mustPublish(t, spec)
		if got := w.sim.Parameter(awssim.PublishingAccount, "eu-west-1", "/golden"); got == "" {
			t.Error("the next run did not set it")
		}
	})
}
