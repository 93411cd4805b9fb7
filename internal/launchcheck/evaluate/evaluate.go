package evaluate

import (
	"cmp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Evaluate says of every launcher in every account and region what its launch
// comes to, ordered by region, account and launcher. It asks AWS nothing: it
// is right if the world is, if nothing beyond the role's own policies and the
// key's confines the role, such as a service control policy, and if volumes keep
// their snapshots' keys (Fact: LAUNCH-13).
func Evaluate(w Input) []Verdict {
	accounts := slices.SortedFunc(slices.Values(w.Accounts), func(a, b Account) int { return cmp.Compare(a.ID, b.ID) })
	launchers := slices.SortedFunc(slices.Values(w.Launchers), func(a, b Launcher) int { return cmp.Compare(a.Name, b.Name) })
	var callers []*caller
	for a := range accounts {
		for l := range launchers {
			callers = append(callers, newCaller(w.Partition, &accounts[a], &launchers[l]))
		}
	}
	verdicts := make([]Verdict, 0, len(callers)*len(w.Regions))
	for _, r := range slices.SortedFunc(slices.Values(w.Regions), func(a, b Region) int { return cmp.Compare(a.Name, b.Name) }) {
		e := newEvaluation(w.Partition, &r, launchers)
		for i, by := range callers {
			verdicts = append(verdicts, e.verdict(&accounts[i/len(launchers)], by))
		}
	}
	return verdicts
}

// evaluation is a region with everything parsed and indexed.
type evaluation struct {
	region *Region
	image  []Link // about the image alone
	disks  []Link // about the snapshots alone
	keys   []*regionalKey
}

// regionalKey is a key of the image's snapshots.
type regionalKey struct {
	Key

	in      *Region
	account string // its owner
	region  string // in its ARN
	missing bool   // the world has nothing of it
	service string // EC2's name in calls to KMS
	via     value  // of kms:ViaService: the service's name, where that is confirmed
	// The links that are the same for every caller whose chain gets there.
	here, state Link
	policy      *document
	identity    map[*Launcher]*document
	grants      map[string]granted
}

func newEvaluation(partition string, r *Region, launchers []Launcher) *evaluation {
	e := &evaluation{region: r, image: []Link{r.imageLink()}, disks: r.snapshotLinks()}
	if product, found := r.productLink(); found {
		e.image = append(e.image, product)
	}
	done := map[string]bool{"": true}
	for _, snapshot := range r.Image.Snapshots {
		if !done[snapshot.Key] {
			done[snapshot.Key] = true
			e.keys = append(e.keys, newRegionalKey(partition, r, snapshot.Key, launchers))
		}
	}
	return e
}

func newRegionalKey(partition string, r *Region, keyARN string, launchers []Launcher) *regionalKey {
	key, found := r.Keys[keyARN]
	key.ARN = keyARN
	a, _ := arn.Parse(keyARN) // of what is not an ARN, the account is empty
	k := &regionalKey{Key: key, in: r, account: a.AccountID, region: a.Region, missing: !found}
	var confirmed bool
	if k.service, confirmed = policy.EC2Service(partition, r.Name); confirmed {
		k.via = present(k.service)
	} else {
		k.via = value{there: unsure}
	}
	k.here = holds(linkKeyRegion, "the key "+keyARN+" is of "+r.Name)
	k.state = k.stateLink()
	k.policy = k.parsePolicy()
	k.identity = map[*Launcher]*document{}
	for i := range launchers {
		k.identity[&launchers[i]] = launchers[i].identity(keyARN)
	}
	k.grants = indexGrants(k.Grants)
	return k
}

// parsePolicy reads the key's policy. AWS's own keys for EBS admit everybody of
// their account through EC2, and are read by few.
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

// identity is the role's policy, as far as it is about the key. Service-linked
// roles have nothing of KMS in theirs. Fact: IAM-ROLE-8.
func (l *Launcher) identity(keyARN string) *document {
	name := "the identity policy of " + l.Name
	if l.ServiceLinked || len(l.Policy) == 0 {
		return &document{name: name}
	}
	return parseIdentityPolicy(name, l.Policy, keyARN)
}

// verdict follows the chain until a link breaks.
func (e *evaluation) verdict(a *Account, by *caller) Verdict {
	v := Verdict{Account: a.ID, Region: e.region.Name, Launcher: by.launcher.Name, Outcome: Launches, Links: make([]Link, 0, 2+4*len(e.keys))}
	if by.partition == "" {
		v.append(open(linkImage, "the partition of "+e.region.Name+" is not known, and with it the ARNs of roles", "aws sts get-caller-identity"))
		return v
	}
	if !v.append(e.image...) || !v.append(e.region.sharedLink(a)) || !v.append(e.disks...) {
		return v
	}
	for _, k := range e.keys {
		if !v.append(k.regionLink(by)) {
			return v
		}
		if k.missing || k.account == "" {
			continue
		}
		if !v.append(k.state) || !v.append(k.admit(by)...) {
			return v
		}
	}
	return v
}

// append adds links and reports whether the chain goes on: a link that is broken
// ends it, one that is not known does not, since a later one may break.
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
