# For the format see https://github.com/hashicorp/integration-template#metadata-configuration
integration {
  name        = "Orgami"
  description = "Publish AMIs to an AWS organization: encrypted with one multi-Region key, verified, and shared in every Region."
  identifier  = "packer/orgami/orgami"
  flags       = ["hcp-ready"]
  component {
    type = "builder"
    name = "Orgami existing AMI"
    slug = "existing"
  }
  component {
    type = "data-source"
    name = "Orgami key"
    slug = "key"
  }
  component {
    type = "post-processor"
    name = "Orgami publish"
    slug = "publish"
  }
}
