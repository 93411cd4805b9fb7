# Auto Scaling groups launch as service-linked roles. These roles take no IAM policies, so
# they need KMS grants, which their own accounts create: here, the role orgami-grants in
# each account.

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
      regions = ["us-east-1", "eu-west-1"]

      key {
        alias = "alias/golden-ami"
      }

      grants {
        accounts = ["222222222222", "333333333333"]

        # The plugin assumes this role in each account to create the account's grants.
        member_role = "orgami-grants"

        # The first three are the default, which needn't exist in every account.
        roles = [
          "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
          "aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
          "aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot",
          "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_batch",
        ]
      }
    }
  }
}
