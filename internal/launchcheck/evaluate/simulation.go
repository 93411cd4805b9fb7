package evaluate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Simulation is what IAM's policy simulator returned for a role in one Region. It
// covers the role's identity policies, its permissions boundary and the organization's
// policies, and nothing else. Fact: IAM-SIM-2, IAM-SIM-3, IAM-SIM-9.
type Simulation map[SimulatedRequest]SimulatedResult

// SimulatedRequest is an action on a resource.
type SimulatedRequest struct {
	Action   string // kms:Decrypt
	Resource string // ARN
}

// SimulatedResult is the answer to one request.
type SimulatedResult struct {
	// Identity is what the identity policies decide; empty if it isn't known.
	Identity SimulatedDecision
	// Policies are the policies that decide, as IAM names them.
	Policies []string
	// Boundary says whether the permissions boundary allows it; nil if there is none.
	Boundary *bool
	// Organization says whether the organization's policies allow it; nil if that isn't
	// known.
	Organization *bool
	// Missing are the context keys that policies need and that the simulation didn't
	// have. Those of the organization's policies aren't among them. Fact: IAM-SIM-7.
	Missing []string
}

// SimulatedDecision is a decision in IAM's words.
type SimulatedDecision string

// The decisions.
const (
	SimulatedAllow        SimulatedDecision = "allowed"
	SimulatedExplicitDeny SimulatedDecision = "explicitDeny"
	SimulatedImplicitDeny SimulatedDecision = "implicitDeny"
)

// Actions of EC2 that launch.
const (
	runInstances = "ec2:RunInstances"
	createFleet  = "ec2:CreateFleet"
)

// SimulatedActions returns the actions to simulate: the use of a key through EC2,
// EC2's own grant, and the launch. Each needs other context keys. Fact: IAM-SIM-9.
func SimulatedActions() (use, grant, launch []string) {
	return (allNeeded &^ createGrant).names("kms:"), createGrant.names("kms:"), []string{runInstances, createFleet}
}

// UnknownImage stands, in a simulation, for the ID of an image that doesn't exist
// yet.
const UnknownImage = "ami-00000000000000000"

// ImageARN is the ARN of an image in a simulation.
func ImageARN(partition, region, id string) string {
	return fmt.Sprintf("arn:%s:ec2:%s::image/%s", partition, region, id)
}

// AWSManagedKeyARN stands, in a simulation, for the account's key aws/ebs, whose ID
// isn't known.
func AWSManagedKeyARN(partition, region, account string) string {
	return policy.KeyARN(partition, region, account, "00000000-0000-0000-0000-000000000000")
}

// WithPolicy returns the simulation of a role that also has a policy that allows
// the use of the keys.
func (s Simulation) WithPolicy(keys []string) Simulation {
	with := Simulation{}
	for r, d := range s {
		if d.Identity == SimulatedImplicitDeny && slices.Contains(keys, r.Resource) {
			d.Identity = SimulatedAllow
		}
		with[r] = d
	}
	return with
}

// identity returns the decision of the identity policies.
func (s SimulatedResult) identity() answer {
	switch {
	case len(s.Missing) > 0, s.Identity == "":
		return unsure
	default:
		return answerOf(s.Identity == SimulatedAllow)
	}
}

// denies reports whether an identity policy denies it explicitly.
func (s SimulatedResult) denies() answer {
	switch {
	case s.Identity == SimulatedExplicitDeny && len(s.Missing) == 0:
		return yes
	case len(s.Missing) > 0, s.Identity == "":
		return unsure
	default:
		return no
	}
}

// ruling returns the decision of the identity policies about the key. Operations that
// weren't simulated aren't known.
func (s Simulation) ruling(key string) ruling {
	var r ruling
	for i, name := range operationNames {
		d := s[SimulatedRequest{"kms:" + name, key}] // its zero value means unknown
		r.allowed.add(1<<i, d.identity())
		r.denied.add(1<<i, d.denies())
	}
	return r
}

// policies names the policies that decide the operations.
func (s Simulation) policies(o operations, key string) string {
	var names []string
	for _, action := range o.names("kms:") {
		names = append(names, s[SimulatedRequest{action, key}].Policies...)
	}
	if names = unique(names); len(names) == 0 {
		return "as IAM simulates them"
	}
	return someOf(names, "and") + ", as IAM simulates them"
}

// doubt returns why the operation isn't known.
func (s Simulation) doubt(o operations, key string) string {
	return s[SimulatedRequest{o.actions(), key}].doubt()
}

func (s SimulatedResult) doubt() string {
	if len(s.Missing) > 0 {
		return "IAM's simulation lacks " + someOf(unique(s.Missing), "and") + ", which policies of the role need"
	}
	return "IAM's simulation gave no result for it"
}

// simulation returns the simulation of the caller's role in the Region; nil if there
// is none.
func (c *caller) simulation(region string) Simulation { return c.simulated[region] }

// simulatedLinks are the links of a role that was simulated: the organization's
// policies, the permissions boundary, and the permission to launch.
func (e *evaluation) simulatedLinks(a *Account, by *caller, s Simulation) []Link {
	var links []Link
	if a.Organization != noOrganization && a.ID != e.management {
		links = append(links, e.organizationLink(a, s))
	}
	if l, found := by.boundaryLink(a, s); found {
		links = append(links, l)
	}
	if l := e.launchLink(a, by, s); l.Outcome != Launches {
		links = append(links, l)
	}
	return links
}

// needed reports whether the launch needs the request. CreateFleet is Karpenter's.
func (c *caller) needed(r SimulatedRequest) bool {
	return r.Action != createFleet || c.launcher.Fleet
}

// organizationLink is about the service control policies. IAM doesn't say which one
// denies, nor whether its conditions would hold in a real request, so that a denial
// isn't certain. Fact: IAM-SIM-7, IAM-SIM-8.
func (e *evaluation) organizationLink(a *Account, s Simulation) Link {
	remedy := fmt.Sprintf("aws organizations list-policies-for-target --target-id %s --filter SERVICE_CONTROL_POLICY", a.ID)
	const note = "with credentials of the organization's management account"
	var denied, certain []string
	unknown := false
	for r, d := range s {
		switch {
		case d.Organization == nil:
			unknown = true
		case *d.Organization:
		case d.Identity == SimulatedExplicitDeny && len(d.Policies) > 0:
			certain = append(certain, r.Action)
		default:
			denied = append(denied, r.Action)
		}
	}
	switch {
	case len(certain) > 0:
		return breaks(LinkSCP, "the policies of the organization deny "+strings.Join(unique(certain), ", ")+" in the account "+a.ID+", as IAM simulates them", remedy).note(note).simulated()
	case len(denied) > 0:
		return open(LinkSCP, "as IAM simulates them, the policies of the organization deny "+strings.Join(unique(denied), ", ")+" in the account "+a.ID+"; IAM doesn't say whether they would deny a real launch", remedy).note(note)
	case unknown:
		e.assume(assumedControls)
		return holds(LinkSCP, "the service control policies of the account "+a.ID+" are assumed to allow it").assumed()
	default:
		return holds(LinkSCP, "the policies of the organization allow it in the account "+a.ID+", as IAM simulates them").simulated()
	}
}

// boundaryLink is about the permissions boundary. found is false if the role has none.
func (c *caller) boundaryLink(a *Account, s Simulation) (link Link, found bool) {
	remedy := "aws iam get-role --role-name " + c.name + " --query Role.PermissionsBoundary"
	var denied []string
	missing := false
	for r, d := range s {
		if d.Boundary == nil || !c.needed(r) {
			continue
		}
		found = true
		missing = missing || len(d.Missing) > 0
		if !*d.Boundary {
			denied = append(denied, r.Action)
		}
	}
	switch {
	case missing && found:
		return open(LinkBoundary, "whether the permissions boundary of the role "+c.launcher.Role+" allows it is not known: IAM's simulation lacks context keys", remedy).note(CredentialsOf(a.ID)), true
	case len(denied) > 0:
		return breaks(LinkBoundary, "the permissions boundary of the role "+c.launcher.Role+" doesn't allow "+strings.Join(unique(denied), ", "), remedy).note(CredentialsOf(a.ID)).simulated(), true
	default:
		return holds(LinkBoundary, "the permissions boundary of the role "+c.launcher.Role+" allows it").simulated(), found
	}
}

// launchLink is about the permission of EC2 to launch the image.
func (e *evaluation) launchLink(a *Account, by *caller, s Simulation) Link {
	remedy := "aws iam list-attached-role-policies --role-name " + by.name
	for _, action := range []string{runInstances, createFleet} {
		d := s.launching(action)
		switch {
		case !by.needed(SimulatedRequest{Action: action}):
		case d.identity() == unsure:
			return open(LinkIdentityPolicy, "whether the role "+by.launcher.Role+" is allowed "+action+" is not known: "+d.doubt(), remedy).note(CredentialsOf(a.ID))
		case d.identity() == no:
			return breaks(LinkIdentityPolicy, "the policies of the role "+by.launcher.Role+" don't allow "+action+" on "+e.region.Image.ID, remedy).note(CredentialsOf(a.ID)).simulated()
		}
	}
	return holds(LinkIdentityPolicy, "the policies of the role "+by.launcher.Role+" allow the launch").simulated()
}

// launching is the result for an action on the image. There is one image in a
// simulation.
func (s Simulation) launching(action string) SimulatedResult {
	for r, d := range s {
		if r.Action == action && strings.Contains(r.Resource, ":image/") {
			return d
		}
	}
	return SimulatedResult{}
}

// rests returns the link with the evidence for the role's policies.
func (a *admission) rests(l Link) Link {
	if a.simulation != nil {
		return l.simulated()
	}
	return l.assumed()
}

func (a *admission) identityName() string {
	if a.simulation != nil {
		return "the identity policy of the role " + a.by.launcher.Role
	}
	return a.identity.name
}

// identitySays names the policies that decide the operations.
func (a *admission) identitySays(denied bool, o operations) string {
	if a.simulation != nil {
		return a.simulation.policies(o, a.ARN)
	}
	return a.identity.whoSays(denied, o, a.by, a.from)
}

func (a *admission) identityLacks(o operations) string {
	if a.simulation != nil {
		return ", as IAM simulates it"
	}
	return a.policyLacks(a.identity, o)
}

func (a *admission) identityDoubt(o operations) string {
	if a.simulation != nil {
		return a.simulation.doubt(o, a.ARN)
	}
	return a.identity.doubt(o, a.by, a.from)
}

// simulatedRemedy shows the role's policies.
func (a *admission) simulatedRemedy() string {
	if a.simulation != nil {
		return a.listRolePolicies()
	}
	return ""
}
