package evaluate_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// failing is a case of the scenes' accounts that fails, with the link that decides.
func failing(t *testing.T, alter func(*scene), accounts ...string) (evaluate.Case, evaluate.Link) {
	t.Helper()
	var verdicts []evaluate.Verdict
	for _, id := range accounts {
		s := newScene()
		s.account.ID = id
		alter(s)
		verdicts = append(verdicts, s.verdict())
	}
	matrix := evaluate.Collect(verdicts)
	if len(matrix) != 1 {
		t.Fatalf("%d cases: %v", len(matrix), matrix)
	}
	link, found := matrix[0].Broken()
	if !found {
		t.Fatal("it launches")
	}
	return matrix[0], link
}

// remedies are scenes with remedies of every kind.
func remedies() map[string]func(*scene) {
	unshared := func(s *scene) { s.region.Image.Organizations = nil }
	return map[string]func(*scene){
		"share":         unshared,
		"grant":         (*scene).asService,
		"key policy":    func(s *scene) { s.keyPolicy(to(owner)) },
		"denial":        func(s *scene) { s.keyPolicy(to("*"), strings.Replace(to("*"), "Allow", "Deny", 1)) },
		"identity":      func(s *scene) { s.launcher.Policy = nil },
		"role's denial": func(s *scene) { s.identityPolicy(strings.Replace(allow, "Allow", "Deny", 1) + "}") },
		"disabled":      func(s *scene) { s.region.Image.State = "disabled" },
		"region":        func(s *scene) { s.account.RegionEnabled = map[string]bool{region: false} },
	}
}

// Remedies for one account and for several can be pasted.
func TestRemediesCanBePasted(t *testing.T) {
	for name, alter := range remedies() {
		for _, accounts := range [][]string{{member}, {member, other}} {
			c, link := failing(t, alter, accounts...)
			text, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, shown := range []string{link.Because, link.Remedy, link.Note, string(text), evaluate.Matrix{c}.Text("f")} {
				if strings.Contains(shown, evaluate.Placeholder) {
					t.Errorf("%s: a placeholder is left: %s", name, shown)
				}
			}
			switch {
			case strings.HasPrefix(link.Remedy, "{"):
				if !json.Valid([]byte("[" + link.Remedy + "]")) {
					t.Errorf("%s: not JSON: %s", name, link.Remedy)
				}
			case strings.Contains(link.Remedy, "#"), link.Remedy == "":
				t.Errorf("%s: %q", name, link.Remedy)
			default:
				if out, err := exec.CommandContext(t.Context(), "bash", "-n", "-c", link.Remedy).CombinedOutput(); err != nil {
					t.Errorf("%s: %s: %s", name, link.Remedy, out)
				}
			}
		}
	}
}

// A loop runs, for each account, the command that one account alone would get.
func TestLoops(t *testing.T) {
	for name, alter := range remedies() {
		_, many := failing(t, alter, member, other)
		if !strings.HasPrefix(many.Remedy, "for account in "+member+" "+other+"; do ") {
			continue
		}
		for _, shell := range []string{"bash", "zsh"} {
			if _, err := exec.LookPath(shell); err != nil {
				continue
			}
			run := func(text string) string {
				out, err := exec.CommandContext(t.Context(), shell, "-c", `aws() { printf '<%s>' "$@"; echo; }; `+text).CombinedOutput()
				if err != nil {
					t.Fatalf("%s: %s: %s", name, err, out)
				}
				return string(out)
			}
			_, first := failing(t, alter, member)
			_, second := failing(t, alter, other)
			if got, want := run(many.Remedy), run(first.Remedy)+run(second.Remedy); got != want {
				t.Errorf("%s in %s:\n%swant\n%s", name, shell, got, want)
			}
		}
	}
}

// Notes say whose credentials a remedy needs.
func TestNotes(t *testing.T) {
	for name, want := range map[string][2]string{
		"grant":    {"with credentials of the account " + member, "with an AWS CLI profile for each account that has the account's ID as its name"},
		"identity": {"add to a policy of the role " + karpenter + " in the account " + member, "add to a policy of the role " + karpenter + " in each account"},
		"disabled": {"then publish again", "then publish again"},
		"share":    {"", ""},
	} {
		_, alone := failing(t, remedies()[name], member)
		_, both := failing(t, remedies()[name], member, other)
		if got := [2]string{alone.Note, both.Note}; got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Accounts that aren't listed have no account ID to paste.
func TestAnyOther(t *testing.T) {
	c, _ := failing(t, (*scene).asService, member)
	c.Accounts = []string{evaluate.AnyOther}
	link, _ := c.Broken()
	if !strings.Contains(link.Remedy, "iam::ACCOUNT:role/") || link.Note != "with credentials of the account ACCOUNT" {
		t.Errorf("%+v", link)
	}
}
