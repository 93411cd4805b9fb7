#!/usr/bin/env bash
# Collects the licenses of everything that is linked into the plugin.
#
#     tools/licenses.sh table    the table of docs/licenses.md, on standard output
#     tools/licenses.sh texts    the texts, as a release carries them
set -euo pipefail
cd "$(dirname "$0")/.."
export GOOS=linux GOARCH=amd64 GOFLAGS=-mod=readonly CGO_ENABLED=0 LC_ALL=C
collect=$(tools/build.sh licenses)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# It also asks for the addresses of the texts, which takes a network and is not
# needed: its warnings about that go nowhere, unless it fails.
go_licenses() {
	"$collect" "$@" --ignore github.com/orgami 2>"$work/errors" || { cat "$work/errors" >&2; exit 1; }
}

go_licenses check . --allowed_licenses=Apache-2.0,BSD-2-Clause,BSD-3-Clause,MIT,MPL-2.0
case ${1:?usage: tools/licenses.sh table|texts} in
table)
	cat <<'TABLE'
# Licenses

The plugin is under the [MPL-2.0](../LICENSE). What is linked into it, by `make licenses`; a release carries the texts, in `LICENSES.txt`.

| package | license |
| --- | --- |
TABLE
	go_licenses report . | awk -F, '{ print "| " $1 " | " $3 " |" }' | sort
	;;
texts)
	go_licenses save . --save_path "$work/texts"
	cd "$work/texts"
	find . -type f | sort | while read -r file; do
		case $(basename "$file" | tr '[:lower:]' '[:upper:]') in
		*LICENSE* | *LICENCE* | *COPYING* | *NOTICE*) printf '==== %s\n\n' "${file#./}"; cat "$file"; echo ;;
		esac
	done
	;;
*) echo "usage: tools/licenses.sh table|texts" >&2; exit 1 ;;
esac
