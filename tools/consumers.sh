#!/usr/bin/env bash
# Runs the programs that read what the plugin writes. They are in modules of their own,
# below test/consumers, and are built or installed once into the cache of
# tools/build.sh. For each that isn't on this machine and can't be had, a line that
# begins with NOT TESTED is printed.
#
#     tools/consumers.sh          build and install what is missing, and run the tests
#     tools/consumers.sh found    print the variables of what is there, for `make test`
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/orgami
mode=${1:-run}

missing() { echo "NOT TESTED: $*" >&2; }
if [ "$mode" != run ]; then missing() { :; }; fi

# found NAME VALUE: the tests get the variable.
found() {
	export "$1=$2"
	[ "$mode" = run ] || printf 'export %s=%q\n' "$1" "$2"
}

# digest FILE...: a short digest of the files' contents.
digest() { cat "$@" | git hash-object --stdin | cut -c 1-12; }

# built NAME BINARY FOLDER PACKAGE WHAT UNTESTED: a program of the module in the folder,
# which is built once.
built() {
	local name=$1 binary=$2 folder=$3 package=$4 what=$5 untested=$6
	if [ ! -x "$binary" ] && [ "$mode" = run ]; then
		echo "building $what, once; about 4 minutes (into $(dirname "$binary"))…" >&2
		mkdir -p "$(dirname "$binary")"
		if ! (cd "$folder" && CGO_ENABLED=0 go build -ldflags='-s -w' -o "$binary.$$" "$package" && mv "$binary.$$" "$binary"); then
			missing "$untested: it can't be built"
			return
		fi
	fi
	if [ -x "$binary" ]; then
		found "$name" "$binary"
	fi
}

# Terraform, OpenTofu and their AWS provider, from a folder as `terraform providers
# mirror` makes it. The tests don't download providers.
find_terraform() {
	local folder
	for folder in "${TERRAFORM_PLUGINS:-}" "$HOME/.terraform.d/plugins" /usr/local/share/terraform/plugins /opt/tf-plugins; do
		if [ -n "$folder" ] && compgen -G "$folder/*/hashicorp/aws" >/dev/null; then
			found ORGAMI_TEST_TERRAFORM_PLUGINS "$folder"
			if ! command -v aws >/dev/null; then missing "the Terraform module grants: the AWS CLI isn't installed"; fi
			if command -v terraform >/dev/null; then
				found ORGAMI_TEST_TERRAFORM "$(command -v terraform)"
			else
				missing "the Terraform modules with Terraform: it isn't installed"
			fi
			find_opentofu
			return
		fi
	done
	missing "the Terraform modules: there is no AWS provider in \$TERRAFORM_PLUGINS"
}

find_opentofu() {
	local folder=test/consumers/opentofu binary
	binary=$cache/opentofu-$(digest $folder/go.mod)/tofu
	built ORGAMI_TEST_OPENTOFU "$binary" $folder github.com/opentofu/opentofu/cmd/tofu "OpenTofu" "the Terraform modules with OpenTofu"
}

# What npm's packages do, by the lock file.
find_node_modules() {
	local folder temporary
	folder=$cache/node-$(digest test/consumers/node/package-lock.json)
	if [ ! -d "$folder/node_modules" ] && [ "$mode" = run ]; then
		if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
			missing "JSON Schema with ajv, CloudFormation with the AWS CDK: Node.js isn't installed"
			return
		fi
		mkdir -p "$folder"
		temporary=$(mktemp -d "$folder/.install-XXXXXX")
		cp test/consumers/node/package.json test/consumers/node/package-lock.json "$temporary"
		if ! (cd "$temporary" && npm ci --ignore-scripts --no-audit --no-fund --loglevel error >&2); then
			rm -rf "$temporary"
			missing "JSON Schema with ajv, CloudFormation with the AWS CDK: npm can't install them"
			return
		fi
		mv "$temporary/node_modules" "$folder/"
		rm -rf "$temporary"
	fi
	if [ -d "$folder/node_modules" ] && command -v node >/dev/null; then
		found ORGAMI_TEST_NODE_MODULES "$folder/node_modules"
	fi
}

# A program of this repository that runs Karpenter's code.
find_karpenter() {
	local folder=test/consumers/karpenter binary
	binary=$cache/karpenter-$(digest $folder/go.mod $folder/*.go)/karpenter
	built ORGAMI_TEST_KARPENTER "$binary" $folder . "Karpenter's code" "Karpenter"
}

find_terraform
find_node_modules
find_karpenter
if [ "$mode" = run ]; then
	command -v cfn-lint >/dev/null || missing "the CloudFormation template with cfn-lint: it isn't installed"
	command -v zsh >/dev/null || missing "remedies in zsh: it isn't installed"
	command -v aws >/dev/null || missing "commands of files, remedies and guides: the AWS CLI isn't installed"
	ORGAMI_TEST_PACKER=$(tools/build.sh packer)
	ORGAMI_TEST_AMAZON_PLUGIN=$(tools/build.sh amazon)
	export ORGAMI_TEST_PACKER ORGAMI_TEST_AMAZON_PLUGIN
	go test -count 1 -timeout 30m -run 'TestConsumer' ./test/e2e ./internal/record/...
fi
