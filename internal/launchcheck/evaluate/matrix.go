package evaluate

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Link is one condition that a launch depends on.
type Link struct {
	Name    string  `json:"link"` // image, region-enabled, shared, …: the constants of this package
	Outcome Outcome `json:"outcome"`
	// Evidence says how the link is known; empty if it is [Inconclusive].
	Evidence Evidence `json:"evidence,omitempty"`
	// Because is one sentence: which permission, statement or grant decides.
	Because string `json:"because"`
	// Remedy is a command or a policy snippet that fixes the link, or a command
	// that shows what is unknown. It can be pasted unchanged. It is empty if
	// there is no remedy.
	Remedy string `json:"remedy,omitempty"`
	// Note says how to use Remedy: with whose credentials, where to add it, or what
	// to do afterwards. It continues the word "remedy".
	Note string `json:"note,omitempty"`
}

// assumed returns the link as one that wasn't read.
func (l Link) assumed() Link {
	if l.Evidence != "" {
		l.Evidence = Assumed
	}
	return l
}

// simulated returns the link as one that rests on IAM's policy simulator.
func (l Link) simulated() Link {
	if l.Evidence != "" {
		l.Evidence = Simulated
	}
	return l
}

// note returns the link with a note for its remedy.
func (l Link) note(note string) Link {
	l.Note = text.Printable(note)
	return l
}

// Verdict is the result of a launch, with the links up to the first broken one.
type Verdict struct {
	Account  string
	Region   string
	Launcher string
	Outcome  Outcome
	Links    []Link
}

// Broken returns the link that decides a verdict other than [Launches].
func (v Verdict) Broken() (Link, bool) { return deciding(v.Links, v.Outcome) }

func deciding(links []Link, outcome Outcome) (Link, bool) {
	i := slices.IndexFunc(links, func(l Link) bool { return l.Outcome == outcome && outcome != Launches })
	if i < 0 {
		return Link{}, false
	}
	return links[i], true
}

// Evidence returns what the verdict rests on: the weakest evidence of the links that
// hold or are pending, or the evidence of the link that is broken. It is empty for
// an inconclusive verdict.
func (v Verdict) Evidence() Evidence { return evidenceOf(v.Links, v.Outcome) }

func evidenceOf(links []Link, outcome Outcome) Evidence {
	switch outcome {
	case Inconclusive:
		return ""
	case Fails:
		broken, _ := deciding(links, outcome)
		return broken.Evidence
	}
	weakest := Seen
	for _, l := range links {
		if l.Evidence.weaker(weakest) {
			weakest = l.Evidence
		}
	}
	return weakest
}

// Case is a verdict that several accounts share, for one launcher in one Region.
type Case struct {
	Region   string  `json:"region"`
	Launcher string  `json:"launcher"`
	Outcome  Outcome `json:"outcome"`
	// Evidence is that of the verdict; empty if it is [Inconclusive].
	Evidence Evidence `json:"evidence,omitempty"`
	Accounts []string `json:"accounts"`
	// Links name the account as [Placeholder]. Use [Case.Explained] for readers.
	Links []Link `json:"links"`
}

// Broken returns the link that decides a case other than [Launches], for readers.
func (c Case) Broken() (Link, bool) { return deciding(c.Explained(), c.Outcome) }

// Matrix is every verdict, one for each account, Region and launcher, with those
// that differ in the account only taken together: it stays readable, and small,
// for thousands of accounts.
type Matrix []Case

// Collect takes the verdicts together, in the order of Region, launcher,
// outcome and account.
func Collect(verdicts []Verdict) Matrix {
	var c Collector
	c.Add(verdicts...)
	return c.Matrix()
}

// Collector is [Collect] for verdicts that come one after the other. It keeps the links
// of one verdict of each case. The zero value is empty.
type Collector struct {
	byKey map[string]*Case
	key   []byte // of the last verdict, for its memory
}

// Add adds verdicts.
func (c *Collector) Add(verdicts ...Verdict) {
	if c.byKey == nil {
		c.byKey = map[string]*Case{}
	}
	for _, v := range verdicts {
		c.key = append(append(append(c.key[:0], v.Region...), '\n'), v.Launcher...)
		c.key = append(append(c.key, '\n'), v.Outcome...)
		for _, l := range v.Links {
			for _, part := range [...]string{l.Name, string(l.Outcome), string(l.Evidence), v.withoutAccount(l.Because), v.withoutAccount(l.Remedy), v.withoutAccount(l.Note)} {
				c.key = append(binary.AppendUvarint(c.key, uint64(len(part))), part...)
			}
		}
		one := c.byKey[string(c.key)]
		if one == nil {
			links := v.placeholders()
			one = &Case{Region: v.Region, Launcher: v.Launcher, Outcome: v.Outcome, Evidence: evidenceOf(links, v.Outcome), Links: links}
			c.byKey[string(c.key)] = one
		}
		one.Accounts = append(one.Accounts, v.Account)
	}
}

// placeholders are the verdict's links with [Placeholder] instead of the account.
func (v Verdict) placeholders() []Link {
	links := slices.Clone(v.Links)
	for i, l := range links {
		links[i].Because = v.withoutAccount(l.Because)
		links[i].Remedy = v.withoutAccount(l.Remedy)
		links[i].Note = v.withoutAccount(l.Note)
	}
	return links
}

// Matrix returns the cases.
func (c *Collector) Matrix() Matrix {
	var matrix Matrix
	for _, one := range c.byKey {
		slices.Sort(one.Accounts)
		matrix = append(matrix, *one)
	}
	slices.SortFunc(matrix, func(a, b Case) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Launcher, b.Launcher),
			cmp.Compare(a.Outcome, b.Outcome), slices.Compare(a.Accounts, b.Accounts))
	})
	return matrix
}

// AnyOther stands, among a case's accounts, for all accounts that aren't
// listed.
const AnyOther = "any other account"

// Find returns the case of an account, also as one of [AnyOther].
func (m Matrix) Find(account, region, launcher string) (Case, bool) {
	var other Case
	for _, c := range m {
		if c.Region != region || c.Launcher != launcher {
			continue
		}
		if slices.Contains(c.Accounts, account) {
			return c, true
		}
		if slices.Contains(c.Accounts, AnyOther) {
			other = c
		}
	}
	return other, other.Accounts != nil
}

// Only returns the cases with the outcome.
func (m Matrix) Only(outcome Outcome) Matrix {
	return slices.DeleteFunc(slices.Clone(m), func(c Case) bool { return c.Outcome != outcome })
}

// BrokenAt splits the matrix into the cases that the link decides, and the others.
func (m Matrix) BrokenAt(link string) (broken, others Matrix) {
	for _, c := range m {
		if l, _ := c.Broken(); l.Name == link {
			broken = append(broken, c)
		} else {
			others = append(others, c)
		}
	}
	return broken, others
}

// After returns the cases without the launches that succeed or are pending in the
// planned matrix. Launches that aren't in the planned matrix stay.
func (m Matrix) After(planned Matrix) Matrix {
	type launch struct{ region, launcher, account string }
	fixed := map[launch]bool{}
	for _, c := range planned {
		for _, account := range c.Accounts {
			fixed[launch{c.Region, c.Launcher, account}] = c.Outcome == Launches || c.Outcome == Pending
		}
	}
	var left Matrix
	for _, c := range m {
		c.Accounts = slices.DeleteFunc(slices.Clone(c.Accounts), func(account string) bool { return fixed[launch{c.Region, c.Launcher, account}] })
		if len(c.Accounts) > 0 {
			left = append(left, c)
		}
	}
	return left
}

// Total is how many verdicts there are, whatever their outcome.
func (m Matrix) Total() int {
	n := 0
	for _, c := range m {
		n += len(c.Accounts)
	}
	return n
}

// withoutAccount replaces the account ID with the placeholder, except where the
// account owns a key: the key is the same for all accounts.
func (v Verdict) withoutAccount(text string) string {
	if !strings.Contains(text, v.Account) {
		return text
	}
	ofKey := ":kms:" + v.Region + ":" + v.Account
	parts := strings.Split(text, ofKey)
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(part, v.Account, Placeholder)
	}
	return strings.Join(parts, ofKey)
}

// Count says how many verdicts have the outcome.
func (m Matrix) Count(outcome Outcome) int {
	n := 0
	for _, c := range m {
		if c.Outcome == outcome {
			n += len(c.Accounts)
		}
	}
	return n
}

// Rests counts the verdicts with the outcome that rest on the evidence.
func (m Matrix) Rests(outcome Outcome, on Evidence) int {
	return slices.DeleteFunc(m.Only(outcome), func(c Case) bool { return c.Evidence != on }).Total()
}

// Evidence says what the verdicts that launch rest on, for readers: " (20 seen, 4
// assumed)". It is empty if nothing launches.
func (m Matrix) Evidence() string {
	var parts []string
	for _, e := range []Evidence{Seen, Simulated, Assumed} {
		if n := m.Rests(Launches, e); n > 0 {
			parts = append(parts, text.Number(n)+" "+string(e))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
