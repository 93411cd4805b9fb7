package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// kmsActions are all actions of KMS. Most are operations of its API, with
// which a test compares them. (Service authorization reference, AWS KMS).
var kmsActions = strings.Fields(`
	CancelKeyDeletion ConnectCustomKeyStore CreateAlias CreateCustomKeyStore CreateGrant CreateKey Decrypt
	Decapsulate DeleteAlias DeleteCustomKeyStore DeleteImportedKeyMaterial DeriveSharedSecret DescribeCustomKeyStores
	DescribeKey DisableKey DisableKeyRotation DisconnectCustomKeyStore EnableKey EnableKeyRotation
	Encapsulate Encrypt
	GenerateDataKey GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext GenerateDataKeyWithoutPlaintext
	GenerateMac GenerateRandom GetKeyLastUsage GetKeyPolicy GetKeyRotationStatus GetParametersForImport GetPublicKey
	ImportKeyMaterial ListAliases ListGrants ListKeyPolicies ListKeyRotations ListKeys ListResourceTags
	ListRetirableGrants PutKeyPolicy ReEncryptFrom ReEncryptTo ReplicateKey RetireGrant RevokeGrant
	RotateKeyOnDemand ScheduleKeyDeletion Sign SynchronizeMultiRegionKey TagResource UntagResource
	UpdateAlias UpdateCustomKeyStore UpdateKeyDescription UpdatePrimaryRegion Verify VerifyMac`)

func (l *linter) actions() {
	for _, action := range slices.Concat(l.Action, l.NotAction) {
		if action == "*" {
			continue
		}
		service, name, found := strings.Cut(action, ":")
		switch {
		case !found:
			l.found(l.spelled(action)+" has no service prefix", "write kms:"+l.spelled(action))
		case !Match(service, "kms"):
			l.found(fmt.Sprintf("%s is an action of another service, which a key policy can't allow", l.spelled(action)), "move it to an IAM policy")
		case !slices.ContainsFunc(kmsActions, func(known string) bool { return Match(name, strings.ToLower(known)) }):
			l.unknownAction(action, name)
		}
	}
}

func (l *linter) unknownAction(action, name string) {
	problem := l.spelled(action) + " is not an action of KMS"
	if strings.ContainsAny(name, "*?") {
		problem = l.spelled(action) + " matches no action of KMS"
	}
	correction := "write kms:" + nearest(name, kmsActions)
	if name == "reencrypt" {
		correction = "write kms:ReEncryptFrom and kms:ReEncryptTo, or kms:ReEncrypt*"
	}
	l.found(problem, correction)
}

// nearest returns the name with the smallest edit distance.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return edits(name, a) - edits(name, b) })
}

func edits(a, b string) int {
	return levenshtein.Distance(strings.ToLower(a), strings.ToLower(b), nil)
}
