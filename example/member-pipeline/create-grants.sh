#!/usr/bin/env bash
# Creates the grants of one member account from kms-grants.json. Run it in the account's
# pipeline, with credentials of the account that allow kms:CreateGrant:
#
#   bash create-grants.sh kms-grants.json
#
# It creates the grants that are missing. Running it again creates no second grant: the
# name of a grant makes CreateGrant idempotent. Requires the AWS CLI and jq. Works with
# bash and zsh.

set -eu

if [ $# -ne 1 ]; then
  echo "usage: create-grants.sh kms-grants.json" >&2
  exit 2
fi
region=$(jq -r '.grants[0].region // "us-east-1"' "$1")
account=$(aws sts get-caller-identity --region "${region}" --query Account --output text)
requests=$(jq -r --arg account "${account}" '
  .grants[]
  | select(.account == $account and .status == "to_create")
  | [.region, ({KeyId: .key_arn, GranteePrincipal: .grantee_principal, Name: .name, Operations: .operations} | tojson)]
  | join(" ")' "$1")
if [ -z "${requests}" ]; then
  echo "${account}: no grants to create"
  exit 0
fi

incomplete=no
while IFS=' ' read -r region request; do
  if answer=$(aws kms create-grant --region "${region}" --cli-input-json "${request}" 2>&1); then
    echo "${account} ${region}: created a grant: ${request}"
    continue
  fi
  case "${answer}" in
    # AWS creates a service-linked role when the account first uses the service.
    *InvalidArnException*) echo "${account} ${region}: skipped, the role doesn't exist: ${request}" ;;
    *)
      echo "${account} ${region}: can't create a grant: ${answer}" >&2
      incomplete=yes
      ;;
  esac
done <<EOF
${requests}
EOF
[ "${incomplete}" = no ]
