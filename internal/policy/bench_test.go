package policy

import (
	"fmt"
	"testing"
)

// BenchmarkMerge sets our statements in a key policy near the 32 KB that KMS
// stores.
func BenchmarkMerge(b *testing.B) {
	var existing Document
	for i := range 150 {
		existing.Statements = append(existing.Statements, Statement{
			Sid: fmt.Sprintf("Foreign%03d", i), Effect: "Allow", Principal: Principal{"AWS": {fmt.Sprintf("arn:aws:iam::%012d:root", i)}},
			Action: Values{"kms:Decrypt", "kms:DescribeKey"}, Resource: Values{"*"},
		}.raw())
	}
	b.SetBytes(int64(len(existing.String())))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := openPolicy().Merge(&existing, nil); err != nil {
			b.Fatal(err)
		}
	}
}
