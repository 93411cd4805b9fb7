#!/bin/sh
# Builds the plugin for every operating system that .goreleaser.yml releases for,
# and for one of 32 bits, and keeps nothing: what does not compile there is known
# before a release.
set -eu
cd "$(dirname "$0")/.."

systems=$(sed -n 's/^ *goos: \[\(.*\)\]$/\1/p' .goreleaser.yml | tr -d ,)
[ -n "$systems" ] || { echo "$0: .goreleaser.yml names no goos" >&2; exit 1; }

for platform in linux/386 $(for os in $systems; do echo "$os/amd64"; done); do
	echo "go build for $platform"
	GOOS=${platform%/*} GOARCH=${platform#*/} CGO_ENABLED=0 go build -o /dev/null .
done
