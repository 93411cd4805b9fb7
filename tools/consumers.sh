#!/usr/bin/env bash
# Runs the programs that read what the plugin writes, where they are installed. For
# each that isn't, prints a line that begins with NOT TESTED.
set -euo pipefail
cd "$(dirname "$0")/.."

missing() { echo "NOT TESTED: $*"; }

# Terraform and its AWS provider, from a folder as `terraform providers mirror` makes
# it. The tests don't download providers.
if ORGAMI_TEST_TERRAFORM=$(command -v terraform || command -v tofu); then
	ORGAMI_TEST_TERRAFORM_PLUGINS=
	for folder in "${TERRAFORM_PLUGINS:-}" "$HOME/.terraform.d/plugins" /usr/local/share/terraform/plugins /opt/tf-plugins; do
		if [ -n "$folder" ] && compgen -G "$folder/*/hashicorp/aws" >/dev/null; then
			ORGAMI_TEST_TERRAFORM_PLUGINS=$folder
			break
		fi
	done
	if [ -z "$ORGAMI_TEST_TERRAFORM_PLUGINS" ]; then
		missing "the Terraform modules: there is no AWS provider in \$TERRAFORM_PLUGINS"
	elif ! command -v aws >/dev/null; then
		missing "the Terraform module grants: the AWS CLI isn't installed"
	fi
	export ORGAMI_TEST_TERRAFORM ORGAMI_TEST_TERRAFORM_PLUGINS
else
	missing "the Terraform modules: neither Terraform nor OpenTofu is installed"
fi
command -v cfn-lint >/dev/null || missing "the CloudFormation template: cfn-lint isn't installed"

ORGAMI_TEST_PACKER=$(tools/build.sh packer)
ORGAMI_TEST_AMAZON_PLUGIN=$(tools/build.sh amazon)
export ORGAMI_TEST_PACKER ORGAMI_TEST_AMAZON_PLUGIN
go test -count 1 -timeout 20m -run 'TestConsumer' ./test/e2e ./internal/record/...
