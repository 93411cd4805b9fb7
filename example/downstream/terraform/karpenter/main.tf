# Karpenter's policy in one member account. Run it with credentials of that account. The
# module "member" has this policy, too: use one of them.
#
#   terraform apply -var-file=orgami/orgami.tfvars.json -var=karpenter_role=KarpenterControllerRole-web

terraform {
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

variable "karpenter_role" {
  description = "The name of Karpenter's controller role in this account."
  type        = string
}

resource "aws_iam_policy" "golden_ami" {
  name        = "karpenter-golden-ami"
  description = "Lets Karpenter launch from AMIs encrypted with key ${var.orgami.key.id} of account ${var.orgami.account}"
  policy      = var.orgami.karpenter_policy
}

resource "aws_iam_role_policy_attachment" "karpenter" {
  role       = var.karpenter_role
  policy_arn = aws_iam_policy.golden_ami.arn
}

output "images" {
  description = "IDs of the image, by Region."
  value       = var.orgami.images
}

output "parameters" {
  description = "ARNs of the parameters that have the ID of the image, by Region."
  value       = var.orgami.parameters
}
