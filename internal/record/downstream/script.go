package downstream

import (
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
)

// GrantsScript returns a writer of a shell script that creates the grants, account by
// account. found is false if there are none. Grants of an account may come in any
// order.
func GrantsScript(grants iter.Seq[manifest.Grant]) (write func(io.Writer) error, found bool) {
	var accounts []string
	byAccount := map[string][]manifest.Grant{}
	for g := range grants {
		if byAccount[g.Account] == nil {
			accounts = append(accounts, g.Account)
		}
		byAccount[g.Account] = append(byAccount[g.Account], g)
	}
	return func(w io.Writer) error {
		first := byAccount[accounts[0]][0]
		head := strings.NewReplacer("{partition}", partitionOf(first.Role), "{first-region}", first.Region).Replace(scriptHead)
		if _, err := io.WriteString(w, head); err != nil {
			return err
		}
		for _, account := range accounts {
			if err := writeAccount(w, account, byAccount[account]); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, scriptEnd)
		return err
	}, len(accounts) > 0
}

// partitionOf is the partition of an ARN.
func partitionOf(role string) string {
	partition, _, _ := strings.Cut(strings.TrimPrefix(role, "arn:"), ":")
	return partition
}

// writeAccount writes the account's grants in a subshell, which keeps its credentials
// and its failure from the other accounts.
func writeAccount(w io.Writer, account string, grants []manifest.Grant) error {
	var text strings.Builder
	fmt.Fprintf(&text, "\n(\n  begin %s || exit 1\n", shellQuote(account))
	for _, g := range grants {
		fmt.Fprintf(&text, "  grant %s %s %s %s %s\n", shellQuote(g.Region), shellQuote(g.KeyARN), shellQuote(g.Role), shellQuote(g.Name), strings.Join(g.Operations, " "))
	}
	fmt.Fprintf(&text, "  finish\n) || failed=\"${failed} %s\"\n", account)
	_, err := io.WriteString(w, text.String())
	return err
}

func shellQuote(argument string) string {
	return "'" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
}

const scriptHead = `#!/usr/bin/env bash
# Creates the KMS grants that service-linked roles need to launch the published AMI.
# Each grant is created with credentials of the role's account, because a grant that
# another account created doesn't let the role use the key. Running the script again
# creates no second grant: the name of a grant makes CreateGrant idempotent.
#
#   GRANT_ROLE=path/name-of-a-role bash create-grants.sh
#
# Requires the AWS CLI. Works with bash and zsh.

set -u

# AWS STS is called in this Region, which needn't be configured.
export AWS_REGION='{first-region}' AWS_DEFAULT_REGION='{first-region}'

# credentials exports credentials of the account whose ID is its argument. By default
# it assumes the role GRANT_ROLE there, which needs kms:CreateGrant on the key. Change
# it if you get credentials in another way, for example:
#
#   credentials() { export AWS_PROFILE="profile-of-${1}"; }
credentials() {
  if [ -z "${GRANT_ROLE:-}" ]; then
    echo "Set GRANT_ROLE to the path and name of a role that exists in every account." >&2
    return 1
  fi
  session=$(aws sts assume-role --role-arn "arn:{partition}:iam::${1}:role/${GRANT_ROLE}" \
    --role-session-name orgami-grants --output text \
    --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]') || return 1
  AWS_ACCESS_KEY_ID=$(printf '%s' "${session}" | cut -f 1)
  AWS_SECRET_ACCESS_KEY=$(printf '%s' "${session}" | cut -f 2)
  AWS_SESSION_TOKEN=$(printf '%s' "${session}" | cut -f 3)
  unset AWS_PROFILE
  export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
}

# begin ACCOUNT
begin() {
  account=$1
  incomplete=no
  credentials "${account}" || {
    echo "${account}: no credentials. Its grants were not created." >&2
    return 1
  }
  caller=$(aws sts get-caller-identity --query Account --output text) || return 1
  if [ "${caller}" != "${account}" ]; then
    echo "${account}: the credentials belong to account ${caller}. Grants that it creates don't count." >&2
    return 1
  fi
}

# grant REGION KEY_ARN ROLE_ARN NAME OPERATION...
grant() {
  region=$1
  key=$2
  role=$3
  name=$4
  shift 4
  if answer=$(aws kms create-grant --region "${region}" --key-id "${key}" --grantee-principal "${role}" \
    --name "${name}" --operations "$@" --query GrantId --output text 2>&1); then
    echo "${account} ${region}: granted to ${role}"
    return
  fi
  case "${answer}" in
    *InvalidArnException*) echo "${account} ${region}: skipped, the role doesn't exist: ${role}" ;;
    *)
      echo "${account} ${region}: can't grant to ${role}: ${answer}" >&2
      incomplete=yes
      ;;
  esac
}

finish() {
  [ "${incomplete}" = no ]
}

failed=""
`

const scriptEnd = `
if [ -n "${failed}" ]; then
  echo "Grants are missing in these accounts:${failed}" >&2
  exit 1
fi
`
