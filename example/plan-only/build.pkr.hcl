# Print what would change, without changing anything: for pull requests, and before the
# first publication with an existing key.

packer {
  required_plugins {
    orgami = {
      source  = "github.com/orgami/orgami"
      version = ">= 0.1.0"
    }
  }
}

variable "image_id" {
  type    = string
  default = "ami-0123456789abcdef0"
}

source "orgami-existing" "golden" {
  region   = "us-east-1"
  image_id = var.image_id
}

build {
  sources = ["source.orgami-existing.golden"]

  post-processors {
    # First, always: when a post-processor fails, Packer destroys the image that
    # was built, unless an earlier link of the same chain kept it. This one does.
    post-processor "manifest" {
      output = "packer-manifest.json"
    }

    post-processor "orgami-publish" {
      regions   = ["us-east-1", "eu-west-1"]
      plan_only = true

      key {
        alias = "alias/golden-ami"
      }

      grants {
        accounts    = ["222222222222"]
        member_role = "orgami-grants"
      }
    }
  }
}
