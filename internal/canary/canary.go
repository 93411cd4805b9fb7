// Package canary launches images in one account before any other account can see them.
// Only an instance that starts is a complete test of a launch.
//
// In each Region, [Canary.Run] first removes resources that an earlier run left. It
// then launches an instance with RunInstances and, if configured, one through an Auto
// Scaling group, waits until they run and their system status is ok, and removes all
// that it created, also when it fails or is canceled. The instances have no public IP
// address, no key pair, no user data and no security group rule.
package canary

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
)

// Canary is the configuration of the launches.
type Canary struct {
	// Account is the account of the clients, for messages.
	Account string
	// EC2 and AutoScaling are the account's clients.
	EC2         func(region string) *ec2.Client
	AutoScaling func(region string) *autoscaling.Client
	// Publication identifies the images. Resources that other runs of the publication
	// left are removed.
	Publication string
	// InstanceType defaults to the smallest type that a Region offers for the image.
	InstanceType string
	// Subnets by Region. Defaults to a default subnet.
	Subnets map[string]string
	// SecurityGroups by Region. Defaults to a temporary group without rules.
	SecurityGroups map[string]string
	// ThroughGroup also launches through an Auto Scaling group.
	ThroughGroup bool
	// GrantedAt is when the grant of a Region's Auto Scaling role was created, if this
	// run created it.
	GrantedAt map[string]time.Time
	// Timeout bounds the launches of each Region.
	Timeout  time.Duration
	Reporter progress.Reporter
}

// Outcome is how a launch ended.
type Outcome string

// The outcomes.
const (
	Launched Outcome = "launched" // the instance ran, and its system status was ok
	Failed   Outcome = "failed"
	// Inconclusive launches failed for a reason that isn't the image's: no capacity,
	// no subnet, a type that isn't offered.
	Inconclusive Outcome = "inconclusive"
)

// Ways to launch.
const (
	ByRunInstances = "RunInstances"
	ByAutoScaling  = "Auto Scaling"
)

// Launch is the result of one launch.
type Launch struct {
	Region string
	// By is [ByRunInstances] or [ByAutoScaling].
	By      string
	ImageID string
	Outcome Outcome
	// InstanceID, InstanceType and Zone are empty if nothing was launched.
	InstanceID, InstanceType, Zone string
	// Running is the time from the request to the state running; 0 if the instance
	// never ran.
	Running time.Duration
	// Reason is why the launch didn't succeed: AWS's state reason, activity message
	// or error.
	Reason string
}

// Limits of a canary's work after its context ends, and of its retries.
const (
	// keyPatience is how long a new grant may take to become effective. Fact: GRANT-24.
	keyPatience = 5 * time.Minute
	// visibility is how long a new permission or resource may take to become visible.
	// Fact: EC2-API-1.
	visibility = 2 * time.Minute
	// answerGrace is how much longer than the run's context a call that creates
	// something waits for its response. Only known resources can be removed.
	answerGrace = 10 * time.Second
	// removalGrace is how much longer removing continues, and removalTimeout is its
	// limit.
	removalGrace   = 2 * time.Minute
	removalTimeout = 10 * time.Minute
	// attempts is how often a launch is repeated if another client terminates its
	// instance.
	attempts = 3
)

// runBytes is the length of a run's ID.
const runBytes = 8

// Run launches each Region's image, all Regions at the same time. The launches are in
// the order of Regions. The error covers everything except launches: what couldn't be
// read, created or removed, and the end of the context. It is returned with the
// launches so far.
func (c Canary) Run(ctx context.Context, images map[string]ami.Image) ([]Launch, error) {
	id := make([]byte, runBytes)
	_, _ = rand.Read(id) // never fails
	var regions []string
	for region := range images {
		regions = append(regions, region)
	}
	slices.Sort(regions)
	stage := c.Reporter.Start("launching the canary", regions)
	defer stage.End()
	var mu sync.Mutex
	byRegion := map[string][]Launch{}
	err := fanout.Each(ctx, regions, func(ctx context.Context, region string) error {
		r := regional{
			Canary: c, run: hex.EncodeToString(id), region: region, image: images[region],
			client: c.EC2(region), groups: c.AutoScaling(region), stage: stage,
		}
		launches, err := r.launch(ctx)
		if err == nil && !slices.ContainsFunc(launches, func(l Launch) bool { return l.Outcome != Launched }) {
			stage.Finish(region, "launched and terminated the canary in account "+c.Account)
		}
		mu.Lock()
		defer mu.Unlock()
		byRegion[region] = launches
		return err
	})
	var all []Launch
	for _, region := range regions {
		all = append(all, byRegion[region]...)
	}
	return all, err
}

// regional is a canary in one Region.
type regional struct {
	Canary

	run    string
	region string
	image  ami.Image
	client *ec2.Client
	groups *autoscaling.Client
	stage  *progress.Stage
}

// errTimedOut ends the launches of a Region.
var errTimedOut = errors.New("timed out")

// launch removes resources of earlier runs, and launches until no other client
// interrupts it.
func (r regional) launch(ctx context.Context) ([]Launch, error) {
	if err := r.sweep(ctx); err != nil {
		return nil, err
	}
	place, inconclusive, err := r.place(ctx)
	if err != nil {
		return nil, err
	}
	if inconclusive != "" {
		return r.all(Inconclusive, inconclusive), nil
	}
	limited, stop := context.WithTimeoutCause(ctx, r.Timeout, errTimedOut)
	defer stop()
	for n := 1; ; n++ {
		launches, interrupted, err := r.attempt(ctx, limited, place, n)
		if err != nil || !interrupted || n == attempts {
			return launches, err
		}
		r.stage.Logf(r.region, "another principal terminated the canary in account %s. Launching another one", r.Account)
	}
}

// attempt launches once, and removes what it created on every path. limited ends
// before ctx does when the time is over.
func (r regional) attempt(ctx, limited context.Context, place place, n int) (launches []Launch, interrupted bool, err error) {
	a := attempt{regional: r, place: place, number: n, group: r.SecurityGroups[r.region]}
	defer func() {
		if removal := a.remove(ctx); removal != nil {
			err = errors.Join(err, removal)
		}
	}()
	direct, scaled, err := a.launch(limited)
	endings := []ending{direct}
	if r.ThroughGroup {
		endings = append(endings, scaled)
	}
	timedOut := err != nil && ctx.Err() == nil && limited.Err() != nil
	for _, end := range endings {
		if end.Outcome == "" && timedOut {
			end.Outcome, end.Reason = Failed, strings.TrimSuffix(fmt.Sprintf("%v after %s: %s", errTimedOut, r.Timeout, end.Reason), ": ")
		}
		if end.Outcome != "" {
			launches = append(launches, end.Launch)
		}
	}
	switch {
	case ctx.Err() != nil:
		return launches, false, fmt.Errorf("canary in %s: %w", r.region, context.Cause(ctx))
	case timedOut:
		return launches, false, nil
	}
	return launches, direct.interrupted || scaled.interrupted, err
}

// all returns a launch of each kind with the outcome.
func (r regional) all(outcome Outcome, reason string) []Launch {
	launches := []Launch{r.result(ByRunInstances, outcome, reason)}
	if r.ThroughGroup {
		launches = append(launches, r.result(ByAutoScaling, outcome, reason))
	}
	return launches
}

func (r regional) result(by string, outcome Outcome, reason string) Launch {
	return Launch{Region: r.region, By: by, ImageID: r.image.ID, Outcome: outcome, Reason: reason}
}

// lingering returns a context that ends some time after ctx. It keeps the values of the
// other context.
func lingering(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	lingering, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var mu sync.Mutex
	var timer *time.Timer
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		timer = time.AfterFunc(grace, func() { cancel(context.Cause(ctx)) })
	})
	return lingering, func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		if timer != nil {
			timer.Stop()
		}
		cancel(nil)
	}
}
