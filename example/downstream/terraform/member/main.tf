# What a member account needs: the role that the plugin assumes to create the account's
# grants, Karpenter's policy, and, if you list them, the service-linked roles. IAM is
# global: apply it once in each account, with credentials of that account.
#
#   terraform apply -var-file=orgami/orgami.tfvars.json -var='karpenter_roles=["KarpenterControllerRole-web"]'
#
# The role must exist before you set grants.member_role. For the first publication, omit
# grants.member_role and apply this module with -var=member_role=orgami-grants.

terraform {
  required_version = ">= 1.9" # a validation refers to another variable

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "orgami" {
  description = "What orgami-publish published: the content of orgami.tfvars.json."
  type = object({
    partition        = string
    account          = string
    organization_id  = string
    images           = map(string)
    parameters       = map(string)
    karpenter_policy = string
    member_role      = string
    member_policy    = string
    grant_roles      = list(string)
    grant_operations = list(string)
    key = object({
      id           = string
      wildcard_arn = string
      arns         = map(string)
    })
    grants = map(object({
      account           = string
      region            = string
      key_arn           = string
      name              = string
      grantee_principal = string
      operations        = list(string)
    }))
  })
}

variable "member_role" {
  description = "The path and name of the role that creates this account's grants. Defaults to grants.member_role of the publication; without either, the module creates no role."
  type        = string
  default     = ""
}

variable "karpenter_roles" {
  description = "The names of the roles to attach Karpenter's policy to."
  type        = list(string)
  default     = []
}

variable "create_service_linked_roles" {
  description = "The names of service-linked roles to create. AWS creates them when the account first uses the service, and creating one again fails."
  type        = list(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.create_service_linked_roles, [for role in var.orgami.grant_roles : basename(role) if startswith(role, "aws-service-role/")])) == 0
    error_message = "Each role must be a service-linked role in grants.roles of the publication."
  }
}

data "aws_caller_identity" "current" {}

locals {
  member_role = var.member_role != "" ? var.member_role : var.orgami.member_role
  path        = trimsuffix("/${local.member_role}", basename(local.member_role))
  role_arns   = [for role in var.orgami.grant_roles : "arn:${var.orgami.partition}:iam::${data.aws_caller_identity.current.account_id}:role/${role}"]

  # The names of Auto Scaling's roles can have a suffix.
  suffixed = "AWSServiceRoleForAutoScaling_"
}

# Only the publishing account can assume the role, as a principal of the organization.
data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${var.orgami.partition}:iam::${var.orgami.account}:root"]
    }

    dynamic "condition" {
      for_each = var.orgami.organization_id == "" ? [] : [var.orgami.organization_id]

      content {
        test     = "StringEquals"
        variable = "aws:PrincipalOrgID"
        values   = [condition.value]
      }
    }
  }
}

# kms:CreateGrant creates the grants on the publisher's key. It is limited to this
# account's roles in grants.roles and to the operations that they need.
data "aws_iam_policy_document" "create_grants" {
  statement {
    sid       = "CreateGrants"
    actions   = ["kms:CreateGrant"]
    resources = [var.orgami.key.wildcard_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:GranteePrincipal"
      values   = local.role_arns
    }

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "kms:GrantOperations"
      values   = var.orgami.grant_operations
    }

    condition {
      test     = "Null"
      variable = "kms:GrantOperations"
      values   = ["false"]
    }
  }
}

resource "aws_iam_role" "member" {
  count = local.member_role == "" ? 0 : 1

  name               = basename(local.member_role)
  path               = local.path
  description        = "Creates this account's KMS grants for AMIs of account ${var.orgami.account}"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "create_grants" {
  count = length(aws_iam_role.member)

  name   = "create-grants"
  role   = aws_iam_role.member[count.index].name
  policy = data.aws_iam_policy_document.create_grants.json
}

# What launches in this account depend on: one statement for each link of a launch.
resource "aws_iam_role_policy" "inspect_account" {
  count = length(aws_iam_role.member)

  name   = "inspect-account"
  role   = aws_iam_role.member[count.index].name
  policy = var.orgami.member_policy
}

# The name differs from that of the module "karpenter".
resource "aws_iam_policy" "karpenter" {
  name        = "orgami-karpenter-${var.orgami.key.id}"
  description = "Lets Karpenter launch from AMIs encrypted with key ${var.orgami.key.id} of account ${var.orgami.account}"
  policy      = var.orgami.karpenter_policy
}

resource "aws_iam_role_policy_attachment" "karpenter" {
  for_each = toset(var.karpenter_roles)

  role       = each.value
  policy_arn = aws_iam_policy.karpenter.arn
}

resource "aws_iam_service_linked_role" "launcher" {
  for_each = { for role in var.orgami.grant_roles : basename(role) => role if contains(var.create_service_linked_roles, basename(role)) }

  aws_service_name = basename(dirname(each.value))
  custom_suffix    = startswith(each.key, local.suffixed) ? trimprefix(each.key, local.suffixed) : null
}

output "member_role_arn" {
  description = "The ARN of the role that creates this account's grants."
  value       = one(aws_iam_role.member[*].arn)
}

output "karpenter_policy_arn" {
  description = "The ARN of Karpenter's policy."
  value       = aws_iam_policy.karpenter.arn
}
