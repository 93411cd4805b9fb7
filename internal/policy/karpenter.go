package policy

import (
	"encoding/json"
	"fmt"
)

// Karpenter returns the IAM policy that lets a role of any account launch,
// through EC2, from an AMI that is encrypted with the key. Karpenter's role
// needs this policy in each account. wildcardKeyARN is the key's ARN with * for
// the Region: the ARNs of the regional keys of a multi-Region key differ only
// in the Region. Fact: KMS-MRK-4.
//
// kms:CreateGrant has its own statement, which allows it for AWS resources
// only. EC2 creates a grant on the caller's behalf when it attaches an
// encrypted volume, and without that grant a launch fails. Fact: LAUNCH-2,
// LAUNCH-4.
func Karpenter(partition, wildcardKeyARN string) Document {
	viaEC2 := Condition{"StringLike": {"kms:ViaService": {EC2ViaService(partition)}}}
	return NewDocument(
		Statement{
			Sid: "AllowKMSViaEBS", Effect: "Allow", Action: useActions,
			Resource: Values{wildcardKeyARN}, Condition: viaEC2,
		},
		Statement{
			Sid: "AllowKMSGrantsViaEBS", Effect: "Allow", Action: Values{"kms:CreateGrant"},
			Resource:  Values{wildcardKeyARN},
			Condition: and(viaEC2, Condition{"Bool": {"kms:GrantIsForAWSResource": {"true"}}}),
		},
	)
}

// NewDocument is the policy document of the statements, in their order.
func NewDocument(statements ...Statement) Document {
	document := Document{Version: version}
	for _, s := range statements {
		document.Statements = append(document.Statements, s.raw())
	}
	return document
}

// WildcardKeyARN is the ARN of all regional keys of a multi-Region key.
func WildcardKeyARN(partition, owner, keyID string) string {
	return KeyARN(partition, "*", owner, keyID)
}

// KeyARN is the ARN of a regional key.
func KeyARN(partition, region, owner, keyID string) string {
	return fmt.Sprintf("arn:%s:kms:%s:%s:key/%s", partition, region, owner, keyID)
}

// MarshalJSON writes the document as [Document.String] does.
func (d Document) MarshalJSON() ([]byte, error) { return json.RawMessage(d.String()), nil }
