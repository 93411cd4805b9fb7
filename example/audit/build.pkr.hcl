# A nightly audit of a published image. It changes nothing. It reports what has drifted
# and which launches fail because of that, and then the build fails. `make demo-audit`
# breaks six links, one after another, on a simulated AWS, and shows the audit of each.

packer {
  required_plugins {
    orgami = {
      source  = "github.com/orgami/orgami"
      version = ">= 0.1.0"
    }
  }
}

variable "image_name" {
  type    = string
  default = "golden*-shared" # the newest of these
}

variable "accounts" {
  type    = list(string)
  default = ["222222222222", "333333333333", "444444444444"]
}

variable "roles" {
  type = list(string)
  default = [
    "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
    "aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
  ]
}

variable "output_directory" {
  type    = string
  default = "orgami"
}

variable "packer_manifest" {
  type    = string
  default = "packer-manifest.json"
}

# The published image of one Region; its copies in the others are known by it.
source "orgami-existing" "golden" {
  region      = "us-east-1"
  filters     = { name = var.image_name }
  owners      = ["self"]
  most_recent = true
}

build {
  sources = ["source.orgami-existing.golden"]

  post-processors {
    post-processor "manifest" {
      output = var.packer_manifest
    }

    post-processor "orgami-publish" {
      regions       = ["us-east-1", "eu-west-1", "ap-southeast-2"]
      plan_only     = true
      fail_on_drift = true
      report        = true

      key {
        alias = "alias/golden-ami"
      }

      grants {
        accounts    = var.accounts
        member_role = "orgami-grants"
        # A missing grant is drift only for roles that are listed here. A default role
        # may not exist, so a missing grant of one is only reported.
        roles = var.roles
      }

      output_directory = var.output_directory
    }
  }
}
