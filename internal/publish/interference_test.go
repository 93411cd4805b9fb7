package publish_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// hand is a change by another principal during a run.
type hand struct {
	// act makes the change and returns the Regions, or none if the resource doesn't
	// exist yet.
	act func(t *testing.T, w *world) []string
	// strip checks that this change in the Region still exists, and removes it from the
	// state, so that the rest can be compared.
	strip func(t *testing.T, state *awssim.State, region string)
	// mayBeLost means that it may be overwritten while no read shows it.
	mayBeLost bool
}

// hands are changes after which a publication can still be completed.
func hands() map[string]hand {
	return map[string]hand{
		"a statement is added to the key policies":       {act: addStatement, strip: stripStatement, mayBeLost: true},
		"our statement is taken out of the key policies": {act: takeOurStatement},
		"a replica is made":                              {act: makeReplica},
		"the alias is created":                           {act: makeAliases},
		"a copy is deregistered":                         {act: deregisterCopy},
		"a grant is revoked":                             {act: revokeGrant},
		"another grant is made":                          {act: makeGrant, strip: stripGrant},
		"a launch permission is made":                    {act: addPermission, strip: stripPermission},
		"the launch permission is removed":               {act: takePermission},
	}
}

// TestInterference changes the world between any two calls of a run. The run
// publishes, or fails and leaves nothing visible. The next run completes the
// publication and keeps the foreign change.
func TestInterference(t *testing.T) {
	for base, prepare := range map[string]func(*testing.T, *world){"a new key": func(*testing.T, *world) {}, "a publication that drifted": drift} {
		u := undisturbedRun(t, prepare)
		step := every(len(u.calls), 2)
		for name, hand := range hands() {
			for k := 1 + len(name)%step; k <= len(u.calls); k += step {
				cell(t, &figures.hands, fmt.Sprintf("%s, %s after call %d", base, name, k), func(t *testing.T, w *world) {
					prepare(t, w)
					hand.interferes(t, w, k, u)
				})
			}
		}
	}
}

func (h hand) interferes(t *testing.T, w *world, k int, u undisturbed) {
	t.Helper()
	var seen atomic.Int32
	var acting atomic.Bool
	var regions []string
	var done time.Time
	before := w.visible()
	w.sim.OnCall(func(awssim.Entry) {
		if acting.Load() || seen.Add(1) != int32(k) {
			return
		}
		acting.Store(true)
		regions = h.act(t, w)
		done = time.Now()
	})
	_, err := w.publish(w.matrixSpec())
	w.sim.OnCall(nil)
	for _, id := range w.visible() {
		if err != nil && !slices.Contains(before, id) {
			t.Errorf("image %s is visible after: %v", id, err)
		}
	}
	time.Sleep(time.Minute)
	w.mustPublish(t, w.matrixSpec())
	state := w.state()
	if h.strip != nil {
		for _, region := range regions {
			if !h.mayBeLost || !w.overwrote(region, done) {
				h.strip(t, &state, region)
			}
		}
	}
	u.compare(t, state)
	w.sim.ResetJournal()
	w.mustPublish(t, w.matrixSpec())
	if got := w.mutations(); len(got) > 0 {
		t.Errorf("another run changed: %v", got)
	}
}

// overwrote reports whether the run set the Region's key policy so shortly after
// the other's edit that no read could have shown it: KMS has no conditional
// write. Fact: KMS-KEY-4.
func (w *world) overwrote(region string, edited time.Time) bool {
	return slices.ContainsFunc(w.sim.Mutations(), func(e awssim.Entry) bool {
		return e.Operation == "PutKeyPolicy" && e.Region == region && e.Time.After(edited) && e.Time.Before(edited.Add(timing.PropagationLag+2*timing.Latency))
	})
}

// visible are the IDs of the copies that others can see.
func (w *world) visible() []string {
	var ids []string
	for _, image := range w.ourCopies() {
		if len(image.LaunchPermissions) > 0 {
			ids = append(ids, image.ID)
		}
	}
	return ids
}

// drift publishes less than the spec wants, and breaks a part of it.
func drift(t *testing.T, w *world) {
	t.Helper()
	spec := w.matrixSpec()
	spec.Regions, spec.Grants.Accounts = spec.Regions[:2], spec.Grants.Accounts[:1]
	w.mustPublish(t, spec)
	takeOurStatement(t, w)
	revokeGrant(t, w)
	time.Sleep(2 * staleness) // no endpoint is further behind than that
}

func (w *world) kmsIn(region string) *kms.Client {
	return kms.NewFromConfig(w.config(awssim.PublishingAccount, region))
}

// ourKeys are the multi-Region keys that can be used.
func (w *world) ourKeys() []awssim.KeyState {
	return slices.DeleteFunc(w.state().Keys, func(k awssim.KeyState) bool { return k.State != "Enabled" || !k.MultiRegion })
}

func (w *world) editPolicies(t *testing.T, edit func(statements []any) []any) []string {
	t.Helper()
	var regions []string
	for _, key := range w.ourKeys() {
		var document map[string]any
		if err := json.Unmarshal([]byte(key.Policy), &document); err != nil {
			t.Error(err)
		}
		document["Statement"] = edit(document["Statement"].([]any))
		text, err := json.Marshal(document)
		if err != nil {
			t.Error(err)
		}
		_, err = w.kmsIn(key.Region).PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &key.ARN, Policy: aws.String(string(text))})
		if err != nil {
			t.Errorf("the other's PutKeyPolicy: %v", err)
		}
		regions = append(regions, key.Region)
	}
	return regions
}

func takeOurStatement(t *testing.T, w *world) []string {
	t.Helper()
	return w.editPolicies(t, func(statements []any) []any {
		return slices.DeleteFunc(statements, func(s any) bool { return s.(map[string]any)["Sid"] == policy.SidOrganization })
	})
}

func addStatement(t *testing.T, w *world) []string {
	t.Helper()
	return w.editPolicies(t, func(statements []any) []any {
		return append(statements, map[string]any{
			"Sid": "Theirs", "Effect": "Allow", "Principal": map[string]any{"AWS": "arn:aws:iam::" + awssim.MemberAccounts()[2] + ":root"},
			"Action": "kms:Decrypt", "Resource": "*",
		})
	})
}

func stripStatement(t *testing.T, state *awssim.State, region string) {
	t.Helper()
	for i, key := range state.Keys {
		if key.Region != region {
			continue
		}
		var document map[string]any
		if err := json.Unmarshal([]byte(key.Policy), &document); err != nil {
			t.Fatal(err)
		}
		statements := document["Statement"].([]any)
		document["Statement"] = slices.DeleteFunc(slices.Clone(statements), func(s any) bool { return s.(map[string]any)["Sid"] == "Theirs" })
		if len(document["Statement"].([]any)) != len(statements)-1 {
			t.Errorf("the other's statement in %s is lost: %s", region, key.Policy)
		}
		text, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		state.Keys[i].Policy = string(text)
	}
}

func makeReplica(t *testing.T, w *world) []string {
	t.Helper()
	keys := w.ourKeys()
	if len(keys) != 1 {
		return nil
	}
	_, err := w.kmsIn(keys[0].Region).ReplicateKey(t.Context(), &kms.ReplicateKeyInput{
		KeyId: &keys[0].ARN, ReplicaRegion: aws.String("eu-west-1"), Policy: &keys[0].Policy,
	})
	if err != nil && !strings.Contains(err.Error(), "AlreadyExists") {
		t.Errorf("the other's ReplicateKey: %v", err)
	}
	return nil
}

func makeAliases(t *testing.T, w *world) []string {
	t.Helper()
	for _, key := range w.ourKeys() {
		if len(key.Aliases) > 0 {
			continue
		}
		_, err := w.kmsIn(key.Region).CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String(alias), TargetKeyId: &key.ARN})
		if err != nil && !strings.Contains(err.Error(), "AlreadyExists") {
			t.Errorf("the other's CreateAlias: %v", err)
		}
	}
	return nil
}

func revokeGrant(t *testing.T, w *world) []string {
	t.Helper()
	for _, key := range w.ourKeys() {
		if len(key.Grants) == 0 {
			continue
		}
		_, err := w.kmsIn(key.Region).RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &key.ARN, GrantId: &key.Grants[0].ID})
		if err != nil {
			t.Errorf("the other's RevokeGrant: %v", err)
		}
		return nil
	}
	return nil
}

func makeGrant(t *testing.T, w *world) []string {
	t.Helper()
	keys := w.ourKeys()
	if len(keys) == 0 {
		return nil
	}
	_, err := w.kmsIn(keys[0].Region).CreateGrant(t.Context(), &kms.CreateGrantInput{
		KeyId: &keys[0].ARN, Name: aws.String("theirs"), Operations: []types.GrantOperation{types.GrantOperationDecrypt},
		GranteePrincipal: aws.String("arn:aws:iam::" + awssim.MemberAccounts()[0] + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"),
	})
	if err != nil {
		t.Errorf("the other's CreateGrant: %v", err)
	}
	return []string{keys[0].Region}
}

func stripGrant(t *testing.T, state *awssim.State, region string) {
	t.Helper()
	for i, key := range state.Keys {
		if key.Region != region {
			continue
		}
		state.Keys[i].Grants = slices.DeleteFunc(slices.Clone(key.Grants), func(g awssim.GrantState) bool { return g.Name == "theirs" })
		if len(state.Keys[i].Grants) != len(key.Grants)-1 {
			t.Errorf("the other's grant in %s is gone", region)
		}
	}
}

// ourCopies are the copies that exist, ready or not.
func (w *world) ourCopies() []awssim.ImageState {
	return slices.DeleteFunc(w.state().Images, func(i awssim.ImageState) bool { return i.Name != "golden-shared" })
}

func deregisterCopy(t *testing.T, w *world) []string {
	t.Helper()
	for _, image := range w.ourCopies() {
		if image.State == "available" {
			_, err := ec2.NewFromConfig(w.config(awssim.PublishingAccount, image.Region)).DeregisterImage(t.Context(), &ec2.DeregisterImageInput{
				ImageId: &image.ID, DeleteAssociatedSnapshots: aws.Bool(true),
			})
			if err != nil {
				t.Errorf("the other's DeregisterImage: %v", err)
			}
			return nil
		}
	}
	return nil
}

func (w *world) modifyPermissions(t *testing.T, modifications *ec2types.LaunchPermissionModifications) []string {
	t.Helper()
	var regions []string
	for _, image := range w.ourCopies() {
		if image.State != "available" {
			continue
		}
		_, err := ec2.NewFromConfig(w.config(awssim.PublishingAccount, image.Region)).ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{
			ImageId: &image.ID, Attribute: aws.String("launchPermission"), LaunchPermission: modifications,
		})
		if err != nil {
			t.Errorf("the other's ModifyImageAttribute: %v", err)
		}
		regions = append(regions, image.Region)
	}
	return regions
}

func takePermission(t *testing.T, w *world) []string {
	t.Helper()
	return w.modifyPermissions(t, &ec2types.LaunchPermissionModifications{Remove: []ec2types.LaunchPermission{{OrganizationArn: aws.String(awssim.OrganizationARN)}}})
}

func addPermission(t *testing.T, w *world) []string {
	t.Helper()
	return w.modifyPermissions(t, &ec2types.LaunchPermissionModifications{Add: []ec2types.LaunchPermission{{UserId: aws.String(awssim.OutsideAccount)}}})
}

func stripPermission(t *testing.T, state *awssim.State, region string) {
	t.Helper()
	for i, image := range state.Images {
		if image.Region != region || image.Name != "golden-shared" {
			continue
		}
		state.Images[i].LaunchPermissions = slices.DeleteFunc(slices.Clone(image.LaunchPermissions), func(who string) bool { return who == awssim.OutsideAccount })
		if len(state.Images[i].LaunchPermissions) != len(image.LaunchPermissions)-1 {
			t.Errorf("the other's permission in %s is gone", region)
		}
	}
}
