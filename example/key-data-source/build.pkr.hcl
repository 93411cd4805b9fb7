# Build with the shared key from the start. The image is encrypted as configured when it
# is created, so orgami-publish adopts it in the build Region instead of copying it. The
# key must exist: build once without the data source to create it.

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

data "orgami-key" "golden" {
  alias  = "alias/golden-ami"
  region = "us-east-1"
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

  launch_block_device_mappings {
    device_name           = "/dev/xvda" # the root device of the source image
    encrypted             = true
    kms_key_id            = data.orgami-key.golden.regional_arns["us-east-1"]
    delete_on_termination = true
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
        id     = data.orgami-key.golden.arn
        create = false
      }
    }
  }
}
