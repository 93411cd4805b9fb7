# What `make demo` runs on a simulated AWS. An account with EBS encryption by default
# builds an image with amazon-ebs. It publishes the image to the four other accounts of
# its organization, in three Regions. With the account's role orgami-grants, the plugin
# creates the grants of each account, and sees what launches there depend on. Before it
# shares the image, it launches it in one account, with the role orgami-canary.

packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.8.0"
    }
    orgami = {
      source  = "github.com/orgami/orgami"
      version = ">= 0.1.0"
    }
  }
}

variable "image_name" {
  type    = string
  default = "golden"
}

variable "source_ami_name" {
  type        = string
  description = "The name, with wildcards, of Amazon's image that amazon-ebs starts from."
  default     = "al2023-ami-2023.*-x86_64"
}

variable "accounts" {
  type    = list(string)
  default = ["222222222222", "333333333333", "444444444444", "555555555555"]
}

variable "output_directory" {
  type    = string
  default = "orgami"
}

variable "packer_manifest" {
  type    = string
  default = "packer-manifest.json"
}

source "amazon-ebs" "golden" {
  region        = "us-east-1"
  ami_name      = var.image_name
  instance_type = "t3.micro"
  communicator  = "none" # the simulated machines take no SSH
  max_retries   = 1

  source_ami_filter {
    owners      = ["amazon"]
    most_recent = true
    filters     = { name = var.source_ami_name }
  }
}

source "orgami-existing" "golden" {
  region  = "us-east-1"
  filters = { name = var.image_name }
  owners  = ["self"]
}

build {
  sources = ["source.amazon-ebs.golden", "source.orgami-existing.golden"]

  post-processors {
    # First, always: when a post-processor fails, Packer destroys the image that
    # was built, unless an earlier link of the same chain kept it. This one does.
    post-processor "manifest" {
      output = var.packer_manifest
    }

    post-processor "orgami-publish" {
      regions = ["us-east-1", "eu-west-1", "ap-southeast-2"]

      key {
        alias = "alias/golden-ami"
      }

      grants {
        accounts    = var.accounts
        member_role = "orgami-grants"
      }

      canary {
        account      = "222222222222"
        role         = "orgami-canary"
        auto_scaling = true
      }

      output_directory = var.output_directory
    }
  }
}
