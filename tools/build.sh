#!/usr/bin/env bash
# Builds one of the tools pinned under tools/ once, into a cache outside the
# checkout, and prints the path of the binary:
#
#     tools/build.sh packer|amazon|sdc|lint|actionlint|vale|gotestsum|goreleaser|sbom|licenses|govulncheck
#
# The cache is $XDG_CACHE_HOME/orgami, or ~/.cache/orgami, keyed by tool and
# version. Versions come from tools/NAME/go.mod and from nowhere else.
set -euo pipefail

name=${1:?usage: tools/build.sh NAME}
here=$(cd "$(dirname "$0")" && pwd)
module=$here/$name
cd "$module"

package=$(sed -n 's/^tool //p' go.mod)
binary=$name
case $name in # how long: two cores and an empty cache
packer) duration="about 5 minutes" ;;
amazon) binary=packer-plugin-amazon duration="about 5 minutes" ;; # Packer wants plugins by this name
sdc) binary=packer-sdc duration="under a minute" ;;
sbom) binary=cyclonedx-gomod duration="under a minute" ;;
govulncheck) duration="under a minute" ;;
licenses) binary=go-licenses duration="under a minute" ;;
goreleaser) duration="about 5 minutes" ;;
vale) duration="about 1 minute" ;;
lint) binary=golangci-lint duration="about 3 minutes" ;;
*) duration="under a minute" ;;
esac

# The version of the module that the package belongs to: the longest required
# path that the package's begins with.
version=$(awk -v package="$package" '
	{ path = $1 == "require" ? $2 : $1; v = $1 == "require" ? $3 : $2 }
	v ~ /^v[0-9]/ && index(package "/", path "/") == 1 && length(path) > length(best) { best = path; version = v }
	END { print version }' go.mod)
[ -n "$version" ] || { echo "tools/$name/go.mod requires no module of $package" >&2; exit 1; }

# A suitable Packer on the PATH is as good: 1.11 or newer.
if [ "$name" = packer ] && found=$(command -v packer); then
	if CHECKPOINT_DISABLE=1 "$found" version 2>/dev/null | head -n 1 |
		awk '{ split(substr($2, 2), v, "."); exit !($1 == "Packer" && (v[1] > 1 || v[1] == 1 && v[2] >= 11)) }'; then
		echo "$found"
		exit 0
	fi
fi

# Tools run here, whatever the caller builds for.
GOOS=$(go env GOHOSTOS) GOARCH=$(go env GOHOSTARCH)
export GOOS GOARCH GOWORK=off GOFLAGS=-mod=readonly CGO_ENABLED=0
[ "$name" != vale ] || CGO_ENABLED=1 # its parsers of source code are written in C

cache=${XDG_CACHE_HOME:-$HOME/.cache}/orgami/$name-$version-$GOOS-$GOARCH
if [ ! -x "$cache/$binary" ]; then
	mkdir -p "$cache"
	started=$SECONDS
	echo "building $binary $version, once; $duration (into $cache)…" >&2
	# Built aside and renamed: two builds at once do not disturb each other.
	temporary=$(mktemp -d "$cache/.build-XXXXXX")
	trap 'rm -rf "$temporary"' EXIT
	go build -ldflags='-s -w' -o "$temporary/$binary" "$package" 2> >(grep -v '^go: downloading' >&2)
	mv "$temporary/$binary" "$cache/$binary"
	echo "built $binary $version in $((SECONDS - started)) s" >&2
fi
echo "$cache/$binary"
