# The same image brought to the same Regions in two ways; see chain_test.go.

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

source "amazon-ebs" "copies" {
  region        = "us-east-1"
  ami_name      = "built"
  instance_type = "t3.micro"
  communicator  = "none"
  ami_regions   = var.regions
  ami_org_arns  = ["arn:aws:organizations::999999999999:organization/o-exampleorgid"]
  encrypt_boot  = true
  kms_key_id    = "alias/golden"
  region_kms_key_ids = {
    us-east-1      = "alias/golden"
    eu-west-1      = "alias/golden"
    ap-southeast-2 = "alias/golden"
  }
  source_ami_filter {
    owners      = ["amazon"]
    most_recent = true
    filters     = { name = "al2023-ami-2023.*-x86_64" }
  }
}

source "amazon-ebs" "golden" {
  region        = "us-east-1"
  ami_name      = "built"
  instance_type = "t3.micro"
  communicator  = "none"
  source_ami_filter {
    owners      = ["amazon"]
    most_recent = true
    filters     = { name = "al2023-ami-2023.*-x86_64" }
  }
}

build {
  name    = "alone"
  sources = ["source.amazon-ebs.copies"]
}

build {
  name    = "published"
  sources = ["source.amazon-ebs.golden"]

  post-processors {
    post-processor "manifest" {
      output = "packer-manifest.json"
    }
    post-processor "orgami-publish" {
      regions = var.regions
      key {
        alias          = "alias/golden"
        primary_region = "us-east-1"
      }
      grants {
        accounts    = ["222222222222", "333333333333"]
        member_role = "orgami-grants"
      }
    }
  }
}
