package retention_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestAliases checks that a launch template that names an image through a parameter
// uses it, pinned to a version of the parameter or not.
func TestAliases(t *testing.T) {
	for name, alias := range map[string]string{
		"pinned":         "resolve:ssm:/golden/latest:1",
		"pinned by ARN":  "resolve:ssm:arn:aws:ssm:" + home + ":" + awssim.PublishingAccount + ":parameter/golden/latest:1",
		"by label":       "resolve:ssm:/golden/latest:stable",
		"not pinned":     "resolve:ssm:/golden/current",
		"current by ARN": "resolve:ssm:arn:aws:ssm:" + home + ":" + awssim.PublishingAccount + ":parameter/golden/current",
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(w *world) {
				old, other, latest := w.generation(home, "one"), w.generation(home, "two"), w.generation(home, "three")
				w.parameter(home, "/golden/latest", old, latest)
				must(ssm.NewFromConfig(w.config(awssim.PublishingAccount, home)).LabelParameterVersion(w.Context(), &ssm.LabelParameterVersionInput{
					Name: aws.String("/golden/latest"), Labels: []string{"stable"}, ParameterVersion: aws.Int64(1),
				}))(w)
				w.parameter(home, "/golden/current", latest, old)
				template := w.template(awssim.PublishingAccount, home, "web", alias, latest)
				w.reported(deleteOld, home)
				actions := w.plan(deleteOld, home)
				if err := retention.Retire(w.Context(), w.clients(), actions); err != nil {
					w.Error(err)
				}
				if w.state(home, old) != "available" || w.state(home, other) != "" {
					w.Errorf("the image of the alias is %q, the other one %q", w.state(home, old), w.state(home, other))
				}
				if said := describeActions(actions); !strings.Contains(said, template) {
					w.Errorf("the plan does not name the template:\n%s", said)
				}
			})
		})
	}
}

// TestAliasThatIsNotResolved checks that nothing in the Region is disabled or
// deregistered, deprecation continues, and another Region isn't concerned.
func TestAliasThatIsNotResolved(t *testing.T) {
	inVirtualTime(t, func(w *world) {
		policy := retention.RetentionPolicy{Family: family, Keep: 1, DeprecateAfter: day, DisableAfter: 3 * day, DeleteAfter: 4 * day}
		var ids []string
		for _, name := range []string{"one", "two", "three", "four"} {
			ids = append(ids, w.generation(home, name))
		}
		elsewhere := w.generation(away, "one")
		w.generation(away, "two")
		time.Sleep(3 * day)
		w.generation(home, "five")
		w.parameter(home, "/missing", ids[0])
		w.template(awssim.PublishingAccount, home, "web", "resolve:ssm:/missing")
		must(ssm.NewFromConfig(w.config(awssim.PublishingAccount, home)).DeleteParameter(w.Context(), &ssm.DeleteParameterInput{Name: aws.String("/missing")}))(w)
		w.reported(policy, away)
		actions := w.plan(policy, home, away)
		said := describeActions(actions)
		for _, want := range []string{"resolve:ssm:/missing", "version 1 of launch template lt-", "its uses aren't known"} {
			if !strings.Contains(said, want) {
				w.Errorf("the plan does not say %q:\n%s", want, said)
			}
		}
		if err := retention.Retire(w.Context(), w.clients(), actions); err != nil {
			w.Error(err)
		}
		for _, id := range ids {
			if w.state(home, id) != "available" {
				w.Errorf("%s is %q", id, w.state(home, id))
			}
		}
		if state := w.state(away, elsewhere); state != "" {
			w.Errorf("in the other Region, %s is %q", elsewhere, state)
		}
	})
}
