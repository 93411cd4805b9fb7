package awssim

type updateGroupRequest struct {
	Name           string `param:"AutoScalingGroupName,required"`
	LaunchTemplate templateReference
}

// updateAutoScalingGroup changes the launch template. Running instances stay as they
// are. Fact: ASG-1, ASG-2, ASG-12.
func updateAutoScalingGroup(c *call, r updateGroupRequest) (any, error) {
	g, problem := c.remaining(r.Name)
	if problem != nil {
		return nil, problem
	}
	if r.LaunchTemplate == (templateReference{}) {
		return nil, nil
	}
	if problem := c.usable(r.LaunchTemplate, g.subnets); problem != nil {
		return nil, problem
	}
	g.template = r.LaunchTemplate
	return nil, nil
}

type startRefreshRequest struct {
	Name     string `param:"AutoScalingGroupName,required"`
	Strategy string
}

type startRefreshAnswer struct {
	ID string `xml:"InstanceRefreshId"`
}

// startInstanceRefresh terminates the group's instances. The group then replaces them.
// Unlike in AWS, all are terminated at once: a client must not rely on the order. Fact:
// ASG-13.
func startInstanceRefresh(c *call, r startRefreshRequest) (any, error) {
	g, problem := c.remaining(r.Name)
	switch {
	case problem != nil:
		return nil, problem
	case r.Strategy != "" && r.Strategy != "Rolling":
		return nil, badRequest("ValidationError", "the simulator only refreshes instances with the strategy Rolling")
	}
	if err := c.terminate(g); err != nil {
		return nil, err
	}
	return startRefreshAnswer{c.w.newID("", 32)}, nil
}

// terminate terminates the group's instances.
func (c *call) terminate(g *asgGroup) error {
	for _, i := range g.live(c.now) {
		if _, err := terminateInstances(c, instancesRequest{InstanceIDs: []string{i.id}}); err != nil {
			return err
		}
	}
	return nil
}

// remaining returns the caller's group that has the name and isn't being deleted.
func (c *call) remaining(name string) (*asgGroup, *Error) {
	g, problem := c.group(name)
	if problem == nil && !g.deleted.IsZero() {
		return nil, noGroup(name)
	}
	return g, problem
}

// group returns the caller's group that has the name.
func (c *call) group(name string) (*asgGroup, *Error) {
	if g := c.w.asg.groups[asgKey{c.caller.Account, c.region, name}]; g != nil {
		return g, nil
	}
	return nil, noGroup(name)
}

func noGroup(name string) *Error {
	return badRequest("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup '%s' not found", name)
}
