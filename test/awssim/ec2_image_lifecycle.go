package awssim

import (
	"slices"
	"time"
)

// cooldown is how long deregistration protection with a cooldown stays in force after
// it is disabled.
const cooldown = 24 * time.Hour

// state is how EC2 writes an image's deregistration protection.
func (p protection) state(now time.Time) string {
	switch {
	case p.enabled && p.cooldown:
		return "enabled-with-cooldown"
	case p.enabled || now.Before(p.until):
		return "enabled-without-cooldown"
	default:
		return "disabled"
	}
}

type deregisterImageRequest struct {
	ImageID                   string `param:"ImageId,required"`
	DeleteAssociatedSnapshots bool
}

type deregisterImageAnswer struct {
	Return  bool                  `xml:"return"`
	Deleted *set[deletedSnapshot] `xml:"deleteSnapshotResultSet"`
}

type deletedSnapshot struct {
	SnapshotID string `xml:"snapshotId"`
	ReturnCode string `xml:"returnCode"`
}

// deregisterImage keeps the snapshots unless the request says to delete them.
// Even then it keeps those that another image uses, or that the caller isn't
// allowed to delete. Fact: EC2-IMG-18, EC2-IMG-19.
func deregisterImage(c *call, r deregisterImageRequest) (any, error) {
	i, problem := c.ownImage(r.ImageID)
	if problem != nil {
		return nil, problem
	}
	if i.protection.state(c.now) != "disabled" {
		return nil, badRequest("OperationNotPermitted", "The image %s has deregistration protection and cannot be deregistered", i.id)
	}
	c.removeImage(i)
	if !r.DeleteAssociatedSnapshots {
		return deregisterImageAnswer{Return: true}, nil
	}
	var deleted set[deletedSnapshot]
	permitted := c.allows("ec2:DeleteSnapshot", "*")
	for _, s := range i.snapshots() {
		result := deletedSnapshot{s.id, "success"}
		switch {
		case !permitted:
			result.ReturnCode = "missing-permissions"
		case c.imageOf(s) != nil:
			result.ReturnCode = "skipped"
		default:
			c.removeSnapshot(s)
		}
		if !slices.Contains(deleted.Items, result) {
			deleted.Items = append(deleted.Items, result)
		}
	}
	return deregisterImageAnswer{true, &deleted}, nil
}

// removeImage removes an image. Its pending copies fail if the world's options
// make them depend on it.
func (c *call) removeImage(i *image) {
	delete(c.here().images, i.id)
	i.deregisteredAt = c.now
	c.here().deregistered[i.id] = i
	if c.w.options.DeregisterLag == 0 {
		delete(c.here().tags, tagged{c.caller.Account, i.id})
	}
	if !c.w.options.PendingCopiesNeedSource {
		return
	}
	for _, r := range c.w.ec2.regions {
		for _, dependent := range r.images {
			if dependent.copied && dependent.sourceImage == i.id && dependent.sourceRegion == i.region && dependent.state(c.now) == "pending" {
				dependent.fail(c.now, &stateReasonItem{"Client.InvalidAMIID.NotFound", "Client.InvalidAMIID.NotFound: the source image " + i.id + " was deregistered"})
			}
		}
	}
}

// fail ends a pending copy.
func (i *image) fail(now time.Time, reason *stateReasonItem) {
	i.failure, i.readyAt = reason, now
	for _, s := range i.snapshots() {
		s.failure, s.readyAt = reason.Message, now
	}
}

type imageRequest struct {
	ImageID string `param:"ImageId,required"`
}

type enableImageDeprecationRequest struct {
	ImageID     string `param:"ImageId,required"`
	DeprecateAt string `param:",required"`
}

func enableImageDeprecation(c *call, r enableImageDeprecationRequest) (any, error) {
	i, problem := c.readyImage(r.ImageID)
	if problem != nil {
		return nil, problem
	}
	at, err := time.Parse(time.RFC3339, r.DeprecateAt)
	if err != nil || at.Before(c.now) || at.After(c.now.AddDate(10, 0, 0)) {
		return nil, badRequest("InvalidParameterValue", "Value (%s) for parameter deprecateAt is invalid: it must be a time in the future, at most 10 years ahead", r.DeprecateAt)
	}
	i.deprecatedAt = at.Round(time.Minute)
	return done{true}, nil
}

func disableImageDeprecation(c *call, r imageRequest) (any, error) {
	i, problem := c.ownImage(r.ImageID)
	if problem != nil {
		return nil, problem
	}
	i.deprecatedAt = time.Time{}
	return done{true}, nil
}

type enableProtectionRequest struct {
	ImageID      string `param:"ImageId,required"`
	WithCooldown bool
}

// messageAnswer is like done, with a text: these operations return one.
type messageAnswer struct {
	Return string `xml:"return"`
}

func enableImageDeregistrationProtection(c *call, r enableProtectionRequest) (any, error) {
	i, problem := c.readyImage(r.ImageID)
	if problem != nil {
		return nil, problem
	}
	i.protection = protection{enabled: true, cooldown: r.WithCooldown}
	return messageAnswer{"true"}, nil
}

func disableImageDeregistrationProtection(c *call, r imageRequest) (any, error) {
	i, problem := c.ownImage(r.ImageID)
	if problem != nil {
		return nil, problem
	}
	if i.protection.cooldown {
		i.protection.until = c.now.Add(cooldown)
	}
	i.protection.enabled, i.protection.cooldown = false, false
	return messageAnswer{"true"}, nil
}

// disableImage also makes the image private: its launch permissions are lost.
func disableImage(c *call, r imageRequest) (any, error) {
	i, problem := c.readyImage(r.ImageID)
	if problem != nil {
		return nil, problem
	}
	i.disabled, i.public = true, false
	clear(i.shared)
	return done{true}, nil
}

func enableImage(c *call, r imageRequest) (any, error) {
	i, problem := c.ownImage(r.ImageID)
	if problem != nil {
		return nil, problem
	}
	i.disabled = false
	return done{true}, nil
}

// unblocked is the state that allows public images.
const unblocked = "unblocked"

// publicSharing is the account's block of public sharing in the Region. It is on
// in new accounts.
func (c *call) publicSharing() string {
	if state, set := c.here().sharing[c.caller.Account]; set {
		return state
	}
	return "block-new-sharing"
}

type publicSharingRequest struct {
	State string `param:"ImageBlockPublicAccessState,required"`
}

type publicSharingAnswer struct {
	State string `xml:"imageBlockPublicAccessState"`
}

func getImageBlockPublicAccessState(c *call, _ noParameters) (any, error) {
	return publicSharingAnswer{c.publicSharing()}, nil
}

func enableImageBlockPublicAccess(c *call, r publicSharingRequest) (any, error) {
	if r.State != "block-new-sharing" {
		return nil, badRequest("InvalidParameterValue", "Value (%s) for parameter imageBlockPublicAccessState is invalid.", r.State)
	}
	c.here().sharing[c.caller.Account] = r.State
	return publicSharingAnswer(r), nil
}

func disableImageBlockPublicAccess(c *call, _ noParameters) (any, error) {
	c.here().sharing[c.caller.Account] = unblocked
	return publicSharingAnswer{unblocked}, nil
}
