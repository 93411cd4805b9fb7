package publish_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// pair is one cell: when the second of two runs starts, and which of them fails, how
// and where.
type pair struct {
	what   string // what the second publishes
	offset string // when the second starts
	victim string // A or B
	how    awssim.FaultKind
	k      int // the victim's call
	locked bool
	behind bool // a third of all reads are a minute behind
}

func (p pair) String() string {
	return fmt.Sprintf("%s, B %s, %s %s at call %d, locked %v, behind %v", p.what, p.offset, p.victim, p.how, p.k, p.locked, p.behind)
}

// What the second run publishes.
const (
	sameImage    = "the same image"
	anotherImage = "another image"
	anotherName  = "another name"
)

// When the second run starts.
const (
	atOnce        = "at once"
	aSecondLater  = "a second later"
	whileCopying  = "while A copies"
	beforeSharing = "right before A shares"
	afterSharing  = "right after A shared"
)

var offsets = []string{atOnce, aSecondLater, whileCopying, beforeSharing, afterSharing}

// builder is one of two clients that publish at the same time.
type builder struct {
	spec    publish.Spec
	clients *awsclient.Clients
	key     string // its access key
}

// TestTwoRuns covers two runs at the same time, one of which is denied a call, is
// canceled or dies, at each of its calls. The other one completes, and its images stay.
// The next run of the one that failed finishes.
func TestTwoRuns(t *testing.T) {
	calls := pairCalls(t)
	var cells []pair
	for _, what := range []string{sameImage, anotherImage, anotherName} {
		for _, offset := range offsets {
			for _, victim := range []string{"A", "B"} {
				for _, how := range []awssim.FaultKind{awssim.Denied, cancelled, dies} {
					step := map[bool]int{true: 3, false: 9}[what == sameImage]
					if what == sameImage && (offset == aSecondLater || offset == whileCopying) {
						step = 1
					}
					for _, k := range everyNth(calls[offset+victim], step) {
						turn := len(cells)
						cells = append(cells, pair{what, offset, victim, how, k, turn%2 == 0, turn%7 == 0})
					}
				}
			}
		}
	}
	for _, p := range sample(cells, 25) {
		axisCell(t, &figures.twoRuns, p.String(), p.run)
	}
}

// pairCalls are the calls of two runs that nothing disturbs, by offset and run.
func pairCalls(t *testing.T) map[string][]int {
	t.Helper()
	var mu sync.Mutex
	calls := map[string][]int{}
	for _, offset := range offsets {
		synctest.Test(t, func(t *testing.T) {
			w := quickWorld(t, awssim.CopyOptions{})
			p := pair{what: sameImage, offset: offset, how: cancelled}
			a, b := w.builders(t, p)
			p.meet(t, w, a, b)
			mu.Lock()
			defer mu.Unlock()
			for name, key := range map[string]string{"A": a.key, "B": b.key} {
				own := slices.DeleteFunc(w.sim.Journal(), func(call awssim.Entry) bool { return call.AccessKey != key })
				calls[offset+name] = telling(own)
			}
		})
	}
	for _, key := range slices.Sorted(maps.Keys(calls)) {
		if len(calls[key]) < 30 {
			t.Errorf("a run makes the calls %v (%s)", calls[key], key)
		}
	}
	return calls
}

// builders are the account's administrator and a role.
func (w *world) builders(t *testing.T, p pair) (a, b builder) {
	t.Helper()
	a.spec, b.spec = w.quickSpec(), w.quickSpec()
	switch p.what {
	case anotherName:
		b.spec.Image.Name = "golden-too"
	case anotherImage:
		b.spec.Sources[0].ImageID, b.spec.Image.Name = w.buildAnother(t), "golden-too"
	}
	config := w.config(awssim.PublishingAccount, w.regions[0])
	a.key, _ = w.sim.AccessKey(awssim.PublishingAccount)
	a.clients = awsclient.New(config)
	session, err := sts.NewFromConfig(config).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + awssim.PublishingAccount + ":role/" + secondBuilder), RoleSessionName: aws.String("second"),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.key = *session.Credentials.AccessKeyId
	config.Credentials = credentials.NewStaticCredentialsProvider(b.key, *session.Credentials.SecretAccessKey, *session.Credentials.SessionToken)
	b.clients = awsclient.New(config)
	w.sim.ResetJournal()
	return a, b
}

func (b builder) publish(ctx context.Context, w *world, lock publish.Locker) (outcome, error) {
	o, err := publish.Runner{Clients: b.clients, Reporter: w.reporter(), Lock: lock, Record: w.record}.Run(ctx, b.spec)
	return outcome{o}, err
}

// ended is how a run ended.
type ended struct {
	outcome outcome
	err     error
}

// meet runs both at the same time. The second one starts at the latest when the first
// has ended.
func (p pair) meet(t *testing.T, w *world, a, b builder) (first, second ended) {
	t.Helper()
	victim := a.key
	if p.victim == "B" {
		victim = b.key
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	contexts := map[string]context.Context{"A": t.Context(), "B": t.Context()}
	contexts[p.victim] = ctx
	begin := make(chan struct{})
	begun := sync.OnceFunc(func() { close(begin) })
	fails, _ := failing(p.how, p.k, func(call awssim.Entry) bool { return call.AccessKey == victim }, cancel)
	decisions := []decision{p.startsB(a.key, begun), fails}
	if p.behind {
		decisions = append(decisions, everyThirdReadBehind())
	}
	w.sim.Interpose(either(decisions...))
	lock := publish.Locker(unlocked)
	if p.locked {
		lock = mutex()
	}
	var group sync.WaitGroup
	group.Go(func() {
		first.outcome, first.err = a.publish(contexts["A"], w, lock)
		begun()
	})
	group.Go(func() {
		<-begin
		second.outcome, second.err = b.publish(contexts["B"], w, lock)
	})
	group.Wait()
	w.sim.ClearFaults()
	return first, second
}

// startsB calls begin when the second run is to start. It strikes no call.
func (p pair) startsB(first string, begin func()) decision {
	start := time.Now()
	later := map[string]time.Duration{aSecondLater: time.Second, whileCopying: 45 * time.Second}
	if delay, ok := later[p.offset]; ok {
		time.AfterFunc(delay, begin)
	}
	return func(call awssim.Entry) *awssim.Fault {
		copied := time.Since(start) > 90*time.Second
		if p.offset == atOnce || call.AccessKey == first && !call.DryRun &&
			(p.offset == beforeSharing && copied && call.Operation == "GetKeyPolicy" || p.offset == afterSharing && call.Operation == "CreateTags") {
			begin()
		}
		return nil
	}
}

func everyThirdReadBehind() decision {
	reads := 0
	return func(call awssim.Entry) *awssim.Fault {
		if reads++; !call.Mutating && reads%3 == 0 {
			return &awssim.Fault{Kind: awssim.Stale, Behind: staleness}
		}
		return nil
	}
}

func (p pair) run(t *testing.T) {
	w := quickWorld(t, awssim.CopyOptions{})
	a, b := w.builders(t, p)
	defer w.guard(t, guarding{regions: w.regions, grants: 2})()
	first, second := p.meet(t, w, a, b)
	w.checkHonest(t, first.outcome, first.err)
	w.checkHonest(t, second.outcome, second.err)
	if p.victim != "A" && first.err != nil {
		t.Errorf("run A: %v", first.err)
	}
	if p.victim != "B" && second.err != nil {
		t.Errorf("run B: %v", second.err)
	}
	lastA := w.mustConverge(t, a.spec)
	lastB := lastA
	if p.what != sameImage {
		lastB = w.mustConverge(t, b.spec)
	}
	for _, run := range []struct {
		name        string
		then, later outcome
	}{{"A", first.outcome, lastA}, {"B", second.outcome, lastB}} {
		if run.then.Complete && !maps.Equal(run.then.Images(), run.later.Images()) {
			t.Errorf("run %s published %v, and then %v", run.name, run.then.Images(), run.later.Images())
		}
	}
	for region, id := range lastB.Images() {
		if reason := w.launchServiceLinked(t, awssim.MemberAccounts()[0], "AWSServiceRoleForAutoScaling", region, id); reason != "" {
			t.Errorf("a launch in %s: %s", region, reason)
		}
	}
	copies := map[string]int{}
	for _, image := range w.state().Images {
		copies[image.Region+" "+image.Name]++
	}
	for what, n := range copies {
		if n != 1 {
			t.Errorf("%d copies: %s", n, what)
		}
	}
}
