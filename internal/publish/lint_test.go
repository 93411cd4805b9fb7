package publish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// TestAnAdoptedKeysMistakesAreNamed checks that the plan names mistakes in an
// existing policy before anything is changed, and that the run leaves the
// foreign statements unchanged.
func TestAnAdoptedKeysMistakesAreNamed(t *testing.T) {
	const mistaken = `{"Version":"2012-10-17","Statement":[
		{"Sid":"Owner","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"},
		{"Sid":"Launch","Effect":"Allow","Principal":{"AWS":"*"},"Action":["kms:Decrypt","kms:ReEncrypt"],"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"` + awssim.OrganizationID + `","kms:ViaService":"ec2.us-east-1.amazonaws.com"}}}]}`
	inVirtualTime(t, defaultWorld, func(t *testing.T, w *world) {
		id := w.makeKey(t, "eu-west-1", true, mistaken)
		time.Sleep(time.Minute)
		before := withoutIDs(t, w.state())
		spec := w.spec()
		spec.PlanOnly = true
		w.mustPublish(t, spec)
		for _, says := range []string{
			"? key policy " + id + ` in eu-west-1: cannot work: statement "Launch": kms:ReEncrypt is not an action of KMS; write kms:ReEncryptFrom and kms:ReEncryptTo`,
			"kms:ViaService is ec2.us-east-1.amazonaws.com, but EC2's value in this Region is ec2.eu-west-1.amazonaws.com",
		} {
			if !strings.Contains(w.said(), says) {
				t.Errorf("the plan does not say %q:\n%s", says, w.said())
			}
		}
		if strings.Count(w.said(), "cannot work") != 2 {
			t.Errorf("the plan says more than that:\n%s", w.said())
		}
		if diff := cmp.Diff(before, withoutIDs(t, w.state())); diff != "" {
			t.Errorf("looking changed the world:\n%s", diff)
		}
		spec.PlanOnly = false
		w.checkLaunches(t, w.mustPublish(t, spec))
		for _, key := range w.state().Keys {
			if has := strings.Contains(key.Policy, `"kms:ReEncrypt"`); has != (key.Region == "eu-west-1") {
				t.Errorf("the statement that is not ours, in %s: %v", key.Region, has)
			}
		}
	})
}
