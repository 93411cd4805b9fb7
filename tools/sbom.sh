#!/usr/bin/env bash
# Writes the list of the plugin's components (CycloneDX) to the file; goreleaser
# calls it in its dist folder.
set -euo pipefail
document=$PWD/${1:?usage: tools/sbom.sh FILE}
cd "$(dirname "$0")/.."
sbom=$(tools/build.sh sbom)
"$sbom" app -json -licenses -output "$document" .
