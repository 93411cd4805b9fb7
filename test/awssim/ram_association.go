package awssim

import (
	"slices"
	"strings"
	"time"
)

// shareAssociation is a principal or a resource of a share. Fact: RAM-9.
type shareAssociation struct {
	entity    string
	principal bool
	external  bool
	// invited says that the principal has to accept an invitation, which the simulator
	// has no operation for.
	invited bool
	// at is when the association, or its end, is complete.
	at    time.Time
	ended bool
	// failure is why the association fails; "" if it doesn't.
	failure string
	// before is the failed association that this one replaces. Readers see it until a
	// part of the propagation lag has passed.
	before *shareAssociation
	seen   time.Time
}

func (a shareAssociation) status(now time.Time) string {
	switch {
	case a.before != nil && a.seen.After(now):
		return a.before.status(now)
	case a.ended && a.at.After(now):
		return "DISASSOCIATING"
	case a.ended:
		return "DISASSOCIATED"
	case a.failure != "" && !a.at.After(now):
		return "FAILED"
	case a.invited || a.at.After(now):
		return "ASSOCIATING"
	default:
		return "ASSOCIATED"
	}
}

// message is why the association failed, as readers see it.
func (a shareAssociation) message(now time.Time) string {
	if a.before != nil && a.seen.After(now) {
		return a.before.message(now)
	}
	return a.failure
}

// associationFailures are the messages of associations that are going to fail, by entity.
type associationFailures map[string][]string

// next takes the entity's next failure, "" if there is none.
func (f associationFailures) next(entity string) string {
	if len(f[entity]) == 0 {
		return ""
	}
	message := f[entity][0]
	f[entity] = f[entity][1:]
	return message
}

// FailAssociation makes the next association of the principal or resource fail with the
// message, in any account and Region: it is ASSOCIATING first, and FAILED after the
// propagation lag. Fact: RAM-9.
func (w *World) FailAssociation(entity, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.associationFailures[entity] = append(w.associationFailures[entity], message)
}

// associate adds principals and resources to a share: all of them, or none.
func (c *call) associate(s *resourceShare, principals, resources []string) *Error {
	var added []shareAssociation
	for _, principal := range principals {
		a, problem := c.principalAssociation(s, principal)
		if problem != nil {
			return problem
		}
		added = append(added, a)
	}
	for _, resource := range resources {
		if problem := c.shareableParameter(resource); problem != nil {
			return problem
		}
		added = append(added, shareAssociation{entity: resource})
	}
	for _, a := range added {
		a.at = c.now.Add(c.w.options.PropagationLag)
		a.failure = c.w.associationFailures.next(a.entity)
		if i := slices.IndexFunc(s.associations, func(b shareAssociation) bool { return b.entity == a.entity }); i >= 0 {
			if before := s.associations[i]; before.failure != "" {
				a.before, a.seen = &before, c.now.Add(c.w.options.PropagationLag/2)
			}
			s.associations = slices.Delete(s.associations, i, i+1)
		}
		s.associations = append(s.associations, a)
	}
	return nil
}

// notInOrganization is RAM's text. Source: hashicorp/terraform-provider-aws#7769.
const notInOrganization = "The resource you are attempting to share can only be shared within your AWS Organization. This error may also occur if you have not enabled sharing with your AWS organization, or that onboarding process is still in progress."

// principalAssociation checks a principal. Until sharing with the organization is
// enabled, RAM doesn't find the organization. Fact: RAM-2, RAM-3, RAM-5, RAM-6.
func (c *call) principalAssociation(s *resourceShare, principal string) (shareAssociation, *Error) {
	o := c.w.organization
	member := o != nil && len(c.w.accounts[s.account].organizationalUnits) > 0
	if id, isAccount := principal, len(principal) == 12 && strings.Trim(principal, "0123456789") == ""; isAccount {
		inside := member && o.resourceSharing && c.w.accounts[id] != nil && len(c.w.accounts[id].organizationalUnits) > 0
		if !inside && !s.external {
			return shareAssociation{}, badRequest("OperationNotPermittedException", notInOrganization)
		}
		return shareAssociation{entity: id, principal: true, external: !inside, invited: !inside}, nil
	}
	parts := strings.SplitN(principal, ":", 6)
	if len(parts) != 6 || parts[1] != c.w.partition || parts[2] != "organizations" {
		return shareAssociation{}, badRequest("InvalidParameterException", "Principal ID %s is malformed. Verify the ID and try again.", principal)
	}
	known := member && o.resourceSharing && parts[4] == o.managementAccount
	kind, path, _ := strings.Cut(parts[5], "/")
	organization, unit, _ := strings.Cut(path, "/")
	switch {
	case kind == "organization" && (!known || organization != o.id):
		return shareAssociation{}, badRequest("UnknownResourceException", "Organization %s could not be found.", organization)
	case kind == "ou" && (!known || organization != o.id || o.units[unit] == nil):
		return shareAssociation{}, badRequest("UnknownResourceException", "OrganizationalUnit %s could not be found.", unit)
	case kind != "organization" && kind != "ou":
		return shareAssociation{}, badRequest("InvalidParameterException", "Principal ID %s is malformed. Verify the ID and try again.", principal)
	}
	return shareAssociation{entity: principal, principal: true}, nil
}

// shareableParameter rejects what isn't an advanced parameter of the caller. Fact: SSM-11,
// RAM-10.
func (c *call) shareableParameter(resource string) *Error {
	for key, p := range c.w.ssm.parameters {
		if key.account == c.caller.Account && key.region == c.region && resource == c.parameterARN(key.name) {
			if p.tier != tierAdvanced {
				return badRequest("InvalidParameterException", "Parameter %s is not in the advanced tier.", resource)
			}
			return nil
		}
	}
	return badRequest("UnknownResourceException", "Resource %s could not be found.", resource)
}
