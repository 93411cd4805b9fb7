# Use an existing multi-Region key, for example one that Terraform created. Its policy
# keeps all statements that aren't the plugin's. Missing replicas are created.

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
        id       = "arn:aws:kms:us-east-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef"
        rotation = false # Terraform's business
      }
    }
  }
}
