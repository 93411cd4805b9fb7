package evaluate

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Evaluate decides whether each launcher can launch in each account and Region.
// It makes no requests. Its result is correct if the input is correct and the
// returned assumptions hold.
func Evaluate(w Input) Result {
	accounts := slices.SortedFunc(slices.Values(w.Accounts), func(a, b Account) int { return cmp.Compare(a.ID, b.ID) })
	regions := slices.SortedFunc(slices.Values(w.Regions), func(a, b Region) int { return cmp.Compare(a.Name, b.Name) })
	result := Result{Verdicts: make([]Verdict, 0, len(accounts)*len(w.Launchers)*len(regions))}
	for _, r := range regions {
		e := w.In(r)
		for _, a := range accounts {
			result.Verdicts = append(result.Verdicts, e.Verdicts(a)...)
		}
		result.Assumptions = MergeAssumptions(result.Assumptions, e.Assumptions())
	}
	return result
}

// Evaluator decides in one Region, one account at a time. With thousands of accounts,
// all verdicts together take far more memory than the input.
type Evaluator struct{ evaluation *evaluation }

// In returns the evaluator of the Region, for the input's launchers. It doesn't use the
// input's accounts and Regions.
func (w Input) In(r Region) *Evaluator {
	launchers := slices.SortedFunc(slices.Values(w.Launchers), func(a, b Launcher) int { return cmp.Compare(a.Name, b.Name) })
	return &Evaluator{newEvaluation(&w, &r, launchers, map[Assumption]bool{})}
}

// Verdicts are those on the account, in the order of launchers.
func (e *Evaluator) Verdicts(a Account) []Verdict {
	verdicts := make([]Verdict, len(e.evaluation.launchers))
	for i := range e.evaluation.launchers {
		verdicts[i] = e.evaluation.verdict(&a, newCaller(e.evaluation.partition, &a, &e.evaluation.launchers[i]))
	}
	return verdicts
}

// Assumptions are those that the verdicts so far depend on, each once, in a fixed order.
func (e *Evaluator) Assumptions() []Assumption {
	return MergeAssumptions(slices.Collect(maps.Keys(e.evaluation.assumed)))
}

// evaluation is a Region whose policies and grants are parsed and indexed.
type evaluation struct {
	partition, management string
	now                   time.Time
	region                *Region
	launchers             []Launcher
	from                  origin
	image                 []Link // depend only on the image
	disks                 []Link // depend only on the snapshots
	keys                  []*regionalKey
	volumeKeys            map[string]*regionalKey // default EBS keys, by account
	controls              map[string]*document    // service control policies
	assumed               map[Assumption]bool
}

// assume records that verdicts depend on the assumption.
func (e *evaluation) assume(a Assumption) { e.assumed[a] = true }

// regionalKey is a key of the image's snapshots.
type regionalKey struct {
	Key

	in      *Region
	account string // its owner
	region  string // in its ARN
	missing bool   // the input doesn't contain the key
	service string // EC2's name in calls to KMS
	from    origin // of requests for a launch
	// Links that are the same for every caller that reaches them.
	here, state Link
	policy      *document
	identity    map[*Launcher]*document
	grants      map[string]granted
}

func newEvaluation(w *Input, r *Region, launchers []Launcher, assumed map[Assumption]bool) *evaluation {
	e := &evaluation{
		partition: w.Partition, management: w.ManagementAccount, now: w.Now, region: r, launchers: launchers, assumed: assumed,
		image: []Link{r.imageLink()}, disks: r.snapshotLinks(), volumeKeys: map[string]*regionalKey{}, controls: map[string]*document{},
	}
	_, e.from = requestsFrom(w.Partition, r.Name)
	if product, found := r.productLink(); found {
		e.image = append(e.image, product)
	}
	done := map[string]bool{"": true}
	for _, snapshot := range r.Image.Snapshots {
		if !done[snapshot.Key] {
			done[snapshot.Key] = true
			e.keys = append(e.keys, newRegionalKey(w.Partition, r, snapshot.Key, launchers))
		}
	}
	return e
}

// requestsFrom returns EC2's name in calls to KMS, and the origin of requests
// for a launch in the Region. The name is used only if it is confirmed. Fact:
// KMS-COND-2.
func requestsFrom(partition, region string) (service string, from origin) {
	service, confirmed := policy.EC2Service(partition, region)
	if !confirmed {
		return service, origin{value{there: unsure}, region}
	}
	return service, origin{present(service), region}
}

func newRegionalKey(partition string, r *Region, keyARN string, launchers []Launcher) *regionalKey {
	key, found := r.Keys[keyARN]
	key.ARN = keyARN
	a, _ := arn.Parse(keyARN) // empty if keyARN isn't an ARN
	k := &regionalKey{Key: key, in: r, account: a.AccountID, region: a.Region, missing: !found}
	k.service, k.from = requestsFrom(partition, r.Name)
	k.here = holds(LinkKeyRegion, "the key "+keyARN+" is of "+r.Name)
	k.state = k.stateLink()
	k.policy = k.parsePolicy()
	k.identity = map[*Launcher]*document{}
	for i := range launchers {
		k.identity[&launchers[i]] = launchers[i].identity(keyARN)
	}
	k.grants = indexGrants(k.Grants)
	return k
}

// parsePolicy reads the key's policy. The policies of AWS's own EBS keys allow
// all principals of the key's account through EC2, and few callers can read
// them.
func (k *regionalKey) parsePolicy() *document {
	name := "the policy of the key " + k.ARN
	switch {
	case len(k.Policy) > 0:
		return parseKeyPolicy(name, k.Policy, k.ARN)
	case k.AWSManaged:
		s := statement{name: "AWS's own policy", allow: true, actions: allNeeded, onKey: true, who: principals{accounts: map[string]bool{}, all: true}}
		return &document{name: name, statements: []statement{s}}
	default:
		return unread(name, "it could not be read")
	}
}

// identity returns the statements of the role's policy that are about the key.
// Policies of service-linked roles contain nothing about KMS. Fact: IAM-ROLE-8.
func (l *Launcher) identity(keyARN string) *document {
	name := "the identity policy of " + l.Name
	if l.ServiceLinked || len(l.Policy) == 0 {
		return &document{name: name}
	}
	return parseIdentityPolicy(name, l.Policy, keyARN)
}

// verdict follows the chain up to the first broken link.
func (e *evaluation) verdict(a *Account, by *caller) Verdict {
	v := Verdict{Account: a.ID, Region: e.region.Name, Launcher: by.launcher.Name, Outcome: Launches, Links: make([]Link, 0, 2+4*len(e.keys))}
	if by.partition == "" {
		v.append(open(LinkImage, "the partition of "+e.region.Name+" is not known, so the ARNs of roles aren't known", "aws sts get-caller-identity"))
		return v
	}
	if !v.append(e.image...) || !v.append(e.enabledLink(a, by.partition)...) || !v.append(e.region.sharedLink(a)) ||
		!v.append(e.allowedLink(a, e.now)...) || !v.append(e.seenLink(a)...) || !v.append(e.disks...) || !v.append(e.roleLinks(a, by)...) {
		return v
	}
	for _, k := range e.keys {
		if !v.append(k.regionLink(by)) {
			return v
		}
		if k.missing || k.account == "" {
			continue
		}
		if !v.append(k.state) {
			return v
		}
		if !v.append(k.admit(by)...) {
			if v.Links[len(v.Links)-1].Name == LinkGrant { // once the grant exists, the volume's key still decides
				e.volumeLinks(a, by)
			}
			return v
		}
	}
	if !by.launcher.ServiceLinked && by.simulation(e.region.Name) == nil {
		e.assume(assumedIdentity)
		if !slices.ContainsFunc(v.Links, func(l Link) bool { return l.Name == LinkIdentityPolicy }) {
			v.append(holds(LinkIdentityPolicy, "no policy of the role "+by.launcher.Role+" is assumed to deny it").assumed())
		}
	}
	v.append(e.volumeLinks(a, by)...)
	return v
}

// roleLinks are the links of what limits the caller's role: what was simulated of it,
// or the service control policies.
func (e *evaluation) roleLinks(a *Account, by *caller) []Link {
	if s := by.simulation(e.region.Name); s != nil {
		return e.simulatedLinks(a, by, s)
	}
	return e.scpLinks(a, by)
}

// append adds links and reports whether the chain continues. A broken link ends
// it. An unknown link doesn't, because a later link may be broken.
func (v *Verdict) append(links ...Link) bool {
	for _, l := range links {
		v.Links = append(v.Links, l)
		switch l.Outcome {
		case Fails:
			v.Outcome = Fails
			return false
		case Inconclusive:
			v.Outcome = Inconclusive
		}
	}
	return true
}
