package canary

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
)

// TestDied checks when the state reason of an instance means that the image is the
// cause. Fact: EC2-INST-10, LAUNCH-15.
func TestDied(t *testing.T) {
	for code, test := range map[string]struct {
		message     string
		outcome     Outcome
		interrupted bool
		elsewhere   bool
	}{
		"Client.InternalError":                {"Client.InternalError: Client error on launch", Failed, false, false},
		"Client.InvalidKMSKey.InvalidState":   {"Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state", Failed, false, false},
		"Client.InstanceInitiatedShutdown":    {"Client.InstanceInitiatedShutdown: Instance initiated shutdown", Failed, false, false},
		"Client.UserInitiatedShutdown":        {"Client.UserInitiatedShutdown: User initiated shutdown", Inconclusive, true, false},
		"Client.VolumeLimitExceeded":          {"Client.VolumeLimitExceeded: Volume limit exceeded", Inconclusive, false, true},
		"Server.InsufficientInstanceCapacity": {"Server.InsufficientInstanceCapacity: Insufficient capacity to satisfy instance request", Inconclusive, false, true},
		"Server.InternalError":                {"Server.InternalError: Internal error on launch", Inconclusive, false, true},
		"":                                    {"", Inconclusive, false, false},
	} {
		instance := &types.Instance{State: &types.InstanceState{Name: types.InstanceStateNameTerminated}, StateReason: &types.StateReason{Code: &code, Message: aws.String(test.message)}}
		var end ending
		end.died(instance)
		if end.Outcome != test.outcome || end.interrupted != test.interrupted || end.elsewhere != test.elsewhere || end.Reason == "" {
			t.Errorf("%q is %+v, want %+v", code, end, test)
		}
	}
	var end ending
	if end.died(&types.Instance{State: &types.InstanceState{Name: types.InstanceStateNameTerminated}}); end.Outcome != Inconclusive || end.Reason == "" {
		t.Errorf("without a reason it is %+v", end)
	}
}

// TestReasons checks how messages of Auto Scaling's activities are interpreted. Fact:
// ASG-5, LAUNCH-17.
func TestReasons(t *testing.T) {
	for message, want := range map[string]struct{ key, capacity bool }{
		"Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InternalError: Client error on launch":                                     {true, false},
		"Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state": {true, false},
		"We currently do not have sufficient t3.nano capacity in the Availability Zone you requested (us-east-1a). Launching EC2 instance failed.":                                            {false, true},
		"Your requested instance type (t3.nano) is not supported in your requested Availability Zone (us-east-1e). Launching EC2 instance failed.":                                            {false, true},
		"You have requested more vCPU capacity than your current vCPU limit of 0 allows. Launching EC2 instance failed.":                                                                      {false, true},
		"The image id '[ami-0123456789abcdef0]' does not exist. Launching EC2 instance failed.":                                                                                               {false, false},
	} {
		if isKeyError(message) != want.key || isCapacity(message) != want.capacity {
			t.Errorf("%q: key %v, capacity %v", message, isKeyError(message), isCapacity(message))
		}
	}
}

func TestInstanceIn(t *testing.T) {
	for description, want := range map[string]string{
		"Launching a new EC2 instance: i-00b46f05db2176074.  Status Reason: Instance became unhealthy": "i-00b46f05db2176074",
		"Launching a new EC2 instance: i-00b46f05db2176074":                                            "i-00b46f05db2176074",
		"Launching a new EC2 instance.  Status Reason: Your quota":                                     "",
		"": "",
	} {
		if got := instanceIn(description); got != want {
			t.Errorf("%q names %q, want %q", description, got, want)
		}
	}
}

func FuzzInstanceIn(f *testing.F) {
	f.Add("Launching a new EC2 instance: i-00b46f05db2176074.  Status Reason: x")
	f.Fuzz(func(t *testing.T, description string) {
		if id := instanceIn(description); id != "" && id[:2] != "i-" {
			t.Errorf("%q names %q", description, id)
		}
	})
}

// TestRemovable checks that tags and name must agree, and that the run must have ended.
func TestRemovable(t *testing.T) {
	r := regional{Canary: Canary{Publication: "pub-1", Timeout: time.Minute}, run: "00000000000000aa"}
	other := r
	other.run = "00000000000000bb"
	elsewhere := other
	elsewhere.Publication = "pub-2"
	for name, test := range map[string]struct {
		tags map[string]string
		name string
		want bool
	}{
		"this run's":                   {r.tags(1), r.name(1), false},
		"an earlier run's":             {other.tags(2), other.name(2), true},
		"another publication's":        {elsewhere.tags(1), elsewhere.name(1), false},
		"with the name of another run": {other.tags(1), r.name(1), false},
		"with another name":            {other.tags(1), "web-server", false},
		"without tags":                 {nil, other.name(1), false},
	} {
		if got := r.removable(test.tags, test.name); got != test.want {
			t.Errorf("what is %s can be removed: %v", name, got)
		}
	}
}

// TestCandidates checks that the types can boot the image. Fact: EC2-INST-7.
func TestCandidates(t *testing.T) {
	for first, hardware := range map[string]ami.Hardware{
		"t4g.nano": {Architecture: "arm64", BootMode: "uefi", ENA: true},
		"t3.nano":  {Architecture: "x86_64", BootMode: "uefi-preferred", ENA: true},
		"t2.nano":  {Architecture: "x86_64", BootMode: "legacy-bios"},
	} {
		if got := candidates(ami.Image{Hardware: hardware}); len(got) == 0 || got[0] != first {
			t.Errorf("for %+v: %v, want %s first", hardware, got, first)
		}
	}
	for _, hardware := range []ami.Hardware{{Architecture: "x86_64_mac", ENA: true}, {Architecture: "x86_64", BootMode: "uefi"}, {}} {
		if got := candidates(ami.Image{Hardware: hardware}); len(got) != 0 {
			t.Errorf("for %+v: %v", hardware, got)
		}
	}
}
