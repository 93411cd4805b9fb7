package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

const generated = 60 // documents for each property

// generator generates valid key policies that are unlike those that people write.
type generator struct{ *rand.Rand }

func forEachGenerated(t *testing.T, test func(t *testing.T, g generator)) {
	t.Helper()
	for seed := range uint64(generated) {
		if test(t, generator{rand.New(rand.NewPCG(seed, 1))}); t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

// values returns one value, or a list of up to three.
func (g generator) values(from ...string) any {
	if g.IntN(2) == 0 {
		return pick(g, from...)
	}
	list := []string{pick(g, from...)}
	for range g.IntN(3) {
		list = append(list, pick(g, from...))
	}
	return list
}

var someARNs = []string{
	"arn:aws:iam::111111111111:root", "111111111111", "arn:aws:iam::222222222222:root", "333333333333",
	"arn:aws:iam::111111111111:role/audit", "arn:aws:iam::222222222222:user/path/Ann", "AIDACKCEVSQ6C2EXAMPLE",
}

func (g generator) principal() any {
	switch g.IntN(6) {
	case 0:
		return "*"
	case 1:
		return map[string]any{"AWS": g.values("*")}
	case 2:
		return map[string]any{"Service": g.values("ec2.amazonaws.com", "logs.eu-west-1.amazonaws.com")}
	case 3:
		return map[string]any{"AWS": g.values(someARNs...), "Service": "delivery.logs.amazonaws.com"}
	default:
		return map[string]any{"AWS": g.values(someARNs...)}
	}
}

func (g generator) condition() map[string]any {
	condition := map[string]any{}
	for range g.IntN(3) {
		keys := map[string]any{}
		switch operator := pick(g, "StringEquals", "StringLike", "ForAnyValue:StringLike", "StringNotEquals", "Bool", "NumericLessThan", "Null"); operator {
		case "Bool", "Null":
			keys["kms:GrantIsForAWSResource"] = pick[any](g, true, "true", []any{"true"}, false)
			condition[operator] = keys
		case "NumericLessThan":
			keys["aws:MultiFactorAuthAge"] = pick[any](g, 3600, "3600", []any{60, "120"})
			condition[operator] = keys
		default:
			keys[pick(g, "aws:PrincipalOrgID", "AWS:principalorgid")] = g.values("o-exampleorgid", "o-anotherorg1")
			keys["kms:ViaService"] = g.values("ec2.*.amazonaws.com", "rds.eu-west-1.amazonaws.com")
			condition[operator] = keys
		}
	}
	return condition
}

// statement generates one statement. number makes its Sid, if it has one,
// unique.
func (g generator) statement(number int) map[string]any {
	s := map[string]any{"Effect": pick(g, "Allow", "Allow", "Deny")}
	if g.IntN(3) > 0 {
		s["Sid"] = fmt.Sprintf("%s%d", pick(g, "Foreign", "AllowKeyAdministrationOf", "<b>&é"), number)
	}
	s[pick(g, "Principal", "Principal", "Principal", "NotPrincipal")] = g.principal()
	s[pick(g, "Action", "Action", "NotAction")] = g.values("kms:*", "kms:Decrypt", "kms:ReEncrypt*", "KMS:describekey", "kms:ScheduleKeyDeletion")
	s[pick(g, "Resource", "Resource", "Resource", "NotResource")] = g.values("*", "arn:aws:kms:*:111111111111:key/*")
	if condition := g.condition(); len(condition) > 0 {
		s["Condition"] = condition
	}
	return s
}

// document returns a key policy of foreign statements. Some have one of our Sids and
// other content.
func (g generator) document(t *testing.T) Document {
	t.Helper()
	var statements []any
	for n := range 1 + g.IntN(6) {
		statements = append(statements, g.statement(n))
	}
	for _, sid := range []string{SidOwner, SidOrganization, SidAccounts, SidAdministrators} {
		if g.IntN(4) == 0 {
			s := g.statement(0)
			s["Sid"] = sid
			statements = append(statements, s)
		}
	}
	if g.IntN(8) == 0 { // near the limit, or beyond
		for n := range 20 {
			s := g.statement(100 + n)
			s["Sid"] = fmt.Sprintf("Padding%d%s", n, strings.Repeat("x", 600+g.IntN(1200)))
			statements = append(statements, s)
		}
	}
	g.Shuffle(len(statements), func(i, j int) { statements[i], statements[j] = statements[j], statements[i] })
	wire := map[string]any{"Statement": statements}
	if len(statements) == 1 && g.IntN(2) == 0 {
		wire["Statement"] = statements[0]
	}
	if g.IntN(3) > 0 {
		wire["Version"] = pick(g, "2012-10-17", "2008-10-17")
	}
	if g.IntN(2) == 0 {
		wire["Id"] = "key-default-1"
	}
	return mustParse(t, g.text(t, wire))
}

// text returns JSON with varying white space and escapes.
func (g generator) text(t *testing.T, wire any) string {
	t.Helper()
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(g.IntN(2) == 0)
	encoder.SetIndent("", pick(g, "", " ", "\t"))
	if err := encoder.Encode(wire); err != nil {
		t.Fatal(err)
	}
	return buffer.String()
}

func (g generator) keyPolicy() KeyPolicy {
	k := openPolicy()
	k.Variant = pick(g, Open, Hardened)
	if g.IntN(2) == 0 {
		k.Administrators = []string{"arn:aws:iam::111111111111:role/key-admin"}
	}
	if g.IntN(2) == 0 {
		k.OrganizationID, k.Accounts = "", []string{"222222222222", "333333333333"}
	}
	if g.IntN(3) == 0 {
		k.OrganizationPaths = []string{"o-exampleorgid/*/ou-ab12-11111111/*"}
	}
	if g.IntN(3) == 0 {
		k.GrantRoles, k.GrantOperations = []string{"aws-service-role/x"}, []string{"Decrypt"}
	}
	return k
}

// TestMergeProperties checks that merging into any key policy keeps every
// foreign statement byte for byte, makes nothing public, keeps the owner's
// administration, stays within KMS's limit, and changes nothing when it is
// repeated.
func TestMergeProperties(t *testing.T) {
	tooLarge, nearLimit := 0, 0
	forEachGenerated(t, func(t *testing.T, g generator) {
		existing, k := g.document(t), g.keyPolicy()
		before := existing.String()
		merged, err := k.Merge(&existing, nil)
		if existing.String() != before {
			t.Errorf("merging changed its input to %s", existing)
		}
		if err != nil {
			if tooLarge++; !strings.Contains(err.Error(), "at most 32768") {
				t.Errorf("error is %v", err)
			}
			return
		}
		if size := len(merged.String()); size > MaxKeyPolicySize {
			t.Errorf("the merged policy is %d bytes", size)
		} else if size > MaxKeyPolicySize/2 {
			nearLimit++
		}
		checkForeignKept(t, existing, merged)
		stored := mustParse(t, merged.String())
		if !Equal(stored, merged) {
			t.Errorf("%s\nreads back as\n%s", merged, stored)
		}
		again, err := k.Merge(&stored, nil)
		if err != nil || again.String() != merged.String() {
			t.Errorf("merging again: %v\n%s\n%s", err, merged, again)
		}
		if newly := newlyOpen(existing, merged); len(newly) > 0 {
			t.Errorf("opened to the world: %v", newly)
		}
		if !merged.administeredBy(k.Owner) {
			t.Errorf("the owner does not administer %s", merged)
		}
	})
	if tooLarge == 0 || nearLimit == 0 {
		t.Errorf("%d policies were too large, %d near the limit: the generator is too tame", tooLarge, nearLimit)
	}
}

func checkForeignKept(t *testing.T, existing, merged Document) {
	t.Helper()
	at := 0
	for _, raw := range existing.Statements {
		if isOurs(sidOf(raw)) {
			continue
		}
		i := slices.IndexFunc(merged.Statements[at:], func(m json.RawMessage) bool { return bytes.Equal(m, raw) })
		if i < 0 {
			t.Errorf("the statement %s is lost, changed or moved", raw)
			continue
		}
		at += i + 1
	}
	if merged.ID != existing.ID || merged.Version != existing.Version {
		t.Errorf("Id and Version are %q and %q", merged.ID, merged.Version)
	}
}

// newlyOpen names the statements in merged that are public: all of ours, and the
// foreign ones that weren't public before.
func newlyOpen(existing, merged Document) []string {
	open := func(d Document) map[string]bool {
		found := map[string]bool{}
		for _, raw := range d.Statements {
			if s, err := parseStatement(raw); err == nil && s.public() {
				found[canonicalStatement(raw)] = true
			}
		}
		return found
	}
	before := open(existing)
	after := open(merged)
	maps.DeleteFunc(after, func(statement string, _ bool) bool { return before[statement] })
	return slices.Sorted(maps.Keys(after))
}

// TestEqualProperties checks that Equal is an equivalence, documents that it calls
// equal have one digest, and writing one differently does not make it another.
func TestEqualProperties(t *testing.T) {
	forEachGenerated(t, func(t *testing.T, g generator) {
		a, b, c := g.document(t), g.document(t), g.document(t)
		rewritten := g.rewrite(t, a)
		twice := g.rewrite(t, rewritten)
		if !Equal(a, a) || !Equal(a, rewritten) || !Equal(rewritten, a) || !Equal(a, twice) {
			t.Errorf("%s\nis not equal to\n%s", a, rewritten)
		}
		for _, pair := range [][2]Document{{a, b}, {b, c}, {a, c}, {rewritten, b}} {
			if Equal(pair[0], pair[1]) != Equal(pair[1], pair[0]) || Equal(pair[0], pair[1]) != (pair[0].Digest() == pair[1].Digest()) {
				t.Errorf("%s\nand\n%s\nare equal one way only, or not by digest", pair[0], pair[1])
			}
		}
		if Equal(a, b) != Equal(rewritten, b) || Equal(a, b) && Equal(b, c) && !Equal(a, c) {
			t.Errorf("equality is not transitive between\n%s\n%s\n%s", a, b, c)
		}
		if less := a; len(less.Statements) > 1 {
			less.Statements = less.Statements[1:]
			if Equal(a, less) {
				t.Errorf("%s is equal without its first statement", a)
			}
		}
	})
}

// rewrite returns an equivalent document, as KMS does.
func (g generator) rewrite(t *testing.T, d Document) Document {
	t.Helper()
	var statements []any
	for _, raw := range d.Statements {
		var s map[string]any
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		statements = append(statements, g.reword(s))
	}
	g.Shuffle(len(statements), func(i, j int) { statements[i], statements[j] = statements[j], statements[i] })
	wire := map[string]any{"Statement": statements, "Id": "another"}
	if len(statements) == 1 && g.IntN(2) == 0 {
		wire["Statement"] = statements[0]
	}
	if d.Version != "" {
		wire["Version"] = d.Version
	}
	return mustParse(t, g.text(t, wire))
}

// reword changes single values into lists and back, the order of lists, and the
// two names of an account.
func (g generator) reword(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			switch text, isText := inner.(string); {
			case key == "Sid" || key == "Effect":
			case isText && text == "*" && strings.HasSuffix(key, "Principal"):
				v[key] = pick[any](g, "*", map[string]any{"AWS": "*"}, map[string]any{"AWS": []any{"*"}})
			case isText && g.IntN(2) == 0:
				v[key] = []any{g.reword(text)}
			default:
				v[key] = g.reword(inner)
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = g.reword(v[i])
		}
		g.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
		if len(v) == 1 && g.IntN(2) == 0 {
			return v[0]
		}
		return v
	case string:
		if account, ok := rootAccount(v); ok && g.IntN(2) == 0 {
			return account
		}
		return v
	default:
		return v
	}
}
