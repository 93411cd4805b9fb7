package awsclient

import (
	"regexp"
	"strings"

	"github.com/aws/smithy-go"
)

// hint returns what the user can do about an error, or "". It depends on the call
// ("KMS CreateGrant"), the code and AWS's message, because a code has several causes.
// Callers add the options that led to the call.
func hint(call string, err smithy.APIError) string {
	code := err.ErrorCode()
	switch code {
	case CodeAccessDenied, CodeUnauthorized, CodeSTSAccessDenied:
		return denialHint(call, err.ErrorMessage())
	}
	for _, h := range []struct{ call, code, text string }{
		{"KMS CreateGrant", CodeLimitExceeded, "The key has as many grants as the quota allows. Revoke grants that are no longer needed, or request an increase of the quota in Service Quotas"},
		{"KMS CreateAlias", CodeLimitExceeded, "Delete aliases of the key that are no longer needed, or request an increase of the quota in Service Quotas"},
		{"KMS PutKeyPolicy", CodeLimitExceeded, "Remove or merge statements of the key policy"},
		{"", CodeLimitExceeded, "Request an increase of the quota in Service Quotas, or delete resources that are no longer needed"},
		{"EC2 CopyImage", CodeResourceLimit, "Wait until other snapshot copies to this Region end, or request an increase of their quota in Service Quotas"},
		{"", CodeResourceLimit, "Wait for other operations to finish, or request an increase of the quota in Service Quotas"},
		{"KMS ReplicateKey", CodeUnsupportedOperation, "Only a symmetric multi-Region primary key with key material from KMS can be replicated. Set another key"},
		{"KMS EnableKeyRotation", CodeUnsupportedOperation, "KMS can't rotate this key, because its material was imported or is in a custom key store. Omit `key.rotation`"},
		{"", CodeUnsupportedOperation, "Check the type of the key. It must be a symmetric multi-Region key with key material from KMS"},
		{"", CodeMalformedPolicy, "Check that every principal in the key policy exists, and that the policy and the caller's IAM policy still let the caller change it (kms:PutKeyPolicy)"},
		{"", CodeDisabled, "Enable the key"},
		{"", CodeNotInOrganization, "Run in a member account of the organization, or share with accounts instead of an organization"},
		{"EC2 RunInstances", CodeOptInRequired, "Subscribe the account to the AWS Marketplace product that the message names"},
		{"", CodeOptInRequired, "Enable the Region for the account, or subscribe the account to what the message names"},
		{"EC2 ModifyImageAttribute", "InvalidAMIAttributeItemValue", sharedWith},
		{"EC2 ModifyImageAttribute", "InvalidParameterValue", sharedWith},
		{"EC2 ModifySnapshotAttribute", "InvalidParameterValue", "Check the accounts in share.accounts"},
		{"SSM PutParameter", "ParameterLimitExceeded", "Delete parameters that are no longer needed in this Region, or request an increase of the quota in Service Quotas"},
		{"SSM PutParameter", "ParameterMaxVersionLimitExceeded", "The oldest version of the parameter has a label. Move the label to a newer version"},
		{"SSM PutParameter", "HierarchyLevelLimitExceeded", "Use a parameter name with fewer levels"},
		{"RAM CreateResourceShare", "ResourceShareLimitExceededException", "Delete resource shares that are no longer needed in this Region, or request an increase of the quota in Service Quotas"},
		{"", CodeAuthFailure, invalid},
		{"", CodeUnrecognizedClient, invalid},
		{"", CodeInvalidClientToken, invalid},
		{"", "SignatureDoesNotMatch", "Check the secret access key and the clock of this machine"},
		{"", "ExpiredToken", signIn},
		{"", "ExpiredTokenException", signIn},
		{"", "RequestExpired", signIn + ". Check the clock of this machine"},
	} {
		if h.code == code && (h.call == "" || h.call == call) {
			return h.text
		}
	}
	return ""
}

const (
	seePermissions = "Run 'aws sts get-caller-identity' to see the caller; docs/permissions.md lists what it needs"
	sharedWith     = "Check the share block, and organization.id and organization.arn if they're set. Run 'aws organizations describe-organization' to see the organization"
	invalid        = "Check that the credentials are valid and that the Region is enabled for the account. Run 'aws sts get-caller-identity' to check the credentials"
	signIn         = "The credentials have expired. Get new ones, for example with 'aws sso login'"
	signInFirst    = "Set AWS_PROFILE or the credentials in the environment, or sign in with 'aws sso login'"
)

// denyingPolicy finds the type of the policy that denies a call in AWS's message: "with
// an explicit deny in a TYPE policy" or "because no TYPE policy allows". Permissions
// boundaries have no word "policy". Fact: ERR-8.
var denyingPolicy = regexp.MustCompile(`(explicit deny in an?|because no) (permissions boundary|[A-Za-z- ]+? policy)`)

func denialHint(call, message string) string {
	if strings.Contains(message, "Encoded authorization failure message") {
		return "Run 'aws sts decode-authorization-message --encoded-message MESSAGE' to see which policy denies the action"
	}
	found := denyingPolicy.FindStringSubmatch(message)
	if found == nil {
		switch service, operation, _ := strings.Cut(call, " "); {
		case operation == "AssumeRole":
			return "Check that the role exists. Allow the action in the caller's IAM policy, and the caller in the role's trust policy"
		case service == "KMS":
			return "Allow this action in the caller's IAM policy and in the key policy. " + seePermissions
		default:
			return "Allow this action in the caller's IAM policy. " + seePermissions
		}
	}
	explicit := found[1] != "because no"
	switch kind := strings.ToLower(found[2]); kind {
	case "service control policy", "resource control policy":
		return "A " + kind + " of the organization denies this action. Ask the organization's administrators to allow it for the caller"
	case "permissions boundary":
		return "Allow this action in the permissions boundary of the caller"
	case "session policy":
		return "Allow this action in the session policy, which was set when the role was assumed"
	case "vpc endpoint policy":
		return "Allow this action in the policy of the VPC endpoint that the calls go through"
	case "resource-based policy":
		switch {
		case strings.HasSuffix(call, "AssumeRole"):
			return "Allow the caller in the role's trust policy"
		case explicit:
			return "Remove or change the statement of the key policy that denies this action"
		default:
			return "Allow this action in the key policy. " + seePermissions
		}
	default: // identity-based
		if explicit {
			return "Remove or change the statement that denies this action in the caller's IAM policies. " + seePermissions
		}
		return "Allow this action in the caller's IAM policy. " + seePermissions
	}
}
