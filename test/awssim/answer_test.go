package awssim_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// answered is what a client of one of the three protocols reads from a response.
type answered struct {
	image    *types.Image // nil for a response without images
	snapshot *types.Snapshot
	key      *kmstypes.KeyMetadata
	account  *string
}

// answersWith reads an image, its snapshot, a key and the caller, with the fault on
// every response.
func answersWith(t *testing.T, w *awssim.World, fault awssim.Fault) answered {
	t.Helper()
	client := ec2In(w, awssim.PublishingAccount, "us-east-1")
	key := newKey(t, w, false)
	snapshot := describe(t, client, managedImage).BlockDeviceMappings[0].Ebs.SnapshotId
	fault.Times = -1
	w.Inject(fault)
	defer w.ClearFaults()
	var got answered
	if images := must(client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{managedImage}}))(t).Images; len(images) > 0 {
		got.image = &images[0]
	}
	if snapshots := must(client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*snapshot}}))(t).Snapshots; len(snapshots) > 0 {
		got.snapshot = &snapshots[0]
	}
	got.key = must(kmsClient(w, awssim.PublishingAccount, "us-east-1").DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key}))(t).KeyMetadata
	got.account = must(sts.NewFromConfig(config(w, awssim.PublishingAccount, "us-east-1")).GetCallerIdentity(t.Context(), nil))(t).Account
	return got
}

// TestAnswerFaultsChangeContent checks the altered responses in all protocols.
func TestAnswerFaultsChangeContent(t *testing.T) {
	for kind, check := range map[awssim.FaultKind]func(answered) bool{
		awssim.EmptyAnswer: func(a answered) bool {
			return a.image == nil && a.snapshot == nil && a.key == nil && a.account == nil
		},
		awssim.MissingMembers: func(a answered) bool {
			return a.image != nil && a.image.ImageId == nil && a.snapshot != nil && a.snapshot.State == "" && a.key != nil && a.key.KeyId == nil && a.account != nil
		},
		awssim.MissingInnerMembers: func(a answered) bool {
			devices := a.image.BlockDeviceMappings
			return a.image.State == types.ImageStateAvailable && len(devices) == 2 && devices[0].Ebs == nil && devices[0].DeviceName == nil && aws.ToString(a.snapshot.KmsKeyId) != ""
		},
		awssim.MissingDetails: func(a answered) bool {
			return aws.ToString(a.image.ImageId) == managedImage && a.image.State == types.ImageStateAvailable && len(a.image.BlockDeviceMappings) == 0 &&
				a.snapshot.SnapshotId != nil && a.snapshot.State == types.SnapshotStateCompleted && a.snapshot.KmsKeyId == nil && a.snapshot.Encrypted == nil &&
				a.key.KeyId != nil && a.key.KeyState == kmstypes.KeyStateEnabled && a.key.KeyManager == ""
		},
		awssim.EmptyLists: func(a answered) bool {
			return a.image == nil && a.snapshot == nil && a.key.KeyId != nil && len(a.key.EncryptionAlgorithms) == 0
		},
		awssim.EmptyInnerLists: func(a answered) bool {
			return a.image.RootDeviceName != nil && len(a.image.BlockDeviceMappings) == 0 && a.snapshot.KmsKeyId != nil
		},
		awssim.UnknownStates: func(a answered) bool {
			return a.image.State == awssim.UnknownState && len(a.image.BlockDeviceMappings) == 2 && a.snapshot.State == awssim.UnknownState &&
				a.key.KeyState == awssim.UnknownState && a.key.KeyId != nil
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				if kind == awssim.UnknownStates {
					checkUnknownInstance(t, w)
				}
				if got := answersWith(t, w, awssim.Fault{Kind: kind}); !check(got) {
					t.Errorf("image %+v\nsnapshot %+v\nkey %+v\naccount %v", got.image, got.snapshot, got.key, got.account)
				}
			})
		})
	}
}

func checkUnknownInstance(t *testing.T, w *awssim.World) {
	t.Helper()
	client := ec2In(w, awssim.PublishingAccount, "us-east-1")
	must(client.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: aws.String(plainImage), InstanceType: types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	}))(t)
	w.Inject(awssim.Fault{Operation: "DescribeInstances", Kind: awssim.UnknownStates})
	reservations := must(client.DescribeInstances(t.Context(), nil))(t).Reservations
	if state := reservations[0].Instances[0].State.Name; state != awssim.UnknownState {
		t.Errorf("the instance is %s", state)
	}
}

// TestAnswerFaultsLeaveTheRest checks that a change that has nothing to change leaves
// what clients read as it is, in every protocol.
func TestAnswerFaultsLeaveTheRest(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		key := newKey(t, w, true, openStatement)
		read := func() []any {
			return []any{
				must(client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{}))(t).Images,
				must(kmsClient(w, awssim.PublishingAccount, "us-east-1").DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key}))(t).KeyMetadata,
				*must(kmsClient(w, awssim.PublishingAccount, "us-east-1").GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: &key}))(t).Policy,
				*must(sts.NewFromConfig(config(w, awssim.PublishingAccount, "us-east-1")).GetCallerIdentity(t.Context(), nil))(t).Arn,
			}
		}
		want := read()
		w.Inject(awssim.Fault{Kind: awssim.OmitItems, IDs: []string{"none"}, Times: -1})
		if diff := cmp.Diff(want, read(), cmp.FilterPath(func(p cmp.Path) bool { return strings.HasPrefix(p.Last().String(), ".noSmithy") }, cmp.Ignore())); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAnswerFaultsBreakAnswers checks that malformed bodies are errors. The
// exception is an HTML page instead of an EC2 response, which the SDK reads as an
// empty one.
func TestAnswerFaultsBreakAnswers(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		keys := kmsClient(w, awssim.PublishingAccount, "us-east-1")
		key := newKey(t, w, false)
		errorsOf := func(kind awssim.FaultKind) (image, described error) {
			w.Inject(awssim.Fault{Kind: kind, Times: -1})
			defer w.ClearFaults()
			_, image = client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{plainImage}})
			_, described = keys.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
			return image, described
		}
		if image, described := errorsOf(awssim.HTMLPage); image != nil || described == nil {
			t.Errorf("an HTML page is %v and %v", image, described)
		}
		var status interface{ HTTPStatusCode() int }
		if image, described := errorsOf(awssim.HTMLGatewayError); !errors.As(image, &status) || status.HTTPStatusCode() != http.StatusBadGateway || described == nil {
			t.Errorf("an HTML error page is %v and %v", image, described)
		}
		if image, described := errorsOf(awssim.TruncatedBody); !errors.Is(image, io.ErrUnexpectedEOF) || !errors.Is(described, io.ErrUnexpectedEOF) {
			t.Errorf("a truncated body is %v and %v", image, described)
		}
		w.Inject(awssim.Fault{Kind: awssim.EmptyBody})
		answer, err := keys.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
		if err != nil || answer.KeyMetadata != nil {
			t.Errorf("an empty body is %+v, %v", answer, err)
		}
		w.Inject(awssim.Fault{Kind: awssim.EmptyBody})
		_, err = client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{"ami-0123456789abcdef0"}})
		wantCode(t, err, "InvalidAMIID.NotFound") // errors stay errors
	})
}

// TestAnswerFaultsComeAfterTheEffect checks that the world changes, and the journal has
// the call, whatever the client reads.
func TestAnswerFaultsComeAfterTheEffect(t *testing.T) {
	for _, kind := range awssim.AnswerFaults() {
		t.Run(string(kind), func(t *testing.T) {
			inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				w.Inject(awssim.Fault{Operation: "DeregisterImage", Kind: kind})
				_, err := ec2In(w, awssim.PublishingAccount, "us-east-1").DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: aws.String(plainImage)})
				if (err != nil) != slices.Contains([]awssim.FaultKind{awssim.HTMLGatewayError, awssim.TruncatedBody, awssim.NoAnswer}, kind) {
					t.Errorf("the client gets %v", err)
				}
				if len(w.Mutations()) != 1 {
					t.Errorf("journal: %+v", w.Journal())
				}
				if slices.ContainsFunc(w.Snapshot().Images, func(i awssim.ImageState) bool { return i.ID == plainImage }) {
					t.Error("the image is still there")
				}
			})
		})
	}
}

// TestRepeatedToken checks that every page is the first, which for Organizations is an
// empty one, and names the same next page.
func TestRepeatedToken(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		newKey(t, w, false)
		w.Inject(awssim.Fault{Kind: awssim.RepeatedToken, Times: -1})
		client, keys := ec2In(w, awssim.PublishingAccount, "us-east-1"), kmsClient(w, awssim.PublishingAccount, "us-east-1")
		accounts := organizations.NewFromConfig(config(w, awssim.ManagementAccount, "us-east-1"))
		var token, marker, next *string
		for range 3 {
			images := must(client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}, NextToken: token}))(t)
			listed := must(keys.ListKeys(t.Context(), &kms.ListKeysInput{Marker: marker}))(t)
			members := must(accounts.ListAccounts(t.Context(), &organizations.ListAccountsInput{NextToken: next}))(t)
			if len(images.Images) != 3 || len(listed.Keys) == 0 || !listed.Truncated || len(members.Accounts) != 0 {
				t.Errorf("pages of %d images, %d keys (truncated: %v), %d accounts", len(images.Images), len(listed.Keys), listed.Truncated, len(members.Accounts))
			}
			if images.NextToken == nil || token != nil && *token != *images.NextToken || listed.NextMarker == nil || marker != nil && *marker != *listed.NextMarker || members.NextToken == nil {
				t.Fatalf("tokens %v, %v, %v", images.NextToken, listed.NextMarker, members.NextToken)
			}
			token, marker, next = images.NextToken, listed.NextMarker, members.NextToken
		}
	})
}

// TestNoAnswer checks that a call without a response ends with its context, in virtual
// time and over a socket.
func TestNoAnswer(t *testing.T) {
	t.Run("virtual time", func(t *testing.T) {
		inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
			w.Inject(awssim.Fault{Kind: awssim.NoAnswer, Times: -1})
			client := ec2In(w, awssim.PublishingAccount, "us-east-1")
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			done := make(chan error)
			go func() {
				_, err := client.DescribeImages(ctx, &ec2.DescribeImagesInput{})
				done <- err
			}()
			synctest.Wait()
			if len(w.Journal()) != 1 {
				t.Errorf("journal: %+v", w.Journal())
			}
			if err := <-done; !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Minute {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
		})
	})
	t.Run("socket", func(t *testing.T) {
		w := must(awssim.New(awssim.DefaultWorld(), awssim.Options{}))(t)
		server := httptest.NewServer(w)
		defer server.Close()
		settings := config(w, awssim.PublishingAccount, "us-east-1")
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		settings.HTTPClient, settings.BaseEndpoint = &http.Client{Transport: transport}, &server.URL
		client := ec2.NewFromConfig(settings)
		w.Inject(awssim.Fault{Kind: awssim.NoAnswer})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.OnCall(func(awssim.Entry) { cancel() }) // after the call took effect
		if _, err := client.DescribeRegions(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("no answer is %v", err)
		}
		w.Inject(awssim.Fault{Kind: awssim.TruncatedBody})
		if _, err := client.DescribeRegions(t.Context(), nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a truncated body is %v", err)
		}
		w.Inject(awssim.Fault{Kind: awssim.UnknownStates})
		if _, err := client.DescribeRegions(t.Context(), nil); err != nil {
			t.Errorf("the next call: %v", err)
		}
	})
}

// TestSnapshotsMissing uses responses that leave out a snapshot or its key.
func TestSnapshotsMissing(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ec2In(w, awssim.PublishingAccount, "us-east-1")
		devices := describe(t, client, managedImage).BlockDeviceMappings
		ids := []string{*devices[0].Ebs.SnapshotId, *devices[1].Ebs.SnapshotId}
		snapshots := func(fault awssim.Fault) map[string]string {
			fault.Operation, fault.Times = "DescribeSnapshots", -1
			w.Inject(fault)
			defer w.ClearFaults()
			keys := map[string]string{}
			for _, s := range must(client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: ids}))(t).Snapshots {
				if !aws.ToBool(s.Encrypted) {
					t.Errorf("%s is not encrypted", *s.SnapshotId)
				}
				keys[*s.SnapshotId] = aws.ToString(s.KmsKeyId)
			}
			return keys
		}
		all := snapshots(awssim.Fault{Kind: awssim.OmitItems})
		for name, test := range map[string]struct {
			fault awssim.Fault
			want  map[string]string
		}{
			"a snapshot":    {awssim.Fault{Kind: awssim.OmitItems, IDs: ids[:1]}, map[string]string{ids[1]: all[ids[1]]}},
			"all snapshots": {awssim.Fault{Kind: awssim.OmitItems, IDs: ids}, map[string]string{}},
			"a key":         {awssim.Fault{Kind: awssim.OmitMembers, Members: []string{"kmsKeyId"}, IDs: ids[1:]}, map[string]string{ids[0]: all[ids[0]], ids[1]: ""}},
			"all keys":      {awssim.Fault{Kind: awssim.OmitMembers, Members: []string{"kmsKeyId"}}, map[string]string{ids[0]: "", ids[1]: ""}},
		} {
			if diff := cmp.Diff(test.want, snapshots(test.fault)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}
