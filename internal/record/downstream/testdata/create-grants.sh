#!/usr/bin/env bash
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
export AWS_REGION='eu-west-1' AWS_DEFAULT_REGION='eu-west-1'

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
  session=$(aws sts assume-role --role-arn "arn:aws:iam::${1}:role/${GRANT_ROLE}" \
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

(
  begin '222222222222' || exit 1
  grant 'eu-west-1' 'arn:aws:kms:eu-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef' 'arn:aws:iam::222222222222:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling' 'orgami-222222222222-AWSServiceRoleForAutoScaling' Decrypt CreateGrant
  grant 'us-east-1' 'arn:aws:kms:eu-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef' 'arn:aws:iam::222222222222:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling' 'orgami-222222222222-AWSServiceRoleForAutoScaling' Decrypt CreateGrant
  finish
) || failed="${failed} 222222222222"

(
  begin '333333333333' || exit 1
  grant 'eu-west-1' 'arn:aws:kms:eu-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef' 'arn:aws:iam::333333333333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling' 'orgami-222222222222-AWSServiceRoleForAutoScaling' Decrypt CreateGrant
  grant 'us-east-1' 'arn:aws:kms:eu-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef' 'arn:aws:iam::333333333333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling' 'orgami-222222222222-AWSServiceRoleForAutoScaling' Decrypt CreateGrant
  finish
) || failed="${failed} 333333333333"

(
  begin '444444444444' || exit 1
  grant 'eu-west-1' 'arn:aws:kms:eu-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef' 'arn:aws:iam::444444444444:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling' 'orgami-222222222222-AWSServiceRoleForAutoScaling' Decrypt CreateGrant
  grant 'us-east-1' 'arn:aws:kms:eu-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef' 'arn:aws:iam::444444444444:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling' 'orgami-222222222222-AWSServiceRoleForAutoScaling' Decrypt CreateGrant
  finish
) || failed="${failed} 444444444444"

(
  begin '555555555555' || exit 1
  grant 'eu-west-1' 'arn:aws:kms:eu-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef' 'arn:aws:iam::555555555555:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling' 'orgami-222222222222-AWSServiceRoleForAutoScaling' Decrypt CreateGrant
  grant 'us-east-1' 'arn:aws:kms:eu-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef' 'arn:aws:iam::555555555555:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling' 'orgami-222222222222-AWSServiceRoleForAutoScaling' Decrypt CreateGrant
  finish
) || failed="${failed} 555555555555"

(
  begin '666666666666' || exit 1
  grant 'eu-west-1' 'arn:aws:kms:eu-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef' 'arn:aws:iam::666666666666:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling' 'orgami-222222222222-AWSServiceRoleForAutoScaling' Decrypt CreateGrant
  grant 'us-east-1' 'arn:aws:kms:eu-west-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef' 'arn:aws:iam::666666666666:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling' 'orgami-222222222222-AWSServiceRoleForAutoScaling' Decrypt CreateGrant
  finish
) || failed="${failed} 666666666666"

if [ -n "${failed}" ]; then
  echo "Grants are missing in these accounts:${failed}" >&2
  exit 1
fi
