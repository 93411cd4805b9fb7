# Publish an existing image without building one: after a publication that failed, or for
# images that other tools create. A second run publishes the same image again and changes
# nothing, although the filters match the published copies, too: the builder prefers
# originals to the copies that orgami-publish created.

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

  # Set either image_id or filters. Anyone can use a name, so filters require
  # owners.
  filters     = { name = "golden-*", architecture = "x86_64" }
  owners      = ["self"]
  most_recent = true
}

build {
  sources = ["source.orgami-existing.golden"]

  post-processors {
    # Keep manifest first. When a post-processor fails, Packer deletes the AMI that
    # was built, unless an earlier post-processor of the same chain kept it.
    post-processor "manifest" {
      output = "packer-manifest.json"
    }

    post-processor "orgami-publish" {
      regions = ["us-east-1", "eu-west-1"]

      key {
        alias = "alias/golden-ami"
      }

      # Build variables describe the image: build.SourceAMI, SourceAMIName,
      # SourceAMIOwner, SourceAMICreationDate, BuildRegion. ami_name defaults to the
      # image's name with the suffix -shared.
      tags = {
        BuiltAs = build.SourceAMIName
        BuiltAt = build.SourceAMICreationDate
      }
    }
  }
}
