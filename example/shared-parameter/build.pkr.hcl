# One parameter in each Region has the ID of the newest image, and every account of the
# organization reads it by its ARN. Launch templates with resolve:ssm:ARN and Karpenter's
# node classes use the next image without a deployment in their accounts.
#
# Before the first run, an administrator of the management account runs:
#   aws ram enable-sharing-with-aws-organization

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

      grants {
        member_role = "orgami-grants"
        accounts    = ["222222222222", "333333333333"]
      }

      outputs = ["ssm"]

      ssm {
        name  = "/golden-ami/{{ .Architecture }}/latest"
        share = true # an advanced parameter, which AWS charges for
      }
    }
  }
}
