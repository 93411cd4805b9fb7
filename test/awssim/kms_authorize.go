package awssim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim/authz"
)

// kmsRequest is one question to KMS: may the principal do this with the key?
type kmsRequest struct {
	principal Principal
	action    string // kms:Decrypt
	key       *kmsKey
	// viaService is the AWS service that calls on the principal's behalf,
	// "ec2.eu-west-1.amazonaws.com", or "".
	viaService            string
	grantIsForAWSResource bool
	grantOperations       []string
	granteePrincipal      string
	retiringPrincipal     string
	grantConstraints      []string // their types
	now                   time.Time
}

// crossAccount are the operations that another account can use at all,
// whatever the policies say. GetPublicKey is missing, since no key here is
// asymmetric. Fact: KMS-KEY-14.
var crossAccount = []string{
	"kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext",
	"kms:DescribeKey", "kms:CreateGrant", "kms:ListGrants", "kms:RetireGrant", "kms:RevokeGrant", "kms:GetKeyRotationStatus",
}

// cryptographic are the operations that need an enabled key.
var cryptographic = []string{
	"kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant",
}

// authorizeKMS decides as KMS does, and returns the missing link: an explicit denial,
// the key's state, a grant, the key policy, or the caller's own policies. For a key of
// another account KMS also evaluates key trust: a grant or an IAM policy of the
// caller's account must allow the use. A grant that another account issued therefore
// replaces only the key policy. Fact: KMS-KEY-15, GRANT-9, GRANT-16, GRANT-17.
func (w *World) authorizeKMS(r kmsRequest) *Error {
	if slices.Contains(cryptographic, r.action) {
		if problem := r.key.usable(r.now); problem != nil {
			return problem
		}
	}
	foreign := r.principal.Account != r.key.account
	refuse := func(why string, arguments ...any) *Error {
		return badRequest("AccessDeniedException", "User: %s is not authorized to perform: %s on resource: %s because %s",
			r.principal.ARN, r.action, r.key.arn, fmt.Sprintf(why, arguments...))
	}
	if foreign && !slices.Contains(crossAccount, r.action) {
		return refuse("%s is not possible with a key of another account", r.action)
	}
	seen := r.now.Add(-w.options.PropagationLag)
	context := w.kmsContext(r)
	request := authz.Request{Action: r.action, Resource: r.key.arn, Principal: authzPrincipal(r.principal), Context: context}
	keyPolicy := w.present(r.key.policy.asOf(seen)).parsed.Evaluate(request)
	identity := w.identityDecision(r.principal, r.action, r.key.arn, context, r.now)
	grant := w.grantFor(r, seen)
	trusted := grant != nil && (!foreign || grant.issuer == r.principal.Account)
	switch {
	case keyPolicy.Effect == authz.Deny:
		return refuse("the key policy denies it explicitly (%s)", keyPolicy.Statement)
	case w.controlDenial(r.principal, r.action, r.key.arn, context) != "":
		return refuse("%s", w.controlDenial(r.principal, r.action, r.key.arn, context))
	case identity.Effect == authz.Deny:
		return refuse("an identity-based policy denies it explicitly (%s)", identity.Statement)
	case trusted, grant != nil && identity.Effect == authz.Allow:
		return nil
	case grant != nil:
		return refuse("no identity-based policy allows the %s action (%s), and the grant %s for this principal was issued by account %s: create the grant with credentials of account %s",
			r.action, identity.Reason, grant.id, grant.issuer, r.principal.Account)
	case keyPolicy.Effect != authz.Allow:
		return refuse("no resource-based policy allows the %s action (key policy: %s; and no grant on this key for this principal)", r.action, keyPolicy.Reason)
	case (foreign || keyPolicy.ViaAccount) && identity.Effect != authz.Allow:
		return refuse("no identity-based policy allows the %s action (%s; and no grant on this key for this principal)", r.action, identity.Reason)
	default:
		return nil
	}
}

// kmsContext are the request's condition keys. Fact: KMS-COND-1 to KMS-COND-8,
// IAM-EVAL-16.
func (w *World) kmsContext(r kmsRequest) map[string][]string {
	context := w.principalContext(r.principal)
	context["kms:CallerAccount"] = []string{r.principal.Account}
	context["aws:RequestedRegion"] = []string{r.key.region}
	context["aws:ViaAWSService"] = []string{fmt.Sprint(r.viaService != "")}
	if r.viaService != "" {
		context["kms:ViaService"] = []string{r.viaService}
	}
	if slices.Contains([]string{"kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"}, r.action) {
		context["kms:GrantIsForAWSResource"] = []string{fmt.Sprint(r.grantIsForAWSResource)}
	}
	if r.action == "kms:CreateGrant" {
		if len(r.grantOperations) > 0 {
			context["kms:GrantOperations"] = r.grantOperations
		}
		if r.granteePrincipal != "" {
			context["kms:GranteePrincipal"] = []string{r.granteePrincipal}
		}
		if r.retiringPrincipal != "" {
			context["kms:RetiringPrincipal"] = []string{r.retiringPrincipal}
		}
		if len(r.grantConstraints) > 0 {
			context["kms:GrantConstraintType"] = r.grantConstraints
		}
	}
	return context
}

// grantFor returns a grant on the regional key that lets the principal do it, if there
// is one. A grant that the principal's own account issued comes first. Grants don't
// depend on the organization. A grant that is created with the permission of another
// one cannot allow more. Fact: GRANT-26 to GRANT-28.
func (w *World) grantFor(r kmsRequest, seen time.Time) *kmsGrant {
	operation := strings.TrimPrefix(r.action, "kms:")
	who, id := r.principal.ARN, ""
	if r.principal.RoleARN != "" {
		who = r.principal.RoleARN
		if role := w.roleByARN(who); role != nil {
			id = role.id
		}
	}
	var found *kmsGrant
	for _, g := range activeOf(r.key.grants.byGrantee[who], seen) {
		wider := func(o string) bool { return !slices.Contains(g.operations, o) }
		allows := g.granteeID == id && len(g.constraints) == 0 &&
			slices.Contains(g.operations, operation) && !slices.ContainsFunc(r.grantOperations, wider)
		if allows && (found == nil || g.issuer == r.principal.Account) {
			found = g
		}
	}
	return found
}

// usable returns KMS's error for a cryptographic operation with a key that isn't
// enabled. Fact: KMS-MRK-10 to KMS-MRK-12.
func (k *kmsKey) usable(now time.Time) *Error {
	switch state := k.state(now); state {
	case "Enabled":
		return nil
	case "Disabled":
		return badRequest("DisabledException", "%s is disabled.", k.arn)
	default:
		return badRequest("KMSInvalidStateException", "%s is %s.", k.arn, state)
	}
}

// grantForAttachment is the grant that EC2 creates for an attached encrypted
// volume, on the volume's key. It counts against the key's limit. Fact: GRANT-30
// to GRANT-32.
func (w *World) grantForAttachment(k *kmsKey, p Principal, instanceID, volumeID string, now time.Time) (grantID string) {
	g := &kmsGrant{
		id: w.newID("", 64), grantee: w.arn("sts", "", p.Account, "assumed-role/aws:ec2-infrastructure/"+instanceID), issuer: p.Account,
		operations:  attachmentOperations,
		constraints: map[string]map[string]string{"EncryptionContextSubset": {"aws:ebs:id": volumeID}},
		created:     now, byService: true,
	}
	k.grants.add(g)
	return g.id
}

// revokeGrant ends a grant.
func (w *World) revokeGrant(k *kmsKey, grantID string, now time.Time) { k.grants.revoke(grantID, now) }
