package report_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/record/report"
	"github.com/orgami/packer-plugin-orgami/internal/record/report/example"
	"github.com/orgami/packer-plugin-orgami/test/golden"
)

func write(t *testing.T, r report.Report) string {
	t.Helper()
	var page bytes.Buffer
	if err := report.Write(&page, r); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

func TestGolden(t *testing.T) {
	golden.Compare(t, "small.html", []byte(write(t, example.Of(4, 3))))
}

// An empty report has a note about that.
func TestEmpty(t *testing.T) {
	page := write(t, report.Report{Name: "golden", At: time.Unix(0, 0)})
	for _, part := range []string{"Not published: 1 error", "ended before it had a plan", "No key was found or created"} {
		if !strings.Contains(page, part) {
			t.Errorf("%s is missing", part)
		}
	}
}

// A link that is broken in one account is reported for that account, in the
// list too.
func TestOneAccount(t *testing.T) {
	links := []evaluate.Link{{Name: "grant", Outcome: evaluate.Fails, Because: "no grant for {account}", Remedy: "aws grant {account}", Note: "with credentials of the account {account}"}}
	matrix := evaluate.Matrix{
		{Region: "eu-west-1", Launcher: "Karpenter", Outcome: evaluate.Fails, Accounts: []string{"222222222222"}, Links: links},
		{Region: "us-east-1", Launcher: "Karpenter", Outcome: evaluate.Fails, Accounts: []string{"333333333333", "444444444444"}, Links: links},
	}
	page := write(t, report.Report{Launches: matrix})
	for _, part := range []string{
		"with credentials of the account 222222222222:</p><pre tabindex=\"0\"><code>aws grant 222222222222</code>",
		"No grant for ACCOUNT", "for account in 333333333333 444444444444; do (export AWS_PROFILE=&#34;$account&#34;; aws grant &#34;$account&#34;); done</code>",
	} {
		if !strings.Contains(page, part) {
			t.Errorf("%s is missing", part)
		}
	}
	list, _, _ := strings.Cut(page, "<script")
	if strings.Contains(list, evaluate.Placeholder) {
		t.Error("a placeholder is shown")
	}
	if links[0].Remedy != "aws grant {account}" {
		t.Error("the matrix was changed")
	}
}

// The assumptions of the checks are shown next to their figures.
func TestAssumptions(t *testing.T) {
	page := write(t, report.Report{Assumptions: []evaluate.Assumption{{Link: "scp", Text: "no <policy> denies it"}}})
	if !strings.Contains(page, "<li>no &lt;policy&gt; denies it</li>") {
		t.Error("the assumption is missing")
	}
}

// Content of tags, names and policies is always text.
func TestEscapes(t *testing.T) {
	const evil = `</script><img src=x onerror=alert(1)>"'&` + "\u2028"
	page := write(t, report.Report{
		Name: evil, Account: evil, Organization: evil, Errors: []string{evil},
		Key: report.Key{ID: evil, Alias: evil, Primary: evil, ARNs: map[string]string{evil: evil}}, Images: map[string]string{evil: evil},
		Parameters:    map[string]report.Parameter{evil: {ARN: evil, SharedWith: []string{evil, evil}}},
		Launches:      evaluate.Matrix{{Region: evil, Launcher: evil, Outcome: evaluate.Fails, Accounts: []string{evil}, Links: []evaluate.Link{{Name: evil, Outcome: evaluate.Fails, Because: evil, Remedy: evil}}}},
		CanaryAccount: evil, Canaries: []report.Canary{{Region: evil, Launcher: evil, Outcome: evil, InstanceID: evil, Reason: evil}},
		Changes: []change.Change{{Kind: evil, Action: evil, Region: evil, ID: evil, Detail: evil}},
	})
	if strings.Contains(page, "<img") || strings.Count(page, "</script>") != 2 {
		t.Error("something is taken for HTML")
	}
}

var (
	policyPattern = regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`)
	loading       = regexp.MustCompile(`(?i)\b(src|href|action|url)\s*[=(]\s*["']?(https?:)?//`)
)

// The page loads nothing, and its content security policy forbids that.
func TestLoadsNothing(t *testing.T) {
	page := write(t, example.Of(4, 3))
	policy := policyPattern.FindStringSubmatch(page)
	if policy == nil || !strings.HasPrefix(policy[1], "default-src &#39;none&#39;") || strings.Contains(policy[1], "unsafe") {
		t.Errorf("the policy is %q", policy)
	}
	if found := loading.FindString(page); found != "" {
		t.Errorf("it loads %s", found)
	}
}

// The report on 1,000 accounts in 17 Regions is small enough for mail.
func TestSize(t *testing.T) {
	if n := len(write(t, example.Of(1_000, 17))); n > 1_000_000 {
		t.Errorf("%d bytes", n)
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, accounts := range []int{100, 1_000, 5_000} {
		r := example.Of(accounts, 17)
		b.Run(fmt.Sprint(accounts), func(b *testing.B) {
			for b.Loop() {
				var page bytes.Buffer
				if err := report.Write(&page, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
