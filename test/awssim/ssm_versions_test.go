package awssim_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestParameterVersions checks that versions and labels select values, 100 versions are
// kept, and the oldest of them is not given up while it has a label.
func TestParameterVersions(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ssmIn(w, awssim.PublishingAccount, "us-east-1")
		put := func(value int) error {
			_, err := client.PutParameter(t.Context(), &ssm.PutParameterInput{
				Name: aws.String("p"), Value: aws.String(strconv.Itoa(value)), Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true),
			})
			return err
		}
		get := func(name string) (string, error) {
			answer, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &name})
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%s %d %s%s", *answer.Parameter.Value, answer.Parameter.Version, *answer.Parameter.Name, aws.ToString(answer.Parameter.Selector)), nil
		}
		label := func(version int64, labels ...string) *ssm.LabelParameterVersionOutput {
			return must(client.LabelParameterVersion(t.Context(), &ssm.LabelParameterVersionInput{Name: aws.String("p"), ParameterVersion: &version, Labels: labels}))(t)
		}
		for value := 1; value <= 101; value++ {
			if err := put(value); err != nil {
				t.Fatal(err)
			}
		}
		if invalid := label(2, "stable", "1st", "awsome", "ssm-x").InvalidLabels; !slices.Equal(invalid, []string{"1st", "awsome", "ssm-x"}) {
			t.Errorf("invalid labels %v", invalid)
		}
		for name, want := range map[string]string{"p": "101 101 p", "p:2": "2 2 p:2", "p:stable": "2 2 p:stable"} {
			if got := must(get(name))(t); got != want {
				t.Errorf("%s is %s, not %s", name, got, want)
			}
		}
		for _, name := range []string{"p:1", "p:102", "p:none"} {
			_, err := get(name)
			wantCode(t, err, "ParameterVersionNotFound")
		}
		wantCode(t, put(102), "ParameterMaxVersionLimitExceeded")
		label(3, "stable") // moves it
		if got := must(get("p:stable"))(t); got != "3 3 p:stable" {
			t.Errorf("the label moved to %s", got)
		}
		if err := put(102); err != nil {
			t.Error(err)
		}
		var numbers []int64
		labels := map[int64][]string{}
		for pages := ssm.NewGetParameterHistoryPaginator(client, &ssm.GetParameterHistoryInput{Name: aws.String("p"), MaxResults: aws.Int32(40)}); pages.HasMorePages(); {
			for _, v := range must(pages.NextPage(t.Context()))(t).Parameters {
				numbers = append(numbers, v.Version)
				if len(v.Labels) > 0 {
					labels[v.Version] = v.Labels
				}
			}
		}
		if len(numbers) != 100 || numbers[0] != 3 || numbers[99] != 102 || !slices.IsSorted(numbers) {
			t.Errorf("the history has the versions %v", numbers)
		}
		if diff := cmp.Diff(map[int64][]string{3: {"stable"}}, labels); diff != "" {
			t.Error(diff)
		}
		_, err := client.LabelParameterVersion(t.Context(), &ssm.LabelParameterVersionInput{Name: aws.String("p"), Labels: []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}})
		wantCode(t, err, "ParameterVersionLabelLimitExceeded")
	})
}
