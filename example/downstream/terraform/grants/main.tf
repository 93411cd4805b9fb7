# The grants, in the account that owns the key, for a publication with
# grants { via = "none" }. Each grant is a resource, and a refresh reads all grants
# of the key for each: with hundreds of accounts, let orgami-publish make them
# (docs/performance.md).
#
#   terraform apply -var-file=orgami/orgami.tfvars.json

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
    images           = map(string)
    karpenter_policy = string
    key = object({
      id           = string
      wildcard_arn = string
      arns         = map(string)
    })
    grants = map(object({
      region            = string
      key_arn           = string
      name              = string
      grantee_principal = string
      operations        = list(string)
    }))
  })
}

resource "aws_kms_grant" "launcher" {
  for_each = var.orgami.grants

  region            = each.value.region
  key_id            = each.value.key_arn
  name              = each.value.name
  grantee_principal = each.value.grantee_principal
  operations        = each.value.operations
}
