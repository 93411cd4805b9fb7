package awssim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// This file decides whether a principal can launch an image: the links of a launch in
// docs/aws-facts.md, one after the other. A problem with the image fails the request. A
// problem with a key shows late, as in AWS: the instance is pending, and then
// terminated with a state reason that says little (Fact: LAUNCH-15). The simulator
// stores the first missing link with the instance.

// launchImage finds an image that the caller can launch.
func (c *call) launchImage(id string) (*image, *Error) {
	i, problem := c.imageIn(c.region, id)
	if problem != nil {
		return nil, problem
	}
	if state := i.state(c.now); state != "available" {
		return nil, unavailable(i, state)
	}
	return i, nil
}

// planVolumes says which volumes a launch creates from the image's devices and the
// request's, each with its key: the one that the request names; else, for an
// encrypted snapshot, that of restoredKey; else, with encryption by default, the
// account's default key. Fact: LAUNCH-7 to LAUNCH-13.
func (c *call) planVolumes(i *image, with []blockDevice) ([]volumePlan, *Error) {
	var volumes []volumePlan
	for _, d := range i.devices {
		v := volumePlan{device: d}
		if d.snapshot != nil {
			v.key = c.restoredKey(d.snapshot)
		}
		volumes = append(volumes, v)
	}
	volumes, problem := c.override(volumes, with)
	if problem != nil {
		return nil, problem
	}
	volumes = slices.DeleteFunc(volumes, func(v volumePlan) bool { return v.virtual != "" })
	for n := range volumes {
		if volumes[n].key == nil && volumes[n].problem == nil && c.encryptsByDefault() {
			volumes[n].key = c.defaultKey()
		}
	}
	return volumes, nil
}

// restoredKey is the key of a volume that is restored from the snapshot if the
// request names none: the snapshot's for a snapshot of the caller's account, and
// the account's default EBS key for an encrypted one of another account. It is nil
// for an unencrypted snapshot. Fact: LAUNCH-7, LAUNCH-8, LAUNCH-11.
func (c *call) restoredKey(s *snapshot) *kmsKey {
	if s.key == nil || s.owner == c.caller.Account {
		return s.key
	}
	return c.defaultKey()
}

// launchKeyActions are what AWS lists for users of EBS encryption and of a shared
// snapshot's key. Which of them a launch needs on the shared key if the volume has
// another one isn't documented: all are required. Fact: LAUNCH-2, LAUNCH-3,
// LAUNCH-5.
var launchKeyActions = []string{
	"kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:CreateGrant",
}

// keyUses are what EC2 does with the keys of a volume and its snapshot when it
// launches an instance for the caller: first the snapshot's, then the volume's.
// Fact: LAUNCH-2 to LAUNCH-6, LAUNCH-12.
func (c *call) keyUses(v volumePlan) []keyUse {
	what := "the default EBS key of account " + c.caller.Account
	if v.named {
		what = "the key that the launch names"
	}
	if v.snapshot == nil || v.snapshot.key == nil {
		if v.key == nil {
			return nil
		}
		return []keyUse{{v.key, []string{"kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt", "kms:CreateGrant"}, what}}
	}
	from := "the key of the snapshot " + v.snapshot.id
	switch {
	case v.snapshot.key == v.key:
		return []keyUse{{v.key, launchKeyActions, from}}
	case v.snapshot.owner != c.caller.Account:
		return []keyUse{{v.snapshot.key, launchKeyActions, from}, {v.key, launchKeyActions, what}}
	default:
		return []keyUse{
			{v.snapshot.key, []string{"kms:DescribeKey", "kms:Decrypt", "kms:ReEncryptFrom"}, from},
			{v.key, []string{"kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt", "kms:ReEncryptTo", "kms:CreateGrant"}, what},
		}
	}
}

// diagnose finds the first key that EC2 may not use for the caller. It returns
// the state reason that AWS gives, nil if there is none, and what is missing.
func (c *call) diagnose(volumes []volumePlan) (*stateReasonItem, string) {
	for _, v := range volumes {
		if v.problem != nil {
			return terse(v.problem.Code), fmt.Sprintf("volume %s: %s", v.name, v.problem.Message)
		}
		use, problem := c.firstMissing(c.region, c.keyUses(v))
		if problem == nil && v.key != nil && v.key.grants.holding() >= maxGrants {
			use, problem = keyUse{key: v.key, what: "the volume's key"}, tooManyGrants(v.key)
		}
		if problem != nil {
			reason := terse(keyFailure(use.key.arn, problem).Code)
			return reason, fmt.Sprintf("volume %s via %s, %s (%s): %s", v.name, viaEC2(c.region), use.what, use.key.arn, problem.Message)
		}
	}
	return nil, ""
}

// diagnoseAll is diagnose for the caller and, for a Spot Instance, also for the
// Spot service's role, which must exist. Fact: FLEET-5, LAUNCH-18, LAUNCH-22.
func (c *call) diagnoseAll(volumes []volumePlan, spot bool) (*stateReasonItem, string, *Error) {
	reason, diagnosis := c.diagnose(volumes)
	if reason != nil || !spot {
		return reason, diagnosis, nil
	}
	role, err := c.w.serviceLinkedSession(c.caller.Account, serviceLinkedRoleNames["spot.amazonaws.com"])
	if err != nil {
		return nil, "", &Error{
			Status: http.StatusForbidden, Code: "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
			Message: "The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances.",
		}
	}
	as := *c
	as.caller = role
	reason, diagnosis = as.diagnose(volumes)
	return reason, diagnosis, nil
}

// terse returns a state reason in EC2's words.
func terse(code string) *stateReasonItem {
	message := code + ": Client error on launch"
	if code == "Client.InvalidKMSKey.InvalidState" {
		message = code + ": The KMS key provided is in an incorrect state"
	}
	return &stateReasonItem{code, message}
}

// LaunchResult is how a launch by a service-linked role ended.
type LaunchResult struct {
	// InstanceID is empty if EC2 rejected the launch.
	InstanceID string `json:"instance_id"`
	// State is running or terminated, or rejected.
	State string `json:"state"`
	// Reason is the code of AWS's state reason or error, empty if it runs.
	Reason string `json:"reason"`
	// Diagnosis is the first missing link in full, empty if it runs.
	Diagnosis string `json:"diagnosis"`
}

// launchType is the instance type that service-linked roles launch, by architecture.
var launchType = map[string]string{"arm64": "t4g.micro", "x86_64": "t3.micro"}

// Diagnosis returns what AWS doesn't report: the first missing link of a failed
// launch. It is empty for an instance that runs or doesn't exist.
func (w *World) Diagnosis(instanceID string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.ec2.regions {
		if i := r.instances[instanceID]; i != nil {
			return i.diagnosis
		}
	}
	return ""
}

// serviceLinkedSession returns the principal of a service that uses its role.
func (w *World) serviceLinkedSession(accountID, roleName string) (Principal, error) {
	a := w.accounts[accountID]
	if a == nil {
		return Principal{}, fmt.Errorf("account %s does not exist", accountID)
	}
	for _, r := range a.roles {
		if r.name == roleName && r.serviceLinked {
			return Principal{Account: a.id, ARN: w.arn("sts", "", a.id, "assumed-role/"+r.name+"/service"), RoleARN: r.arn}, nil
		}
	}
	return Principal{}, fmt.Errorf("account %s has no service-linked role %s", accountID, roleName)
}

// hiddenImage returns a diagnosis if Allowed AMIs hides the image, which AWS doesn't
// report. Otherwise it returns the message. Fact: EC2-IMG-26.
func (c *call) hiddenImage(id, message string) string {
	i := c.here().images[id]
	if i == nil || !c.w.imageSharedWith(i, c.caller.Account) || !c.w.hidesImage(i, c.caller.Account, c.now) {
		return message
	}
	return fmt.Sprintf("%s: Allowed AMIs of account %s is enabled in %s, and the image %s of account %s (%q) meets none of its %d criteria",
		message, c.caller.Account, c.region, i.id, i.owner, i.name, len(c.account().allowedImages[c.region].criteria))
}

// devices are the block device mappings of a launch that names a key: every EBS
// volume of the image with Encrypted and the key. Fact: LAUNCH-13.
func (r launchRequest) devices(i *image) []blockDevice {
	if r.KMSKeyID == "" {
		return nil
	}
	var devices []blockDevice
	encrypted := true
	for _, d := range i.devices {
		if d.virtual == "" {
			devices = append(devices, blockDevice{DeviceName: d.name, EBS: &blockDeviceEBS{Encrypted: &encrypted, KmsKeyID: r.KMSKeyID}})
		}
	}
	return devices
}

// launchAsServiceLinkedRole runs one instance as the role of the account. It doesn't
// wait: the instance leaves the pending state immediately.
func (w *World) launchAsServiceLinkedRole(r launchRequest, now time.Time) (LaunchResult, error) {
	principal, err := w.serviceLinkedSession(r.Account, r.Role)
	if err != nil {
		return LaunchResult{}, err
	}
	region := w.regions[r.Region]
	if region == nil {
		return LaunchResult{}, fmt.Errorf("there is no region %q", r.Region)
	}
	if !w.accounts[r.Account].enabledIn(region, now) { // Fact: KMS-KEY-16, NET-4
		return LaunchResult{State: "refused", Reason: "OptInRequired", Diagnosis: fmt.Sprintf("account %s hasn't enabled the opt-in Region %s", r.Account, r.Region)}, nil
	}
	c := &call{w: w, now: now, service: "ec2", operation: "RunInstances", region: r.Region, caller: principal}
	i, problem := c.launchImage(r.ImageID)
	if problem != nil {
		return LaunchResult{State: "refused", Reason: problem.Code, Diagnosis: c.hiddenImage(r.ImageID, problem.Message)}, nil //nolint:nilerr // a refusal is a result
	}
	launched, problem := c.launch(launchPlan{image: i, instanceType: launchType[i.architecture], count: 1, devices: r.devices(i)})
	if problem != nil {
		return LaunchResult{State: "refused", Reason: problem.Code, Diagnosis: problem.Message}, nil //nolint:nilerr // a refusal is a result
	}
	one := launched[0]
	one.phase.at = now
	result := LaunchResult{InstanceID: one.id, State: one.state(now), Diagnosis: one.diagnosis}
	if one.reason != nil {
		result.Reason = one.reason.Code
	}
	return result, nil
}
