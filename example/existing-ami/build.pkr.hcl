# Publish an image that exists already, without building: after a publication
# that failed, or for images made by other tools.

packer {
  required_plugins {
    orgami = {
      source  = "github.com/orgami/orgami"
      version = ">= 0.1.0"
    }
  }
}

source "orgami-existing" "golden" {
  region = "us-east-1"

  # Either the image's id, image_id = "ami-…", or filters. A name can be anybody's:
  # filters need owners.
  filters     = { name = "golden-*", architecture = "x86_64" }
  owners      = ["self"]
  most_recent = true
}

build {
  sources = ["source.orgami-existing.golden"]

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

      # Build variables tell about the image: build.SourceAMI, SourceAMIName,
      # SourceAMIOwner, SourceAMICreationDate, BuildRegion.
      ami_name = "${build.SourceAMIName}-encrypted"
    }
  }
}
