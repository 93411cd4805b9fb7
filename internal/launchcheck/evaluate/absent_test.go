package evaluate_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// Information that was not read, or has an unknown form, never lets a launch
// succeed. The link names what to check.
func TestAbsentIsNotBenign(t *testing.T) {
	snapshots := func(all ...evaluate.Snapshot) func(*scene) {
		return func(s *scene) { s.region.Image.Snapshots = all }
	}
	first := func(alter func(*evaluate.Snapshot)) func(*scene) {
		return func(s *scene) { alter(&s.region.Image.Snapshots[0]) }
	}
	state := func(state string) func(*scene) { return func(s *scene) { s.region.Image.State = state } }
	keyState := func(state string) func(*scene) { return func(s *scene) { s.key.State = state } }
	rows := []ruling{
		{"a snapshot that was not read", first(func(s *evaluate.Snapshot) { *s = evaluate.Snapshot{ID: s.ID} }), evaluate.Inconclusive, "snapshot"},
		{"a snapshot that was not read although its key is known", first(func(s *evaluate.Snapshot) { s.Read = false }), evaluate.Inconclusive, "snapshot"},
		{"a snapshot that was not read beside one that is not encrypted", snapshots(plain("snap-1"), evaluate.Snapshot{ID: "snap-2"}), evaluate.Inconclusive, "snapshot"},
		{"a snapshot that is encrypted, without its key", snapshots(encrypted("snap-1", "")), evaluate.Inconclusive, "snapshot"},
		{"a snapshot that is not encrypted, with a key", first(func(s *evaluate.Snapshot) { s.Encrypted = false }), evaluate.Inconclusive, "snapshot"},
		{"a snapshot without an ID", snapshots(plain("")), evaluate.Inconclusive, "snapshot"},
		{"an image without snapshots", snapshots(), evaluate.Inconclusive, "snapshot"},
		{"an image without snapshots in its owner's account", func(s *scene) { s.inOwnersAccount(); s.region.Image.Snapshots = nil }, evaluate.Inconclusive, "snapshot"},
		{"an image in a state of tomorrow", state("archived"), evaluate.Inconclusive, "image"},
		{"an image in a state in another letter case", state("Available"), evaluate.Inconclusive, "image"},
		{"a key in a state of tomorrow", keyState("Rotating"), evaluate.Inconclusive, "key-state"},
		{"a key that is being updated", keyState("Updating"), evaluate.Inconclusive, "key-state"},
		{"keys of which there are none", func(s *scene) { s.key.ARN, s.region.Keys = "", map[string]evaluate.Key{} }, evaluate.Inconclusive, "key-region"},
		{"a key of which all is empty", func(s *scene) {
			s.region.Keys = map[string]evaluate.Key{s.key.ARN: {}}
			s.key.ARN = ""
		}, evaluate.Inconclusive, "key-state"},
		{"a partition that is not known", func(s *scene) { s.partition = "" }, evaluate.Inconclusive, "image"},
		{"an owner that is not known", func(s *scene) {
			s.region.Image.Organizations, s.region.Image.Owner = nil, ""
		}, evaluate.Inconclusive, "shared"},
		{"an image with a product code", func(s *scene) { s.region.Image.ProductCodes = []string{"abc123def456ghi789"} }, evaluate.Inconclusive, "product-code"},
		{"an image with a product code in its owner's account", func(s *scene) {
			s.inOwnersAccount()
			s.region.Image.ProductCodes = []string{"abc123def456ghi789"}
		}, evaluate.Inconclusive, "product-code"},
		{"a version that is null", func(s *scene) { s.key.Policy = []byte(`{"Version":null,"Statement":[` + to("*") + `]}`) }, evaluate.Inconclusive, "key-policy"},
		{"a policy that is null", func(s *scene) { s.key.Policy = []byte("null") }, evaluate.Inconclusive, "key-policy"},
		{"a policy with no statement", func(s *scene) { s.keyPolicy() }, evaluate.Inconclusive, "key-policy"},
		{"a principal in a variable", func(s *scene) { s.keyPolicy(to("arn:aws:iam::${aws:PrincipalAccount}:root")) }, evaluate.Inconclusive, "key-policy"},
		{"a principal in a list of lists", func(s *scene) { s.keyPolicy(allow + `,"Principal":{"AWS":[["*"]]}}`) }, evaluate.Inconclusive, "key-policy"},
		{"an empty list of principals", func(s *scene) { s.keyPolicy(allow + `,"Principal":{"AWS":[]}}`) }, evaluate.Inconclusive, "key-policy"},
		{"an element in another letter case", func(s *scene) { s.keyPolicy(strings.Replace(to("*"), "Action", "action", 1)) }, evaluate.Inconclusive, "key-policy"},
		{"a key with a name twice, in another letter case", func(s *scene) {
			s.keyPolicy(allow + `,"Principal":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorgid","AWS:PrincipalOrgID":"o-other"}}}`)
		}, evaluate.Inconclusive, "key-policy"},
	}
	check(t, rows)
	for _, r := range rows {
		s := newScene()
		r.alter(s)
		if link, _ := s.verdict().Broken(); link.Remedy == "" {
			t.Errorf("%s: nothing says where to look", r.name)
		}
	}
	check(t, []ruling{
		{"a later link that fails decides", func(s *scene) {
			s.region.Image.Snapshots[0], s.key.State = evaluate.Snapshot{ID: "snap-1"}, "Disabled"
		}, evaluate.Fails, "key-state"},
		{"a product code of an image that is not shared", func(s *scene) {
			s.region.Image.ProductCodes, s.region.Image.Organizations = []string{"abc"}, nil
		}, evaluate.Fails, "shared"},
		{"a Federated principal is not a launcher's role", func(s *scene) {
			s.keyPolicy(allow + `,"Principal":{"Federated":"accounts.google.com"}}`)
		}, evaluate.Fails, "key-policy"},
		{"a denial of a Federated principal is not of a launcher's role", func(s *scene) {
			s.keyPolicy(to("*"), strings.Replace(allow, "Allow", "Deny", 1)+`,"Principal":{"Federated":"accounts.google.com"}}`)
		}, evaluate.Launches, ""},
	})
}

// The reason names the snapshot and the command that describes it.
func TestSnapshotsAreNamed(t *testing.T) {
	s := newScene()
	s.region.Image.Snapshots = []evaluate.Snapshot{{ID: "snap-1"}, encrypted("snap-2", ""), plain("snap-3"), {ID: "snap-4"}}
	var got []string
	for _, l := range s.verdict().Links {
		if l.Name == "snapshot" {
			got = append(got, l.Because+"; "+l.Remedy)
		}
	}
	want := []string{
		"the key of snap-1 and snap-4 is not known: not returned by DescribeSnapshots; aws ec2 describe-snapshots --region eu-west-1 --snapshot-ids snap-1 snap-4",
		"the key of snap-2 is not known: encrypted, but returned without a key; aws ec2 describe-snapshots --region eu-west-1 --snapshot-ids snap-2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// For most partitions, EC2's name in calls to KMS isn't confirmed.
func TestUnknownPartitions(t *testing.T) {
	in := func(partition, statement string) func(*scene) {
		return func(s *scene) {
			s.partition = partition
			s.launcher.Policy = document(allow + "}")
			s.keyPolicy(statement)
		}
	}
	named := func(partition string) string {
		return `,"Principal":{"AWS":"arn:` + partition + `:iam::` + member + `:root"}`
	}
	via := func(operator, value string) string {
		return `,"Condition":{"` + operator + `":{"kms:ViaService":"` + value + `"}}}`
	}
	var rows []ruling
	for _, partition := range []string{"aws-iso", "aws-iso-b", "aws-eusc", "aws-of-tomorrow"} {
		rows = append(rows,
			ruling{partition + " without the condition", in(partition, allow+named(partition)+"}"), evaluate.Launches, ""},
			ruling{partition + " with the name of aws", in(partition, allow+named(partition)+via("StringEquals", "ec2.eu-west-1.amazonaws.com")), evaluate.Inconclusive, "key-policy"},
			ruling{partition + " with another name", in(partition, allow+named(partition)+via("StringLike", "ec2.*.c2s.ic.gov")), evaluate.Inconclusive, "key-policy"},
			ruling{partition + " with a contrary", in(partition, allow+named(partition)+via("StringNotEquals", "rds.eu-west-1.amazonaws.com")), evaluate.Inconclusive, "key-policy"},
			ruling{partition + " with nothing for the account", in(partition, allow+`,"Principal":{"AWS":"`+other+`"}`+via("StringEquals", "x")), evaluate.Fails, "key-policy"},
		)
	}
	rows = append(rows, ruling{"aws-us-gov has the name of aws", in("aws-us-gov", allow+named("aws-us-gov")+via("StringEquals", "ec2.eu-west-1.amazonaws.com")), evaluate.Launches, ""})
	check(t, rows)

	s := newScene()
	in("aws-eusc", allow+named("aws-eusc")+via("StringEquals", "x"))(s)
	link, _ := s.verdict().Broken()
	if !strings.Contains(link.Because, "not confirmed for the partition aws-eusc") {
		t.Errorf("%s", link.Because)
	}
	in("aws-eusc", to(other))(s)
	link, _ = s.verdict().Broken()
	if strings.Contains(link.Remedy, "kms:ViaService") || !json.Valid([]byte("["+link.Remedy+"]")) {
		t.Errorf("%s", link.Remedy)
	}
}

// No text from policies or AWS acts on a terminal.
func TestLinksArePrintable(t *testing.T) {
	const evil = "\x1b[2J\u202e\n"
	quoted, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Trim(string(quoted), `"`)
	for _, policy := range []string{
		`{"Sid":"` + text + `","Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*"}`,
		to("*") + `,{"Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"` + text + `":{"a":"b"}}}`,
		allow + `,"Principal":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"` + text + `"}}}`,
		allow + `,"Principal":"*","` + text + `":1}`,
	} {
		s := newScene()
		s.keyPolicy(policy)
		link, _ := s.verdict().Broken()
		if strings.ContainsAny(link.Because+link.Remedy, evil[:1]+"\u202e\n") || !strings.Contains(link.Because, `\x1b[2J\u202e\n`) {
			t.Errorf("%s: %q", policy, link.Because)
		}
	}
}

// Every verdict counts, whatever its outcome.
func TestTotal(t *testing.T) {
	matrix := evaluate.Matrix{
		{Outcome: evaluate.Launches, Accounts: []string{member}},
		{Outcome: evaluate.Fails, Accounts: []string{member, other}},
		{Outcome: evaluate.Inconclusive, Accounts: []string{member}},
		{Outcome: evaluate.Pending, Accounts: []string{member, other, stranger}},
	}
	if matrix.Total() != 7 || matrix.Count(evaluate.Pending) != 3 {
		t.Errorf("%d in all, %d pending", matrix.Total(), matrix.Count(evaluate.Pending))
	}
}
