// Package authz evaluates AWS IAM policy documents: resource policies (KMS key
// policies), role trust policies and identity policies.
//
// It is pure: a [Policy] is parsed once and evaluated against a [Request] that carries
// everything the response depends on. It decides one document at a time. The caller
// combines documents: key policy with identity policy, own account with another
// account, and grants. Fact: KMS-KEY-15, GRANT-9.
//
// # Strictness
//
// Parsing rejects what AWS rejects: unknown elements such as Resources, duplicate keys,
// a statement without an action, a Principal in an identity policy, a partial wildcard
// in a principal. Where AWS documents no behavior, parsing rejects the document.
// Evaluation grants least: an Allow statement doesn't match, and a Deny statement does.
//
// An action that doesn't exist, such as kms:ReEncrypt, is accepted, as in AWS. It
// matches nothing because no request uses it.
//
// The rules are those of the IAM user guide, in "Grammar of the IAM JSON policy
// language", "IAM JSON policy elements: Condition operators", "Multivalued
// context keys", "Policy variables", "AWS JSON policy elements: Principal" and
// "NotPrincipal", and of the KMS developer guide's "Key policies in AWS KMS".
package authz
