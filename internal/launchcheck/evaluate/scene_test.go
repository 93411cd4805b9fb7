package evaluate_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// scene is a launch in which every link holds, until a test breaks one: a
// member's role with the emitted policy, an image that is shared with the
// organization, encrypted with a key that is open to it.
type scene struct {
	partition  string
	management string
	now        time.Time
	account    evaluate.Account
	launcher   evaluate.Launcher
	region     evaluate.Region
	key        evaluate.Key
}

func newScene() *scene {
	w := published(1, region)
	s := &scene{partition: "aws", account: w.Accounts[0], launcher: w.Launchers[0], region: w.Regions[0], key: w.Regions[0].Keys[keyARN(region)]}
	s.account.ID, s.key.Grants = member, nil
	return s
}

// asService makes the service-linked role of EC2 Auto Scaling the launcher.
func (s *scene) asService() {
	s.launcher = evaluate.Launcher{Name: "EC2 Auto Scaling", Role: autoScaling, ServiceLinked: true}
}

// inOwnersAccount moves the launch to the key's own account.
func (s *scene) inOwnersAccount() { s.account.ID = owner }

// lend adds a grant that the key's owner issued.
func (s *scene) lend(operations ...string) {
	s.grant(operations...)
	s.key.Grants[len(s.key.Grants)-1].IssuingAccount = owner
}

// steps alters the scene in several ways.
func steps(steps ...func(*scene)) func(*scene) {
	return func(s *scene) {
		for _, step := range steps {
			step(s)
		}
	}
}

// keyPolicy replaces the key's policy.
func (s *scene) keyPolicy(statements ...string) { s.key.Policy = document(statements...) }

// identityPolicy replaces the role's policy.
func (s *scene) identityPolicy(statements ...string) { s.launcher.Policy = document(statements...) }

func (s *scene) grant(operations ...string) {
	s.key.Grants = append(s.key.Grants, evaluate.Grant{ID: fmt.Sprint("grant-", len(s.key.Grants)+1), Grantee: roleARN(s.account.ID, s.launcher.Role), IssuingAccount: s.account.ID, Operations: operations})
}

func document(statements ...string) json.RawMessage {
	return json.RawMessage(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`)
}

// verdict returns the evaluator's verdict on the scene, part of which may be
// hidden.
func (s *scene) verdict(hide ...func(*evaluate.Input)) evaluate.Verdict {
	if s.key.ARN != "" {
		s.region.Keys = map[string]evaluate.Key{s.key.ARN: s.key}
	}
	known := evaluate.Input{
		Partition: s.partition, Organization: organization, ManagementAccount: s.management, Now: s.now, Accounts: []evaluate.Account{s.account}, Launchers: []evaluate.Launcher{s.launcher}, Regions: []evaluate.Region{s.region},
	}
	for _, h := range hide {
		h(&known)
	}
	return evaluate.Evaluate(known).Verdicts[0]
}

// ruling is a scene with one change and its expected result.
type ruling struct {
	name  string
	alter func(*scene)
	want  evaluate.Outcome
	link  string // that decides, empty if all hold
}

func check(t *testing.T, rulings []ruling) {
	t.Helper()
	for _, r := range rulings {
		t.Run(r.name, func(t *testing.T) {
			s := newScene()
			r.alter(s)
			v := s.verdict()
			decides, _ := v.Broken()
			if v.Outcome != r.want || decides.Name != r.link {
				t.Errorf("%s by %q, not %s by %q: %s", v.Outcome, decides.Name, r.want, r.link, v.Links)
			}
			for _, l := range v.Links {
				if l.Because == "" || strings.HasSuffix(l.Because, ".") || strings.ToLower(l.Because[:1]) != l.Because[:1] {
					t.Errorf("no sentence for an error: %q", l.Because)
				}
			}
			if i := slices.IndexFunc(v.Links, func(l evaluate.Link) bool { return l.Outcome == evaluate.Fails }); i >= 0 && i != len(v.Links)-1 {
				t.Errorf("links follow the one that is broken: %s", v.Links)
			}
			if v.Outcome == evaluate.Fails && decides.Remedy == "" {
				t.Errorf("no remedy for %q", decides.Because)
			}
		})
	}
}
