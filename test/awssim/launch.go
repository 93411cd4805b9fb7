package awssim

import (
	"fmt"
	"slices"
	"time"
)

// This file decides whether a principal can launch an image: the links of Fact 6,
// one after the other. What is wrong with the image is answered at once. What is
// wrong with a key shows late, as AWS does it: the instance is pending, and then
// terminated with a state reason that says little. The simulator keeps the
// first missing link beside it.

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

// planVolumes says which volumes a launch makes of the image's devices and of
// the request's, each with its key: the one that the request names, else the
// snapshot's, else with encryption by default the account's default key.
// Fact: 6.
func (c *call) planVolumes(i *image, with []blockDevice) ([]volumePlan, *Error) {
	var volumes []volumePlan
	for _, d := range i.devices {
		v := volumePlan{device: d}
		if d.snapshot != nil {
			v.key = d.snapshot.key
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

// keyUses are what EC2 does with the keys of a volume and its snapshot when it
// launches an instance for the caller. Fact: 6.
func (v volumePlan) keyUses() []keyUse {
	var from *kmsKey
	if v.snapshot != nil {
		from = v.snapshot.key
	}
	switch {
	case v.key == nil:
		return nil
	case from == nil:
		return []keyUse{{v.key, []string{"kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt", "kms:CreateGrant"}}}
	case from == v.key:
		return []keyUse{{v.key, []string{
			"kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:CreateGrant",
		}}}
	default:
		return []keyUse{
			{from, []string{"kms:DescribeKey", "kms:Decrypt", "kms:ReEncryptFrom"}},
			{v.key, []string{"kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt", "kms:ReEncryptTo", "kms:CreateGrant"}},
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
		if use, problem := c.firstMissing(c.region, v.keyUses()); problem != nil {
			reason := terse(keyFailure(use.key.arn, problem).Code)
			return reason, fmt.Sprintf("volume %s via %s: %s", v.name, c.w.viaEC2(c.region), problem.Message)
		}
	}
	return nil, ""
}

// terse is a state reason as EC2 words it.
func terse(code string) *stateReasonItem {
	message := code + ": Client error on launch"
	if code == "Client.InvalidKMSKey.InvalidState" {
		message = code + ": The KMS key provided is in an incorrect state"
	}
	return &stateReasonItem{code, message}
}

// LaunchResult is how a launch by a service-linked role ended.
type LaunchResult struct {
	// InstanceID is empty if EC2 refused the launch.
	InstanceID string `json:"instance_id"`
	// State is running or terminated, or refused.
	State string `json:"state"`
	// Reason is the code of AWS's state reason or error, empty if it runs.
	Reason string `json:"reason"`
	// Diagnosis is the first missing link in full, empty if it runs.
	Diagnosis string `json:"diagnosis"`
}

// launchType is what service-linked roles launch, by architecture.
var launchType = map[string]string{"arm64": "t4g.micro", "x86_64": "t3.micro"}

// Diagnosis says what AWS does not: the first missing link of a launch that
// failed. It is empty for an instance that runs, or that does not exist.
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

// serviceLinkedSession is the principal that a service has when it uses its
// role.
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

// launchAsServiceLinkedRole runs one instance as the role of the account. It
// does not wait: the instance is past its pending state at once.
func (w *World) launchAsServiceLinkedRole(r launchRequest, now time.Time) (LaunchResult, error) {
	principal, err := w.serviceLinkedSession(r.Account, r.Role)
	if err != nil {
		return LaunchResult{}, err
	}
	region := w.regions[r.Region]
	if region == nil || !w.accounts[r.Account].enabledIn(region) {
		return LaunchResult{}, fmt.Errorf("account %s cannot use region %q", r.Account, r.Region)
	}
	c := &call{w: w, now: now, service: "ec2", operation: "RunInstances", region: r.Region, caller: principal}
	i, problem := c.launchImage(r.ImageID)
	if problem != nil {
		return LaunchResult{State: "refused", Reason: problem.Code, Diagnosis: problem.Message}, nil //nolint:nilerr // a refusal is a result
	}
	launched, problem := c.launch(launchPlan{image: i, instanceType: launchType[i.architecture], count: 1})
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
