package retention

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/change"
)

// RetentionAction is one older image and what happens to it.
type RetentionAction struct { //nolint:revive // like RetentionPolicy; an action alone is an IAM action here
	image  Generation
	step   step
	family string
	// why explains why the image is kept although it is old enough.
	why string
	// report asks for an image usage report, for which the image is kept this
	// time.
	report bool
}

// Published is the image that is being published, with which the generations are
// compared.
type Published struct {
	Architecture string
	// Existing is the image if it exists; nil if a copy is going to be created,
	// which then is the newest generation.
	Existing *ami.Image
}

// DiffGenerations decides what happens to images that are older than the
// published one. Images of another architecture are separate generations. Some
// images are newer than the published one, because an older image is published
// again. They stay unchanged and count as kept, as do images whose IDs
// protected lists.
func DiffGenerations(have Generations, policy RetentionPolicy, published Published, protected []string, now time.Time) []RetentionAction {
	newer := 0
	var older []Generation
	for _, image := range have.Images {
		usable := image.State == string(types.ImageStateAvailable) || image.State == string(types.ImageStateDisabled)
		current := published.Existing
		switch {
		case !image.isGenerationOf(policy.Family) || !usable || image.Hardware.Architecture != published.Architecture || slices.Contains(protected, image.ID):
		case current != nil && image.ID == current.ID:
		case current != nil && age(image.Image) >= age(*current):
			newer++
		default:
			older = append(older, image)
		}
	}
	slices.SortFunc(older, func(a, b Generation) int { return strings.Compare(age(b.Image), age(a.Image)) })
	kept := max(0, policy.Keep-1-newer)
	var actions []RetentionAction
	for _, image := range older[min(len(older), kept):] {
		a := RetentionAction{image: image, step: policy.due(image.Image, now), family: policy.Family}
		if a.step == nothing {
			continue
		}
		a.why, a.report = have.Uses.keep(image, a.step, now)
		actions = append(actions, a)
	}
	return actions
}

// keep explains why the image can't be disabled or deregistered, and is "" if
// it can. It also reports whether an image usage report is needed first.
func (u Uses) keep(image Generation, step step, now time.Time) (why string, report bool) {
	if !step.ends() {
		return "", false
	}
	if step == deregister && image.Protection.Enabled() != "" {
		return fmt.Sprintf("it is protected against deregistration; disable that with 'aws ec2 disable-image-deregistration-protection --region %s --image-id %s'", image.Region, image.ID), false
	}
	if len(u.Unknown) > 0 {
		return "its uses aren't known: " + few(u.Unknown), false
	}
	uses := u.ByImage[image.ID]
	if len(uses) > 0 {
		return "it is used by " + few(uses), false
	}
	switch r, exists := u.Reports[image.ID]; {
	case !exists:
		return "its uses in other accounts aren't known. This run creates an image usage report. Run again when it's available", true
	case r.Pending:
		return fmt.Sprintf("its image usage report %s isn't available yet. Run again later", r.ID), false
	}
	if since := now.Sub(image.LastLaunched); !image.LastLaunched.IsZero() && since < recentLaunch {
		return fmt.Sprintf("it was launched on %s, less than %d days ago", image.LastLaunched.UTC().Format(time.DateOnly), recentLaunch/(24*time.Hour)), false
	}
	return "", false
}

// Change says what happens to the image.
func (a RetentionAction) Change() change.Change {
	c := change.Change{Kind: change.OldImage, Action: change.Update, Region: a.image.Region, ID: a.image.ID}
	named := fmt.Sprintf("%q of %s", a.image.Name, a.image.CreationDate)
	switch {
	case a.why != "":
		c.Detail = fmt.Sprintf("%s, due to be %s, is kept: %s", named, a.step, a.why)
		if !a.report {
			c.Action = change.Skip
		}
	case a.step == deregister:
		c.Action, c.Detail = change.Delete, named+", is deregistered with its snapshots"
	default:
		c.Detail = fmt.Sprintf("%s, is %s", named, a.step)
	}
	return c
}

// Assumptions lists the assumptions under which images are disabled or
// deregistered. They are necessary because no API returns the information. nil
// if there are none.
func Assumptions(actions []RetentionAction) []string {
	if !slices.ContainsFunc(actions, func(a RetentionAction) bool { return a.step.ends() && a.why == "" }) {
		return nil
	}
	return []string{
		"other accounts' instances of the last day and launch templates of the last days may be missing from image usage reports",
		fmt.Sprintf("an image usage report counts for %d days; EC2 reports the last launch of an image up to 24 hours late", maxReportAge/(24*time.Hour)),
		"other accounts' launch templates that name an image through a parameter, and launch configurations, Image Builder recipes and configuration files in any account, may not be reported",
	}
}
