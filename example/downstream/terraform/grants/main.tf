# The grants of one account, for a publication without grants.member_role. Run it with
# credentials of that account: a grant counts only if the account of the role created
# it. It runs the AWS CLI, because the resource aws_kms_grant reads with kms:ListGrants.
# The key policy doesn't allow that to members: it lists the grants of all accounts.
# Terraform doesn't revoke these grants. With grants.prune, the publishing account does.
#
#   terraform apply -var-file=orgami/orgami.tfvars.json -var='roles=["AWSServiceRoleForAutoScaling"]'

terraform {
  required_version = ">= 1.4" # terraform_data

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

variable "roles" {
  description = "Names of the service-linked roles that exist in this account."
  type        = list(string)
  default     = ["AWSServiceRoleForAutoScaling"]
}

data "aws_caller_identity" "current" {}

resource "terraform_data" "grant" {
  for_each = {
    for name, grant in var.orgami.grants : name => grant
    if grant.account == data.aws_caller_identity.current.account_id && contains(var.roles, basename(grant.grantee_principal))
  }

  triggers_replace = each.value

  # For the same name and values, KMS returns the existing grant.
  provisioner "local-exec" {
    command = join(" ", concat(
      ["aws", "kms", "create-grant", "--region", each.value.region, "--key-id", each.value.key_arn],
      ["--grantee-principal", each.value.grantee_principal, "--name", each.value.name, "--operations"], each.value.operations,
    ))
  }
}
