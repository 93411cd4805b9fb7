package kmskey

import (
	"fmt"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// checkPolicy lists why a policy must not be written, or why KMS would reject it. It
// applies to every policy before CreateKey, ReplicateKey and PutKeyPolicy, whoever
// wrote its statements. [Diff] checks planned policies, and mergePolicy checks the
// policy that it is about to write instead. Fact: KMS-KEY-1, KMS-KEY-11.
func checkPolicy(document policy.Document) []string {
	problems := document.Problems()
	if deleted := document.DeletedPrincipals(); len(deleted) > 0 {
		problems = append(problems, fmt.Sprintf("it names deleted principals (%s), and KMS rejects such policies. Remove them from the policy, then run again", strings.Join(deleted, ", ")))
	}
	return problems
}

// cannotSet begins a sentence about a policy that can't be written.
func cannotSet(key, region string, create bool) string {
	if create {
		return fmt.Sprintf("cannot set the policy of the new key in %s", region)
	}
	return fmt.Sprintf("cannot update the policy of key %s in %s", key, region)
}
