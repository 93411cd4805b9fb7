# The grants of one account, for a publication without grants.member_role. Run it with
# credentials of that account: a grant counts only if the account of the role created
# it. Each grant is a resource, and a refresh reads all grants of the key for each. With
# hundreds of accounts, run create-grants.sh instead (docs/performance.md).
#
#   terraform apply -var-file=orgami/orgami.tfvars.json -var='roles=["AWSServiceRoleForAutoScaling"]'

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0" # resources take a region
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
    karpenter_policy = string
    member_role      = string
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

variable "roles" {
  description = "Names of the service-linked roles that exist in this account."
  type        = list(string)
  default     = ["AWSServiceRoleForAutoScaling"]
}

data "aws_caller_identity" "current" {}

resource "aws_kms_grant" "launcher" {
  for_each = {
    for name, grant in var.orgami.grants : name => grant
    if grant.account == data.aws_caller_identity.current.account_id && contains(var.roles, basename(grant.grantee_principal))
  }

  region            = each.value.region
  key_id            = each.value.key_arn
  name              = each.value.name
  grantee_principal = each.value.grantee_principal
  operations        = each.value.operations
}
