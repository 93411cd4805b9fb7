package ami

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Keys are the regional keys. [Copy] takes them instead of strings, so that no copy
// starts before the keys exist.
type Keys interface {
	// ID is the ID that all regional keys share. ARN returns the ARN of the Region's
	// key.
	ID() string
	ARN(region string) string
}

// Origin is where a run's image comes from.
type Origin string

// The origins.
const (
	Created Origin = "copied"   // this run called CopyImage
	Found   Origin = "existing" // an earlier run, or another one, did
	Adopted Origin = "adopted"  // the source, published as it is
)

// Copies records, by Region, the images that a run created or found, and their
// progress. It is filled even on failure. A run never removes these images, even if it
// fails: another run may have created them, be waiting for them, or have published
// them.
type Copies struct {
	members map[string]member
}

type member struct {
	desired Desired // with the key
	plan    Plan
	image   Image // the zero value if there is none
	origin  Origin
	ready   bool // the image is available
}

// Regions lists the Regions in order.
func (c Copies) Regions() []string { return slices.Sorted(maps.Keys(c.members)) }

// Image is the Region's image, pending or available, if there is one.
func (c Copies) Image(region string) (image Image, origin Origin, ok bool) {
	m := c.members[region]
	return m.image, m.origin, m.image.ID != ""
}

// ErrStopped is the cause with which waiting for copies is canceled when something else
// has made the publication fail. The copies continue in EC2.
var ErrStopped = errors.New("stopped waiting, because the publication failed elsewhere")

// Copy copies the planned image to every Region in parallel. It returns when
// all images are available, or as soon as one has failed permanently. timeout
// bounds the wait in each Region.
func Copy(ctx context.Context, clients Clients, plans []Plan, keys Keys, timeout time.Duration, reporter progress.Reporter) (Copies, error) {
	waiting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		mu      sync.Mutex
		copies  = Copies{members: map[string]member{}}
		regions = make([]string, len(plans))
		byName  = map[string]Plan{}
	)
	for n, plan := range plans {
		regions[n], byName[plan.Region()] = plan.Region(), plan
	}
	announce(plans, reporter)
	stage := reporter.Start("copying the image", regions)
	defer stage.End()
	err := fanout.Each(ctx, regions, func(ctx context.Context, region string) error {
		plan := byName[region]
		desired := plan.desired
		desired.KeyID, desired.KeyARN = keys.ID(), keys.ARN(region)
		c := copier{desired: desired, plan: plan, clients: clients, client: clients(region), timeout: timeout, stage: stage, dead: map[string]bool{}}
		for _, id := range plan.failed {
			c.dead[id] = true
		}
		err := c.run(ctx, waiting)
		stage.Finish(region, c.result)
		if err != nil && !errors.Is(err, ErrStopped) {
			stop(ErrStopped)
		}
		mu.Lock()
		defer mu.Unlock()
		copies.members[region] = member{desired: c.desired, plan: plan, image: c.image, origin: c.origin, ready: err == nil}
		return err
	})
	return copies, err
}

// announce reports the Regions that get a copy, and those in which an earlier run's
// copy continues.
func announce(plans []Plan, reporter progress.Reporter) {
	var going []string
	to := map[string][]string{} // by source
	for _, p := range plans {
		switch {
		case p.existing == nil:
			source := p.desired.Source.ID + " from " + p.desired.Source.Region
			to[source] = append(to[source], p.Region())
		case !p.existing.available():
			going = append(going, p.Region())
		}
	}
	for _, source := range slices.Sorted(maps.Keys(to)) {
		reporter.Info(text.Printable("Copying " + source + " to " + text.Regions(to[source])))
	}
	if len(going) > 0 {
		reporter.Info("Waiting for the copies that an earlier run started in " + text.Regions(going))
	}
}

// copier brings the image to one Region.
type copier struct {
	desired Desired
	plan    Plan
	clients Clients
	client  *ec2.Client
	timeout time.Duration
	stage   *progress.Stage
	result  string          // what the run did in the Region
	dead    map[string]bool // images that will never be available

	image  Image
	origin Origin
}

const (
	// maxAttempts is how many copies a run starts in a Region that are
	// deregistered while it waits for them.
	maxAttempts = 3
	// maxLinks bounds the walk along the tokens of earlier copies.
	maxLinks = 200
	// maxUnseen is how many images that CopyImage returned may be unknown to EC2. Each
	// may be an earlier copy that was deregistered, or a new one in a Region with
	// incomplete responses. Such a Region must not get copy after copy.
	maxUnseen = 10
)

// run sets the image in c, if there is one. Waiting ends with the context waiting,
// calls with ctx.
func (c *copier) run(ctx, waiting context.Context) error {
	if existing := c.plan.existing; existing != nil {
		c.image, c.origin = *existing, Found
		if c.plan.adopted {
			c.origin = Adopted
		}
		if existing.available() {
			return nil
		}
		err := c.wait(waiting, existing.ID)
		gone, isGone := errors.AsType[*goneError](err)
		if !isGone {
			return err
		}
		c.stage.Logf(c.desired.Region, "%v: copying again", gone)
		c.dead[existing.ID], c.image = true, Image{}
	}
	return c.copy(ctx, waiting)
}

// copy tries client tokens in a fixed order, so that concurrent runs that want the same
// copy create only one. If the image of a token is gone, or the token was used with
// other parameters, copy tries the next token. It doesn't matter how long EC2 remembers
// a token: a forgotten token creates the copy. Fact: EC2-COPY-8.
func (c *copier) copy(ctx, waiting context.Context) error {
	attempts, unseen := 0, 0
	for link := range maxLinks {
		started := time.Now()
		id, err := c.start(ctx, waiting, link)
		switch {
		case errors.Is(err, errOtherParameters):
			continue
		case err != nil:
			return err
		case c.dead[id]:
			continue
		}
		c.image, c.origin = Image{Region: c.desired.Region, ID: id, Name: c.desired.Name, State: "pending", Tags: c.desired.imageTags()}, Created
		err = c.wait(waiting, id)
		gone, isGone := errors.AsType[*goneError](err)
		if !isGone {
			return err
		}
		c.dead[id] = true
		if gone.since(started) {
			attempts++
		}
		if !gone.failed {
			unseen++
		}
		if unseen == maxUnseen {
			return fmt.Errorf("copying %s to %s: EC2 doesn't know %d images that CopyImage returned, the last one %s. They were deregistered, or EC2's answers are incomplete. Run again later, or set `ami_name` to another name", c.desired.Source.ID, c.desired.Region, unseen, id)
		}
		if gone.failed && gone.since(started) || attempts == maxAttempts {
			return fmt.Errorf("copying %s to %s: %w", c.desired.Source.ID, c.desired.Region, gone)
		}
		c.image = Image{}
	}
	return fmt.Errorf("copying %s to %s: CopyImage returned images that no longer exist for %d client tokens. Set `ami_name` to another name", c.desired.Source.ID, c.desired.Region, maxLinks)
}
