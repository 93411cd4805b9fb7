# The same image, built under a key that exists, in two ways; see chain_test.go.

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

variable "regions" {
  type = list(string)
}

data "orgami-key" "golden" {
  alias   = "alias/golden"
  regions = var.regions
}

source "amazon-ebs" "volumes" {
  region        = "us-east-1"
  ami_name      = "built"
  instance_type = "t3.micro"
  communicator  = "none"
  source_ami_filter {
    owners      = ["amazon"]
    most_recent = true
    filters     = { name = "al2023-ami-2023.*-x86_64" }
  }
  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    encrypted             = true
    kms_key_id            = data.orgami-key.golden.regional_arns["us-east-1"]
    delete_on_termination = true
  }
}

source "amazon-ebs" "regions" {
  region             = "us-east-1"
  ami_name           = "built"
  instance_type      = "t3.micro"
  communicator       = "none"
  ami_regions        = var.regions
  encrypt_boot       = true
  kms_key_id         = data.orgami-key.golden.arn
  region_kms_key_ids = data.orgami-key.golden.regional_arns
  source_ami_filter {
    owners      = ["amazon"]
    most_recent = true
    filters     = { name = "al2023-ami-2023.*-x86_64" }
  }
}

build {
  sources = ["source.amazon-ebs.volumes", "source.amazon-ebs.regions"]

  post-processors {
    post-processor "manifest" {
      output = "packer-manifest.json"
    }
    post-processor "orgami-publish" {
      regions = var.regions
      key {
        id     = data.orgami-key.golden.arn
        create = false
      }
      grants {
        accounts    = ["222222222222", "333333333333"]
        member_role = "orgami-grants"
      }
    }
  }
}
