package publish_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Images of the test worlds, in addition to those that a run creates.
const (
	sourceImage        = "ami-0a0a0a0a0a0a0a0a0"
	publicImage        = "ami-0b0b0b0b0b0b0b0b0"
	instanceStoreImage = "ami-0c0c0c0c0c0c0c0c0"
	alias              = "alias/golden-ami"
)

// openToTheWorld is a public key policy, which no key should have.
const openToTheWorld = `{"Version":"2012-10-17","Statement":[{"Sid":"Everybody","Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}`

// world is a simulated AWS under test.
type world struct {
	sim     *awssim.World
	regions []string
	// recorded, if set, gets every publication that is recorded as complete.
	recorded func(publish.Outcome)

	mu    sync.Mutex
	lines []string
}

func defaultWorld() awssim.WorldFile { return withImages(awssim.DefaultWorld()) }

func worldIn(partition string, regions ...string) awssim.WorldFile {
	return withImages(awssim.WorldIn(partition, regions))
}

// withImages adds the source image, as a build with encryption by default on
// leaves it, and two that cannot be published.
func withImages(file awssim.WorldFile) awssim.WorldFile {
	home := file.Regions[0].Name
	file.Images = []awssim.ImageFile{
		{Account: awssim.PublishingAccount, Region: home, ID: sourceImage, Name: "golden", Architecture: "arm64", BootMode: "uefi", Snapshots: []int{8, 20}, Encrypted: true, Tags: map[string]string{"team": "base"}},
		{Account: awssim.OutsideAccount, Region: home, ID: publicImage, Name: "anybody's", Public: true},
		{Account: awssim.PublishingAccount, Region: home, ID: instanceStoreImage, Name: "old", RootDeviceType: "instance-store"},
	}
	return file
}

// timing is the timing of most tests, in which everything takes time.
var timing = awssim.Options{
	Latency: 50 * time.Millisecond, PropagationLag: 3 * time.Second, KeyCreationTime: 7 * time.Second,
	CopyTime: 8 * time.Minute, ImageLag: 4 * time.Second, BuildTime: 10 * time.Second, Quotas: true,
}

func newWorld(t *testing.T, file awssim.WorldFile) *world {
	t.Helper()
	return newWorldWith(t, file, timing)
}

func newWorldWith(t *testing.T, file awssim.WorldFile, timing awssim.Options) *world {
	t.Helper()
	sim, err := awssim.New(file, timing)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{sim: sim}
	for _, region := range file.Regions {
		if !region.OptIn {
			w.regions = append(w.regions, region.Name)
		}
	}
	return w
}

// spec publishes the source image in every Region, with all features.
func (w *world) spec() publish.Spec {
	return publish.Spec{
		Sources: []publish.Source{{Region: w.regions[0], ImageID: sourceImage}},
		Regions: slices.Clone(w.regions),
		Key:     publish.KeySpec{Alias: alias, PrimaryRegion: w.regions[0], Create: true, Policy: policy.Open, Rotation: kmskey.RotateCreated},
		Share:   publish.ShareSpec{Organization: true},
		Grants: publish.GrantsSpec{
			Accounts: awssim.MemberAccounts()[:2], Roles: slices.Clone(grant.DefaultRoles[:2]), MemberRole: awssim.GrantRole, MissingRole: "skip",
		},
		Image:       publish.ImageSpec{CopySourceTags: true},
		WaitTimeout: 2 * time.Hour,
		Check:       publish.CheckFail,
	}
}

// config is an SDK configuration for the account's administrator.
func (w *world) config(account, region string) aws.Config {
	id, secret := w.sim.AccessKey(account)
	return aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), HTTPClient: w.sim.Client()}
}

func (w *world) publish(spec publish.Spec) (outcome, error) {
	return w.publishWith(context.Background(), spec)
}

func (w *world) publishWith(ctx context.Context, spec publish.Spec) (outcome, error) {
	return w.publishLocked(ctx, spec, unlocked)
}

func (w *world) publishLocked(ctx context.Context, spec publish.Spec, lock publish.Locker) (outcome, error) {
	clients := awsclient.New(w.config(awssim.PublishingAccount, w.regions[0]))
	o, err := publish.Runner{Clients: clients, Reporter: w.reporter(), Lock: lock, Record: w.record}.Run(ctx, spec)
	return outcome{o}, err
}

func (w *world) record(o publish.Outcome) error {
	if w.recorded != nil {
		w.recorded(o)
	}
	return nil
}

// outcome is a run's outcome, with the documents that are generated from it.
type outcome struct{ publish.Outcome }

func (o outcome) Manifest() manifest.Manifest { return record.Manifest(o.Outcome) }

func (o outcome) Images() map[string]string { return o.ImageIDs() }

func (o outcome) Summary() string { return record.Summary(o.Outcome) }

// Write writes the files that the post-processor would.
func (o outcome) Write(directory string) ([]string, error) {
	switch {
	case o.Spec.PlanOnly && o.Planned:
		return record.Plan(directory, o.Outcome)
	case o.Complete:
		return record.Publication(directory, o.Outcome)
	default:
		return record.Failure(directory, o.Outcome)
	}
}

// unlocked is no lock: runs on several machines have none in common.
func unlocked(context.Context, publish.Section) (func(), bool, error) { return func() {}, false, nil }

func (w *world) mustPublish(t *testing.T, spec publish.Spec) outcome {
	t.Helper()
	result, err := w.publish(spec)
	if err != nil {
		t.Fatal(err)
	}
	validate(t, result.Manifest())
	return result
}

func (w *world) reporter() progress.Reporter {
	return progress.Reporter{Info: w.Say, Warn: w.Say, Progress: w.Say}
}

// Say records the messages for the user.
func (w *world) Say(message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, message)
}

func (w *world) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n")
}

func (w *world) state() awssim.State { return w.sim.Snapshot() }

// mutations counts the successful mutating calls by operation.
func (w *world) mutations() map[string]int {
	counts := map[string]int{}
	for _, e := range w.sim.Mutations() {
		if e.Service != "sts" { // a session changes nothing
			counts[e.Service+" "+e.Operation]++
		}
	}
	return counts
}

// check compares the end state of the world with the spec: keys, policies,
// aliases, images, snapshots' keys, permissions and grants.
func (w *world) check(t *testing.T, result outcome, spec publish.Spec) {
	t.Helper()
	state := w.state()
	w.checkKeys(t, state, spec)
	w.checkGrants(t, state, spec)
	m := result.Manifest()
	if !m.Complete || len(m.Errors) > 0 {
		t.Errorf("the manifest says complete %v, errors %v", m.Complete, m.Errors)
	}
	copies := 0
	for _, image := range state.Images {
		if image.Owner != awssim.PublishingAccount || image.Name != "golden-shared" {
			continue
		}
		copies++
		w.checkImage(t, image, snapshotsOf(state, image), m, spec)
	}
	if copies != len(spec.Regions) {
		t.Errorf("%d copies for %d regions", copies, len(spec.Regions))
	}
	if want := len(spec.Regions)*2 + 3; len(state.Snapshots) != want {
		t.Errorf("%d snapshots in the world, %d expected", len(state.Snapshots), want)
	}
}

func (w *world) checkKeys(t *testing.T, state awssim.State, spec publish.Spec) {
	t.Helper()
	regions := append(slices.Clone(spec.Regions), spec.Key.PrimaryRegion)
	slices.Sort(regions)
	regions = slices.Compact(regions)
	if len(state.Keys) != len(regions) {
		t.Fatalf("%d keys for the regions %v", len(state.Keys), regions)
	}
	ids := map[string]bool{}
	for _, key := range state.Keys {
		ids[key.ARN[strings.LastIndexByte(key.ARN, '/'):]] = true
		if key.State != "Enabled" || !key.MultiRegion || key.PrimaryRegion != spec.Key.PrimaryRegion || !slices.Equal(key.Aliases, []string{alias}) || key.Rotation != (spec.Key.Rotation != kmskey.RotateNever) {
			t.Errorf("key %s is %s, primary in %s, aliases %v, rotation %v", key.ARN, key.State, key.PrimaryRegion, key.Aliases, key.Rotation)
		}
		for name, value := range spec.Key.Tags {
			if key.Tags[name] != value {
				t.Errorf("key %s has the tags %v", key.ARN, key.Tags)
			}
		}
		document, err := policy.Parse(key.Policy)
		if err != nil {
			t.Fatal(err)
		}
		if open := document.PublicStatements(); len(open) > 0 {
			t.Errorf("key %s is open to the world: %v", key.ARN, open)
		}
		if !slices.Contains(document.Sids(), policy.SidOwner) || len(document.Sids()) < 2 {
			t.Errorf("key %s has the statements %v", key.ARN, document.Sids())
		}
	}
	if len(ids) != 1 {
		t.Errorf("there are %d keys: %v", len(ids), slices.Collect(maps.Keys(ids)))
	}
}

func (w *world) checkGrants(t *testing.T, state awssim.State, spec publish.Spec) {
	t.Helper()
	for _, key := range state.Keys {
		var want, got []string
		if slices.Contains(spec.Regions, key.Region) {
			for _, account := range spec.Grants.Accounts {
				for _, role := range spec.Grants.Roles {
					want = append(want, account+":role/"+role)
				}
			}
		}
		for _, g := range key.Grants {
			got = append(got, g.Grantee[strings.Index(g.Grantee, "::")+2:])
			if len(g.Operations) != len(grant.Operations) || g.Name == "" {
				t.Errorf("grant %+v", g)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("grants of %s: %v, not %v", key.ARN, got, want)
		}
	}
}

func (w *world) checkImage(t *testing.T, image awssim.ImageState, snapshots []awssim.SnapshotState, m manifest.Manifest, spec publish.Spec) {
	t.Helper()
	recorded := m.Images[image.Region]
	if recorded.ImageID != image.ID || image.State != "available" || image.Architecture != "arm64" || image.BootMode != "uefi" || len(snapshots) != 2 {
		t.Errorf("image %+v, recorded as %+v", image, recorded)
	}
	for _, snapshot := range snapshots {
		if snapshot.Key != m.Key.Regions[image.Region].ARN || !strings.Contains(snapshot.Key, ":"+image.Region+":") {
			t.Errorf("snapshot %s in %s is under %s", snapshot.ID, image.Region, snapshot.Key)
		}
		if !slices.Equal(slices.Sorted(slices.Values(snapshot.VolumePermissions)), snapshotAccounts(spec)) {
			t.Errorf("snapshot %s is shared with %v", snapshot.ID, snapshot.VolumePermissions)
		}
		for name, value := range spec.Image.SnapshotTags {
			if snapshot.Tags[name] != value {
				t.Errorf("snapshot %s has the tags %v", snapshot.ID, snapshot.Tags)
			}
		}
	}
	var want []string
	if spec.Share.Organization {
		want = append(want, m.Organization.ARN)
	}
	want = append(append(want, spec.Share.OrganizationalUnits...), spec.Share.Accounts...)
	if got := slices.Sorted(slices.Values(image.LaunchPermissions)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("image %s in %s is shared with %v, not %v", image.ID, image.Region, got, want)
	}
	if image.Tags["team"] != "base" {
		t.Errorf("image %s has the tags %v", image.ID, image.Tags)
	}
	for name, value := range spec.Image.Tags {
		if image.Tags[name] != value {
			t.Errorf("image %s has the tags %v", image.ID, image.Tags)
		}
	}
}

func snapshotsOf(state awssim.State, image awssim.ImageState) []awssim.SnapshotState {
	return slices.DeleteFunc(slices.Clone(state.Snapshots), func(s awssim.SnapshotState) bool { return !slices.Contains(image.Snapshots, s.ID) })
}

func snapshotAccounts(spec publish.Spec) []string {
	if !spec.Share.Snapshots {
		return nil
	}
	return slices.Sorted(slices.Values(spec.Share.Accounts))
}

// checkLaunches launches the published images in every Region, as Karpenter's
// role with the emitted policy and as the service-linked roles in members with
// grants. It checks that launches fail where a link of the chain is missing.
func (w *world) checkLaunches(t *testing.T, result outcome) {
	t.Helper()
	directory := t.TempDir()
	if _, err := result.Write(directory); err != nil {
		t.Fatal(err)
	}
	karpenter := read(t, directory, manifest.KarpenterFile)
	granted, other := awssim.MemberAccounts()[0], awssim.MemberAccounts()[2]
	w.attach(t, granted, karpenter)
	w.attach(t, awssim.OutsideAccount, karpenter)
	time.Sleep(10 * time.Second) // until policies and grants are visible
	for region, image := range result.Images() {
		if reason := w.launch(t, granted, region, image); reason != "" {
			t.Errorf("launch as Karpenter in %s: %s", region, reason)
		}
		if reason := w.launch(t, other, region, image); reason == "" {
			t.Errorf("launch in %s without the emitted policy succeeded", region)
		}
		if reason := w.launch(t, awssim.OutsideAccount, region, image); reason == "" {
			t.Errorf("launch in %s from outside the organization succeeded", region)
		}
		for _, role := range []string{"AWSServiceRoleForAutoScaling", "AWSServiceRoleForApplicationAutoScaling_ECSService"} {
			if reason := w.launchServiceLinked(t, granted, role, region, image); reason != "" {
				t.Errorf("launch by %s in %s: %s", role, region, reason)
			}
			if reason := w.launchServiceLinked(t, other, role, region, image); !strings.Contains(reason, "grant") {
				t.Errorf("launch by %s in %s without a grant: %q", role, region, reason)
			}
		}
	}
}

func (w *world) attach(t *testing.T, account, document string) {
	t.Helper()
	_, err := iam.NewFromConfig(w.config(account, w.regions[0])).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
		RoleName: aws.String(awssim.LauncherRole), PolicyName: aws.String("kms"), PolicyDocument: &document,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// launch runs an instance as the account's launcher role and returns why it did
// not come up.
func (w *world) launch(t *testing.T, account, region, image string) string {
	t.Helper()
	config := w.config(account, region)
	partition := strings.Split(w.state().Keys[0].ARN, ":")[1]
	role := fmt.Sprintf("arn:%s:iam::%s:role/%s", partition, account, awssim.LauncherRole)
	config.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(config), role))
	client := ec2.NewFromConfig(config)
	run, err := client.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: &image, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: ec2types.InstanceTypeT4gMicro,
	})
	if err != nil {
		return awsclient.Code(err)
	}
	id := aws.ToString(run.Instances[0].InstanceId)
	time.Sleep(time.Minute)
	answer, err := client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	if instance := answer.Reservations[0].Instances[0]; instance.State.Name != ec2types.InstanceStateNameRunning {
		return aws.ToString(instance.StateReason.Code) + ": " + w.sim.Diagnosis(id)
	}
	return ""
}

func (w *world) launchServiceLinked(t *testing.T, account, role, region, image string) string {
	t.Helper()
	result, err := w.sim.LaunchAsServiceLinkedRole(account, role, region, image)
	if err != nil {
		t.Fatal(err)
	}
	if result.State == "running" {
		return ""
	}
	return result.Reason + ": " + result.Diagnosis
}

// makeKey creates a key with the alias, as another client could, and returns its ID.
func (w *world) makeKey(t *testing.T, region string, multiRegion bool, document string) string {
	t.Helper()
	client := kms.NewFromConfig(w.config(awssim.PublishingAccount, region))
	input := &kms.CreateKeyInput{MultiRegion: &multiRegion}
	if document != "" {
		input.Policy, input.BypassPolicyLockoutSafetyCheck = &document, true
	}
	return makeNamedKey(t, client, alias, input)
}

func makeNamedKey(t *testing.T, client *kms.Client, name string, input *kms.CreateKeyInput) string {
	t.Helper()
	answer, err := client.CreateKey(t.Context(), input)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: &name, TargetKeyId: answer.KeyMetadata.KeyId}); err != nil {
		t.Fatal(err)
	}
	return aws.ToString(answer.KeyMetadata.KeyId)
}

func (w *world) disable(t *testing.T, region, id string) {
	t.Helper()
	_, err := kms.NewFromConfig(w.config(awssim.PublishingAccount, region)).DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &id})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) scheduleDeletion(t *testing.T, region, id string) {
	t.Helper()
	_, err := kms.NewFromConfig(w.config(awssim.PublishingAccount, region)).ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &id})
	if err != nil {
		t.Fatal(err)
	}
}
