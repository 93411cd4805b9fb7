#!/usr/bin/env bash
# Makes a release of what is committed, as .goreleaser.yml says but for this
# platform only, in a clone of its own, and lets real Packer install it by
# `packer init` from a mirror on this machine (test/e2e/release_test.go).
set -euo pipefail
cd "$(dirname "$0")/.."
goreleaser=$(tools/build.sh goreleaser)
packer=$(tools/build.sh packer)
tools/build.sh sbom >/dev/null
version=$(sed -n 's/^var Version = "\(.*\)"$/\1/p; s/^\tVersion *= "\(.*\)"$/\1/p' version/version.go | head -n 1)
[ -n "$version" ] || { echo "version/version.go names no version" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q . "$work/packer-plugin-orgami"
here=$PWD
cd "$work/packer-plugin-orgami"
git tag "v$version"
"$goreleaser" check
sed -e "s/^    goos: .*/    goos: [$(go env GOOS)]/" -e "s/^    goarch: .*/    goarch: [$(go env GOARCH)]/" .goreleaser.yml >"$work/here.yml"
"$goreleaser" release --config "$work/here.yml" --clean --skip=publish,announce,sign,validate >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
cat dist/*_SHA256SUMS
cd "$here"
ORGAMI_TEST_PACKER=$packer ORGAMI_TEST_RELEASE="$work/packer-plugin-orgami/dist" go test -count 1 -run '^TestRelease$' -v ./test/e2e
