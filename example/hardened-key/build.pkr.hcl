# The hardened key policy: use of the key only through EC2, grants only for AWS services,
# named administrators, and an additional statement.

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
      key {
        alias                 = "alias/golden-ami"
        policy                = "hardened"
        administrators        = ["arn:aws:iam::111111111111:role/KeyAdministrator"]
        extra_statements_file = "${path.root}/audit-statement.json"
        tags                  = { Classification = "internal" }
      }
    }
  }
}
