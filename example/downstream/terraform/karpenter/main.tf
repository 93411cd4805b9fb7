# Karpenter's policy, in one member account. Run it with credentials of that
# account:
#
#   terraform apply -var-file=orgami/orgami.tfvars.json -var=karpenter_role=KarpenterControllerRole-web

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
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
  description = "Lets Karpenter launch from AMIs under key ${var.orgami.key.id} of account ${var.orgami.account}"
  policy      = var.orgami.karpenter_policy
}

resource "aws_iam_role_policy_attachment" "karpenter" {
  role       = var.karpenter_role
  policy_arn = aws_iam_policy.golden_ami.arn
}

output "images" {
  description = "Ids of the image, by region."
  value       = var.orgami.images
}
