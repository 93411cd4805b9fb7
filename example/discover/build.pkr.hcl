# Create grants in every account of an organizational unit. Each run lists the accounts
# with AWS Organizations.

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
        # Only the management account and delegated administrators can list accounts, so
        # the plugin assumes a role in one of them. When an account closes or leaves the
        # unit, the next run revokes its grants.
        discover             = true
        member_role          = "orgami-grants"
        discover_role_arn    = "arn:aws:iam::999999999999:role/orgami-accounts"
        organizational_units = ["ou-ab12-11111111"]
        exclude              = ["444444444444"]
        prune                = true

        # Additional accounts, here one of another unit.
        accounts_file = "${path.root}/accounts.txt"
      }
    }
  }
}
