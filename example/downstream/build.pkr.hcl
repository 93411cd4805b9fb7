# Files for deployments: a patch for Karpenter's EC2NodeClass in each Region, values for
# Terraform (see the modules in terraform/), a template for a CloudFormation StackSet, and
# in each Region a parameter that has the ID of the image.

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
        # Without member_role, each account creates its own grants: with Terraform
        # (terraform/grants), with create-grants.sh, or from kms-grants.json.
        accounts = ["222222222222", "333333333333"]
      }

      outputs = ["ec2nodeclass", "terraform", "cloudformation", "ssm"]

      ec2nodeclass {
        ami_family = "AL2023"
      }

      ssm {
        name = "/golden-ami/{{ .Architecture }}/latest"
      }
    }
  }
}
