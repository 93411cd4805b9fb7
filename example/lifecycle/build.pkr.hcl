# The life of an image after it is published. It is deprecated after three months and
# protected from being deregistered by mistake. Its tags name its source. Older images are
# retired step by step, unless they're in use.

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

source "amazon-ebs" "golden" {
  region        = "us-east-1"
  ami_name      = "golden-${formatdate("YYYY-MM-DD-hhmmss", timestamp())}"
  instance_type = "t3.micro"
  ssh_username  = "ec2-user"

  source_ami_filter {
    owners      = ["amazon"]
    most_recent = true
    filters     = { name = "al2023-ami-2023.*-x86_64" }
  }
}

build {
  sources = ["source.amazon-ebs.golden"]

  post-processors {
    # First, always: when a post-processor fails, Packer destroys the image that
    # was built, unless an earlier link of the same chain kept it. This one does.
    post-processor "manifest" {
      output = "packer-manifest.json"
    }

    post-processor "orgami-publish" {
      regions = ["us-east-1", "eu-west-1", "ap-southeast-2"]

      key {
        alias          = "alias/golden-ami"
        primary_region = "us-east-1"
      }

      tags = {
        Base  = "{{ .SourceImageName }}"
        Built = "{{ .SourceImageCreationDate }}"
      }

      family          = "golden"
      deprecate_after = "2160h"

      deregistration_protection {
        enabled = true
      }

      # Older images keep their protection. To delete them with delete_after, omit
      # deregistration_protection.
      retire {
        keep            = 3
        deprecate_after = "720h"
        disable_after   = "2160h"
      }
    }
  }
}
