package grant

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
	"github.com/orgami/packer-plugin-orgami/internal/text"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

const region = "eu-west-1"

// world is a simulated AWS with one key, and answers that a test can change.
type world struct {
	sim    *awssim.World
	key    string // ARN
	client *kms.Client
	sign   *awsclient.Clients
	alter  func(operation string, body []byte) []byte
}

func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim, err := awssim.New(awssim.DefaultWorld(), awssim.Options{Latency: 50 * time.Millisecond, PropagationLag: 3 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{sim: sim}
		id, secret := sim.AccessKey(awssim.PublishingAccount)
		config := aws.Config{Region: region, HTTPClient: &http.Client{Transport: w}, Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")}
		w.sign = awsclient.New(config)
		w.client = w.sign.KMS(region)
		answer, err := w.client.CreateKey(t.Context(), &kms.CreateKeyInput{Policy: aws.String(membersPolicy)})
		if err != nil {
			t.Fatal(err)
		}
		w.key = *answer.KeyMetadata.Arn
		f(t, w)
	})
}

// membersPolicy lets every account of the organization use the key and create grants.
const membersPolicy = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + awssim.PublishingAccount + `:root"},"Action":"kms:*","Resource":"*"},
	{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["kms:CreateGrant","kms:DescribeKey"],"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"` + awssim.OrganizationID + `"}}}]}`

// members assumes roles, one session each.
func (w *world) members() Members {
	var mu sync.Mutex
	sessions := map[string]aws.CredentialsProvider{}
	return func(role string) aws.CredentialsProvider {
		mu.Lock()
		defer mu.Unlock()
		if sessions[role] == nil {
			sessions[role] = w.sign.Credentials(awsclient.AssumeRole{RoleARN: role})
		}
		return sessions[role]
	}
}

// RoundTrip lets alter replace the bodies of successful responses.
func (w *world) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := w.sim.Client().Transport.RoundTrip(request)
	if err != nil || w.alter == nil || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	_, operation, _ := strings.Cut(request.Header.Get("X-Amz-Target"), ".")
	body = w.alter(operation, body)
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return answer, nil
}

func (w *world) clients(string) *kms.Client { return w.client }

func (w *world) keyARN(string) string { return w.key }

func (w *world) desired() Desired {
	return Desired{
		Partition: "aws", Owner: awssim.PublishingAccount, Accounts: awssim.MemberAccounts()[:2], Roles: DefaultRoles[:2],
		Regions: []string{region}, MemberRole: awssim.GrantRole,
	}
}

func (w *world) plan(t *testing.T, d Desired) Plan {
	t.Helper()
	observed, err := Read(t.Context(), w.clients, map[string]string{region: w.key})
	if err != nil {
		t.Fatal(err)
	}
	return Diff(d, observed, w.keyARN)
}

func (w *world) count(operation string) int {
	n := 0
	for _, entry := range w.sim.Journal() {
		if entry.Operation == operation {
			n++
		}
	}
	return n
}

func quiet() progress.Reporter { return progress.Reporter{Info: func(string) {}} }

// TestCreatesAndPrunes checks that grants are created immediately although the key
// isn't visible yet, that another run creates none, and that the grants of an account
// that left are revoked.
func TestCreatesAndPrunes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		result, err := Diff(w.desired(), Observed{}, w.keyARN).Apply(t.Context(), w.clients, w.members(), quiet())
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range result.Grants() {
			if g.Status != Created || g.GrantID == "" {
				t.Errorf("grant %+v", g)
			}
		}
		w.sim.ResetJournal()
		plan := w.plan(t, w.desired())
		again, err := plan.Apply(t.Context(), w.clients, w.members(), quiet())
		if err != nil || w.count("CreateGrant") > 0 || len(again.Grants()) != 4 || again.Grants()[0].Status != Exists || again.Grants()[0].GrantID != result.Grants()[0].GrantID {
			t.Errorf("another run: %v, %+v", err, again.Grants())
		}
		d := w.desired()
		d.Accounts, d.Prune = d.Accounts[:1], true
		plan = w.plan(t, d)
		revoked, err := plan.Prune(t.Context(), w.clients, quiet())
		if err != nil || len(plan.Stale()) != 2 || len(revoked) != 2 || !strings.Contains(revoked[0].Grantee, awssim.MemberAccounts()[1]) {
			t.Errorf("revoked %+v, %v", revoked, err)
		}
		if plan := w.plan(t, d); len(plan.Stale()) > 0 || plan.creates() {
			t.Errorf("left are %+v", plan.Stale())
		}
	})
}

// TestQuotaInThePlan checks that the plan reports grants that don't fit on a key before
// any is created.
func TestQuotaInThePlan(t *testing.T) {
	for name, test := range map[string]struct {
		have       int
		memberRole string
		blocks     bool
	}{
		"one too many":            {49_997, "GrantMaker", true},
		"just enough":             {49_996, "GrantMaker", false},
		"a quota that AWS raised": {50_001, "GrantMaker", false},
		"created by the accounts": {49_997, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := world{key: "arn:aws:kms:eu-west-1:111111111111:key/mrk-1"}
			d := w.desired()
			d.MemberRole = test.memberRole
			plan := Diff(d, Observed{total: map[string]int{region: test.have}}, w.keyARN)
			if got := change.Blocking(plan.Findings()); (got != nil) != test.blocks {
				t.Errorf("findings: %v", got)
			}
			if !test.blocks {
				return
			}
			finding := plan.Findings()[0].Text
			for _, says := range []string{"eu-west-1", text.Number(test.have) + " grants", "4 more are planned", "50,000 grants on a key"} {
				if !strings.Contains(finding, says) {
					t.Errorf("the finding doesn't say %q: %s", says, finding)
				}
			}
			result, err := plan.Apply(t.Context(), func(string) *kms.Client { t.Error("KMS was called"); return nil }, nil, quiet())
			if err == nil || result.Grants()[0].Status != d.missing(d.Accounts[0]) {
				t.Errorf("applied: %v", err)
			}
		})
	}
}

// TestFullKey checks that LimitExceededException ends the work in the Region
// immediately, without retries, and as one error.
func TestFullKey(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		time.Sleep(time.Minute)
		w.sim.Inject(awssim.Fault{
			Operation: "CreateGrant", Kind: awssim.CustomError, Times: -1,
			Error: &awssim.Error{Status: http.StatusBadRequest, Code: "LimitExceededException", Message: "Too many grants"},
		})
		d := w.desired()
		for i := range 50 { // roles of one account, whose session the sim knows
			d.Roles = append(d.Roles, fmt.Sprintf("role-%d", i))
		}
		start := time.Now()
		_, err := w.plan(t, d).Apply(t.Context(), w.clients, w.members(), quiet())
		if err == nil || strings.Count(err.Error(), "LimitExceededException") != 1 {
			t.Fatalf("error is %v", err)
		}
		for _, says := range []string{w.key, "in eu-west-1 is full", "50,000 grants", "aws kms list-grants --region eu-west-1 --key-id " + w.key} {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("the error doesn't say %q: %v", says, err)
			}
		}
		if n, took := w.count("CreateGrant"), time.Since(start); n > 2*accountsAtOnce || took > 5*time.Second {
			t.Errorf("%d calls in %v", n, took)
		}
	})
}

// TestIncompleteAnswers checks that a listed grant without its ID, grantee or
// operations is an error, and that a created one without an ID is found by reading
// back.
func TestIncompleteAnswers(t *testing.T) {
	for name, entry := range map[string]string{
		"{}":                 `{}`,
		"without ID":         `{"GranteePrincipal":"arn:aws:iam::222222222222:role/x","Operations":["Decrypt"]}`,
		"without a grantee":  `{"GrantId":"g","Operations":["Decrypt"]}`,
		"without operations": `{"GrantId":"g","GranteePrincipal":"arn:aws:iam::222222222222:role/x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				time.Sleep(time.Minute)
				w.alter = func(operation string, body []byte) []byte {
					if operation == "ListGrants" {
						return []byte(`{"Grants":[` + entry + `],"Truncated":false}`)
					}
					return body
				}
				_, err := Read(t.Context(), w.clients, map[string]string{region: w.key})
				for _, says := range []string{"KMS ListGrants", w.key, "eu-west-1", "without GrantId"} {
					if err == nil || !strings.Contains(err.Error(), says) {
						t.Errorf("the error doesn't say %q: %v", says, err)
					}
				}
			})
		})
	}
	for _, body := range []string{"{}", ""} {
		t.Run("CreateGrant "+body, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.alter = func(operation string, original []byte) []byte {
					if operation == "CreateGrant" {
						return []byte(body)
					}
					return original
				}
				result, err := Diff(w.desired(), Observed{}, w.keyARN).Apply(t.Context(), w.clients, w.members(), quiet())
				if err != nil {
					t.Fatal(err)
				}
				for _, g := range result.Grants() {
					if g.Status != Created || g.GrantID == "" {
						t.Errorf("grant %+v", g)
					}
				}
			})
		})
	}
}

// TestReadingBackEnds checks that the wait ends if grants never become visible, or
// never disappear.
func TestReadingBackEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		time.Sleep(time.Minute)
		w.alter = func(operation string, body []byte) []byte {
			if operation == "ListGrants" {
				return []byte(`{"Grants":[]}`)
			}
			return body
		}
		start := time.Now()
		_, err := Diff(w.desired(), Observed{}, w.keyARN).Apply(t.Context(), w.clients, w.members(), quiet())
		if took := time.Since(start); err == nil || !strings.Contains(err.Error(), "4 of 4 grants are not listed yet") || took > 11*time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
		w.alter = nil
		time.Sleep(time.Minute)
		d := w.desired()
		d.Accounts, d.Prune = nil, true
		plan := w.plan(t, d)
		var list []byte
		w.alter = func(operation string, body []byte) []byte {
			if operation != "ListGrants" {
				return body
			}
			if list == nil {
				list = body
			}
			return list
		}
		_, _ = Read(t.Context(), w.clients, map[string]string{region: w.key}) // what it was before
		start = time.Now()
		revoked, err := plan.Prune(t.Context(), w.clients, quiet())
		if took := time.Since(start); err == nil || len(revoked) > 0 || !strings.Contains(err.Error(), "4 of 4 revoked grants are still listed") || took > 11*time.Minute {
			t.Errorf("after %v: %v, %v", took, revoked, err)
		}
	})
}

// TestKeyNotVisibleWhilePruning checks that an endpoint that doesn't know the key yet
// doesn't end the wait for revoked grants.
func TestKeyNotVisibleWhilePruning(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if _, err := Diff(w.desired(), Observed{}, w.keyARN).Apply(t.Context(), w.clients, w.members(), quiet()); err != nil {
			t.Fatal(err)
		}
		d := w.desired()
		d.Accounts, d.Prune = nil, true
		plan := w.plan(t, d)
		w.sim.Inject(awssim.Fault{Operation: "ListGrants", Kind: awssim.Stale, Behind: time.Hour})
		revoked, err := plan.Prune(t.Context(), w.clients, quiet())
		if err != nil || len(revoked) != 4 {
			t.Errorf("revoked %d grants, %v", len(revoked), err)
		}
	})
}

// TestOurName checks that a grant is ours if it has the name that this plugin gives to
// its grantee.
func TestOurName(t *testing.T) {
	role := DefaultRoles[0]
	name := Name("222222222222", role)
	if name != "orgami/222222222222/AWSServiceRoleForAutoScaling-8c542ba5" {
		t.Errorf("the name of a grant has changed: %s", name)
	}
	for grantee, ours := range map[string]bool{
		"arn:aws:iam::222222222222:role/" + role:            true,
		"arn:aws-cn:iam::222222222222:role/" + role:         true,
		"arn:aws:iam::333333333333:role/" + role:            false,
		"arn:aws:iam::222222222222:role/" + DefaultRoles[1]: false,
		"AROAEXAMPLEEXAMPLE123":                             true, // deleted
		"autoscaling.amazonaws.com":                         false,
		"":                                                  false,
	} {
		if got := ourName(name, grantee) == name; got != ours {
			t.Errorf("ours with grantee %q: %v", grantee, got)
		}
		if got := ourName(replacedName(name), grantee) == replacedName(name); got != ours {
			t.Errorf("the replacement is ours with grantee %q: %v", grantee, got)
		}
	}
}

// ownerGrant creates one of our grants for the role, with the owner's credentials.
func (w *world) ownerGrant(t *testing.T, g Grant) string {
	t.Helper()
	answer, err := w.client.CreateGrant(t.Context(), &kms.CreateGrantInput{KeyId: &w.key, GranteePrincipal: &g.Role, Name: &g.Name, Operations: grantOperations(g.Operations)})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
	return *answer.GrantId
}

// TestPruneOrder checks that a grant that the owner created for a member's role is
// revoked only after KMS lists the one that the member created, whatever the plan
// expected.
func TestPruneOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		time.Sleep(time.Minute)
		d := w.desired()
		d.Accounts, d.Roles, d.Prune, d.MemberRole = d.Accounts[:1], d.Roles[:1], true, ""
		owners := w.ownerGrant(t, d.Grants(w.keyARN)[0])
		plan := w.plan(t, d)
		if g := plan.Grants()[0]; g.Status != ToCreate || !strings.Contains(g.Reason, owners+" was created by account "+awssim.PublishingAccount) {
			t.Errorf("the plan has %+v", g)
		}
		if revoked, err := plan.Prune(t.Context(), w.clients, quiet()); err != nil || len(revoked) > 0 {
			t.Errorf("revoked %v before the member created its grant, %v", revoked, err)
		}
		d.MemberRole = awssim.GrantRole
		plan = w.plan(t, d)
		if revoked, err := plan.Prune(t.Context(), w.clients, quiet()); err != nil || len(revoked) > 0 {
			t.Errorf("revoked %v before the grant was created, %v", revoked, err)
		}
		result, err := plan.Apply(t.Context(), w.clients, w.members(), quiet())
		if err != nil || result.Grants()[0].Status != Created || result.Grants()[0].GrantID == owners {
			t.Fatalf("created %+v, %v", result.Grants(), err)
		}
		revoked, err := plan.Prune(t.Context(), w.clients, quiet())
		if err != nil || len(revoked) != 1 || revoked[0].GrantID != owners {
			t.Errorf("revoked %+v, %v", revoked, err)
		}
		if plan = w.plan(t, d); plan.Grants()[0].Status != Exists || plan.Grants()[0].Name != result.Grants()[0].Name || len(plan.Stale()) > 0 {
			t.Errorf("afterwards: %+v, stale %+v", plan.Grants(), plan.Stale())
		}
	})
}

// TestMembersInParallel checks that the accounts' grants are created in parallel, each
// account with one session, and that a role that can't be assumed is named and stops no
// other account.
func TestMembersInParallel(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		time.Sleep(time.Minute)
		d := w.desired()
		d.Accounts = append(awssim.MemberAccounts(), "877777777777") // which doesn't exist
		result, err := w.plan(t, d).Apply(t.Context(), w.clients, w.members(), quiet())
		if err == nil || strings.Count(err.Error(), "can't assume arn:aws:iam::877777777777:role/"+awssim.GrantRole) != 1 {
			t.Errorf("error is %v", err)
		}
		for _, g := range result.Grants() {
			if want := map[bool]Status{true: Planned, false: Created}[g.Account == "877777777777"]; g.Status != want {
				t.Errorf("the grant of %s is %s", g.Account, g.Status)
			}
		}
		if n := w.count("AssumeRole"); n != len(d.Accounts) {
			t.Errorf("%d sessions for %d accounts", n, len(d.Accounts))
		}
	})
}
