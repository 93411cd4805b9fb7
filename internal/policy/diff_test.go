package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiffLines(t *testing.T) {
	parse := func(text string) Document {
		t.Helper()
		document, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return document
	}
	before := parse(`{"Version":"2012-10-17","Statement":[{"Sid":"Same","Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"kms:*","Resource":"*"},
		{"Sid":"Goes\u001b[31m","Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}]}`)
	after := parse(`{"Version":"2012-10-17","Statement":[{"Sid":"Same","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111111111111:root"]},"Action":["kms:*"],"Resource":"*"},
		{"Sid":"Comes","Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":["kms:Decrypt","kms:DescribeKey"],"Resource":"*"}]}`)
	want := []string{
		`- {"Sid": "Goes\u001b[31m", "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}`,
		`+ {"Sid": "Comes", "Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": ["kms:Decrypt", "kms:DescribeKey"], "Resource": "*"}`,
	}
	if diff := cmp.Diff(want, DiffLines(before, after)); diff != "" {
		t.Error(diff)
	}
	if lines := DiffLines(before, before); len(lines) > 0 {
		t.Errorf("a policy differs from itself: %s", strings.Join(lines, "\n"))
	}
}
