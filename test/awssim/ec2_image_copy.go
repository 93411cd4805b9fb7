package awssim

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// defaultConcurrentCopies is AWS's default quota of image copies that an account
// can have pending in a destination Region. Fact: EC2-COPY-31.
const defaultConcurrentCopies = 300

type copyImageRequest struct {
	SourceRegion                          string `param:",required"`
	SourceImageID                         string `param:"SourceImageId,required"`
	Name                                  string `param:",required"`
	Description                           string
	Encrypted                             *bool
	KmsKeyID                              string `param:"KmsKeyId"`
	ClientToken                           string
	CopyImageTags                         bool
	SnapshotCopyCompletionDurationMinutes *int
	TagSpecifications                     []tagSpecification `param:"TagSpecification"`
}

type imageAnswer struct {
	ImageID string `xml:"imageId"`
}

// copyImage starts a copy into the called Region. Problems with the keys show
// in the copy's state, not in the response. Fact: EC2-COPY-3, EC2-COPY-28.
func copyImage(c *call, r copyImageRequest) (any, error) {
	if id, problem := c.before(r.ClientToken); id != "" || problem != nil {
		return answerOr(imageAnswer{id}, problem)
	}
	tags, problem := c.specifiedTags(r.TagSpecifications, "image", "snapshot")
	if problem != nil {
		return nil, problem
	}
	source, problem := c.copySource(r)
	if problem != nil {
		return nil, problem
	}
	if problem := c.copyLimit(); problem != nil {
		return nil, problem
	}
	copied := c.copyOf(source, r)
	if r.CopyImageTags && source.owner == c.caller.Account {
		c.setTags(copied.id, c.w.ec2In(source.region).tags[tagged{c.caller.Account, source.id}])
	}
	c.setTags(copied.id, tags["image"])
	for _, s := range copied.snapshots() {
		c.setTags(s.id, tags["snapshot"])
	}
	c.remember(r.ClientToken, copied.id)
	return imageAnswer{copied.id}, nil
}

// answerOr returns the response unless there is a problem. (A nil *Error in an error is
// not nil.)
func answerOr(answer any, problem *Error) (any, error) {
	if problem != nil {
		return nil, problem
	}
	return answer, nil
}

// before returns the copy that an earlier call with the same client token created, even
// if that copy failed or was removed. Fact: EC2-COPY-7 to EC2-COPY-12.
func (c *call) before(token string) (id string, problem *Error) {
	made, known := c.here().tokens[idempotency{c.caller.Account, c.operation, token}]
	memory := c.w.options.TokenMemory
	forgotten := memory > 0 && c.now.Sub(made.at) >= memory
	if token == "" || !known || forgotten {
		return "", nil
	}
	if made.parameters != c.parameters() {
		return "", badRequest("IdempotentParameterMismatch", "The client token %s was used with other parameters before", token)
	}
	return made.id, nil
}

func (c *call) remember(token, id string) {
	if token != "" {
		c.here().tokens[idempotency{c.caller.Account, c.operation, token}] = madeBefore{c.parameters(), id, c.now}
	}
}

// parameters are all parameters, in a form that can be compared.
func (c *call) parameters() string { return c.form.Encode() }

// copySource finds the image to copy, and checks that it can be copied as asked.
func (c *call) copySource(r copyImageRequest) (*image, *Error) {
	if problem := cmp.Or(checkImageName(r.Name), checkImageDescription(r.Description)); problem != nil {
		return nil, problem
	}
	if c.w.options.RefuseTakenNames {
		if problem := c.uniqueImageName(r.Name); problem != nil {
			return nil, problem
		}
	}
	// EC2 API reference, "Ensuring idempotency": up to 64 ASCII characters.
	if len(r.ClientToken) > 64 {
		return nil, badRequest("InvalidParameterValue", "The client token has more than 64 characters")
	}
	if r.KmsKeyID != "" && (r.Encrypted == nil || !*r.Encrypted) {
		return nil, badRequest("InvalidParameterCombination", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	if d := r.SnapshotCopyCompletionDurationMinutes; d != nil && (*d < 15 || *d > 2880 || *d%15 != 0) {
		return nil, badRequest("InvalidParameterValue", "SnapshotCopyCompletionDurationMinutes must be a multiple of 15 up to 2880: %d", *d)
	}
	from := c.w.regions[r.SourceRegion]
	if from == nil || !c.account().enabledIn(from, c.now) {
		return nil, badRequest("InvalidParameterValue", "Value (%s) for parameter sourceRegion is invalid. The region does not exist or is not enabled", r.SourceRegion)
	}
	source, problem := c.imageIn(r.SourceRegion, r.SourceImageID)
	if problem != nil {
		return nil, problem
	}
	if state := source.state(c.now); state != "available" {
		return nil, unavailable(source, state)
	}
	// The EC2 guide ("Copy an Amazon EC2 AMI") documents the rule, not the error.
	if len(source.productCodes) > 0 && source.owner != c.caller.Account {
		return nil, badRequest("InvalidRequest", "The image %s has product codes of AWS Marketplace and belongs to another account: it cannot be copied", source.id)
	}
	if source.rootDeviceType != "ebs" && r.Encrypted != nil && *r.Encrypted {
		return nil, badRequest("InvalidParameterCombination", "The image %s is not backed by EBS: it cannot be encrypted", source.id)
	}
	for _, s := range source.snapshots() {
		if !s.readableBy(c.caller.Account) {
			return nil, badRequest("InvalidRequest", "You do not have permission to access the storage of this ami")
		}
		if s.key != nil && r.Encrypted != nil && !*r.Encrypted {
			return nil, badRequest("InvalidRequest", "Creating an unencrypted copy from an encrypted snapshot is not supported: %s", s.id)
		}
	}
	return source, nil
}

func (c *call) copyLimit() *Error {
	pending := 0
	for _, i := range c.here().images {
		if i.copied && i.owner == c.caller.Account && i.state(c.now) == "pending" {
			pending++
		}
	}
	limit := cmp.Or(c.w.options.ConcurrentCopies, defaultConcurrentCopies)
	if pending >= limit {
		return badRequest("ResourceLimitExceeded", "You have reached the limit of %d concurrent image copies in the region", limit)
	}
	return nil
}

// copyOf creates the pending copy.
func (c *call) copyOf(source *image, r copyImageRequest) *image {
	pending := c.w.copyTime(c.region)
	encrypt := r.Encrypted != nil && *r.Encrypted || c.encryptsByDefault()
	key, failure := c.copyKeys(source.region, source.snapshots(), encrypt, r.KmsKeyID)
	if failure == nil {
		failure = c.injectedFailure()
	}
	copied := *source
	copied.name, copied.failure, copied.copied = r.Name, failure, true
	copied.description = cmp.Or(r.Description, fmt.Sprintf("[Copied %s from %s] %s", source.id, source.region, source.name))
	copied.sourceImage, copied.sourceRegion, copied.sourceInstanceID = source.id, source.region, ""
	copied.public, copied.disabled, copied.deprecatedAt, copied.protection = false, false, time.Time{}, protection{}
	copied.devices = slices.Clone(source.devices)
	c.addImage(&copied, pending)
	copied.visibleFrom = c.now.Add(c.w.options.ImageLag)
	for n, d := range copied.devices {
		if d.snapshot == nil {
			continue
		}
		s := &snapshot{
			size: d.snapshot.size, volume: "vol-ffffffff",
			description: fmt.Sprintf("Copied for DestinationAmi %s from SourceAmi %s for SourceSnapshot %s.", copied.id, source.id, d.snapshot.id),
		}
		if encrypt || d.snapshot.key != nil {
			s.key = key
		}
		if failure != nil {
			s.failure = failure.Message
		}
		c.addSnapshot(s, pending)
		copied.devices[n].snapshot = s
	}
	return &copied
}

// FailCopy makes the next image copy into the Region fail with the reason, even
// if the copy is valid. Each additional call affects one more copy.
func (w *World) FailCopy(region, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.ec2In(region)
	r.failures = append(r.failures, reason)
}

// injectedFailure takes the first reason of [World.FailCopy]; nil if there is
// none.
func (c *call) injectedFailure() *stateReasonItem {
	r := c.here()
	if len(r.failures) == 0 {
		return nil
	}
	reason := r.failures[0]
	r.failures = r.failures[1:]
	return &stateReasonItem{"Server.InternalError", "Server.InternalError: " + reason}
}

func (w *World) copyTime(region string) time.Duration {
	if d, own := w.options.CopyTimes[region]; own {
		return d
	}
	return w.options.CopyTime
}
