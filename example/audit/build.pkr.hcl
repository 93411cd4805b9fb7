# Every night: look at what was published long ago, say what has drifted and who
# cannot launch because of it, and fail if there is anything to say. It changes
# nothing. `make demo-audit` breaks six links, one after another, on a simulated
# AWS, and shows what this build says of each.

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
  default = "golden-shared"
}

variable "accounts" {
  type    = list(string)
  default = ["222222222222", "333333333333", "444444444444"]
}

variable "output_directory" {
  type    = string
  default = "orgami"
}

variable "packer_manifest" {
  type    = string
  default = "packer-manifest.json"
}

# The published image of one region; its copies in the others are known by it.
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
      }

      output_directory = var.output_directory
    }
  }
}
