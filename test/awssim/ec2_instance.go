package awssim

import (
	"cmp"
	"slices"
	"time"
)

// instance is an EC2 instance.
type instance struct {
	id, region, owner, reservation           string
	imageID, instanceType, architecture      string
	bootMode, rootDeviceName, rootDeviceType string
	ena                                      bool
	sriov, keyName                           string
	subnet                                   subnet
	securityGroups                           []string
	launched                                 time.Time
	phase                                    phase
	reason                                   *stateReasonItem
	// diagnosis is the long form of reason.
	diagnosis string
	// publicAddress says that the instance has a public address.
	publicAddress bool
	metadata      templateMetadata
	userData      string
	spot          bool
}

// phase is a change of state that takes time.
type phase struct {
	from, to string
	at       time.Time
}

// state is the instance's state.
func (i *instance) state(now time.Time) string {
	if now.Before(i.phase.at) {
		return i.phase.from
	}
	return i.phase.to
}

// networkInterface is the ID of the instance's only network interface.
func (i *instance) networkInterface() string { return derivedID("eni-", i.id) }

// stateCodes are EC2's codes of the states.
var stateCodes = map[string]int{"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

type instanceStateItem struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

func stateItem(state string) instanceStateItem { return instanceStateItem{stateCodes[state], state} }

// ownInstance finds one of the caller's instances.
func (c *call) ownInstance(id string) (*instance, *Error) {
	i := c.here().instances[id]
	if i == nil || i.owner != c.caller.Account {
		return nil, badRequest("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
	}
	return i, nil
}

type instancesRequest struct {
	InstanceIDs []string `param:"InstanceId,required"`
	Force       bool
}

type stateChangeItem struct {
	InstanceID string            `xml:"instanceId"`
	Current    instanceStateItem `xml:"currentState"`
	Previous   instanceStateItem `xml:"previousState"`
}

type stateChangesAnswer struct {
	Instances set[stateChangeItem] `xml:"instancesSet"`
}

// move changes the state of instances, all or none. It moves instances in a state of
// from. Instances in a state of passed have moved already. It rejects an instance in
// any other state.
func (c *call) move(r instancesRequest, from, passed []string, by phase) ([]*instance, any, *Error) {
	var moved []*instance
	var answer stateChangesAnswer
	by.at = c.now.Add(c.w.options.BuildTime)
	for _, id := range r.InstanceIDs {
		i, problem := c.ownInstance(id)
		if problem != nil {
			return nil, nil, problem
		}
		state := i.state(c.now)
		if !slices.Contains(slices.Concat(from, passed), state) {
			return nil, nil, badRequest("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be %s: %s", id, by.to, state)
		}
	}
	for _, id := range r.InstanceIDs {
		i := c.here().instances[id]
		before := i.state(c.now)
		after := before
		if slices.Contains(from, before) {
			i.phase = by
			after = by.from
			moved = append(moved, i)
		}
		answer.Instances.Items = append(answer.Instances.Items, stateChangeItem{id, stateItem(after), stateItem(before)})
	}
	return moved, answer, nil
}

// userInitiated is the state reason of an instance that the user stopped.
var userInitiated = &stateReasonItem{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"}

func stopInstances(c *call, r instancesRequest) (any, error) {
	moved, answer, problem := c.move(r, []string{"running"}, []string{"stopping", "stopped"}, phase{from: "stopping", to: "stopped"})
	for _, i := range moved {
		i.reason = userInitiated
	}
	return answerOr(answer, problem)
}

func startInstances(c *call, r instancesRequest) (any, error) {
	moved, answer, problem := c.move(r, []string{"stopped"}, []string{"pending", "running"}, phase{from: "pending", to: "running"})
	for _, i := range moved {
		i.reason = nil
	}
	return answerOr(answer, problem)
}

// terminateInstances detaches the volumes, which ends EC2's grants.
// Fact: GRANT-31.
func terminateInstances(c *call, r instancesRequest) (any, error) {
	from := []string{"pending", "running", "stopping", "stopped"}
	moved, answer, problem := c.move(r, from, []string{"shutting-down", "terminated"}, phase{from: "shutting-down", to: "terminated"})
	for _, i := range moved {
		i.reason = cmp.Or(i.failure(), userInitiated)
		for _, v := range c.volumesOf(i) {
			c.detach(v)
		}
	}
	return answerOr(answer, problem)
}

// failure is why the launch failed, nil if it did not.
func (i *instance) failure() *stateReasonItem {
	if i.diagnosis == "" {
		return nil
	}
	return i.reason
}

type modifyInstanceAttributeRequest struct {
	InstanceID      string `param:"InstanceId,required"`
	EnaSupport      *booleanValue
	SriovNetSupport *attributeValue
	InstanceType    *attributeValue
}

type booleanValue struct{ Value bool }

// modifyInstanceAttribute changes the attributes that can be changed while an instance
// is stopped.
func modifyInstanceAttribute(c *call, r modifyInstanceAttributeRequest) (any, error) {
	i, problem := c.ownInstance(r.InstanceID)
	if problem != nil {
		return nil, problem
	}
	if state := i.state(c.now); state != "stopped" {
		return nil, badRequest("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state: %s", i.id, state)
	}
	if r.EnaSupport != nil {
		i.ena = r.EnaSupport.Value
	}
	if r.SriovNetSupport != nil {
		i.sriov = r.SriovNetSupport.Value
	}
	if r.InstanceType != nil {
		if _, problem := instanceTypeNamed(r.InstanceType.Value); problem != nil {
			return nil, problem
		}
		i.instanceType = r.InstanceType.Value
	}
	return done{true}, nil
}

type getPasswordDataRequest struct {
	InstanceID string `param:"InstanceId,required"`
}

type passwordDataAnswer struct {
	InstanceID   string `xml:"instanceId"`
	Timestamp    string `xml:"timestamp"`
	PasswordData string `xml:"passwordData"`
}

// getPasswordData returns no password, because all instances run Linux.
func getPasswordData(c *call, r getPasswordDataRequest) (any, error) {
	i, problem := c.ownInstance(r.InstanceID)
	if problem != nil {
		return nil, problem
	}
	return passwordDataAnswer{InstanceID: i.id, Timestamp: timestamp(i.launched)}, nil
}
