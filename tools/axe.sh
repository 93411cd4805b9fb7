#!/usr/bin/env bash
# Prints the path of axe-core, which checks pages for accessibility. npm downloads it
# once into the cache.
set -euo pipefail
version=4.10.3
cache=${XDG_CACHE_HOME:-$HOME/.cache}/orgami/axe-core-$version
if [ ! -f "$cache/axe.min.js" ]; then
	command -v npm >/dev/null || { echo "there is no npm" >&2; exit 1; }
	mkdir -p "$cache"
	temporary=$(mktemp -d "$cache/.build-XXXXXX")
	trap 'rm -rf "$temporary"' EXIT
	(cd "$temporary" && npm pack --silent "axe-core@$version" >/dev/null && tar -xzf axe-core-*.tgz package/axe.min.js)
	mv "$temporary/package/axe.min.js" "$cache/axe.min.js"
fi
echo "$cache/axe.min.js"
