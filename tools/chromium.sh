#!/usr/bin/env bash
# Prints the path of Chromium. Where there is none, installs Debian's package,
# which only root can.
set -euo pipefail

find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

if ! find_chromium; then
	if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
		echo "there is no Chromium: install it, on Debian by 'sudo apt-get install chromium'" >&2
		exit 1
	fi
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; } >&2
	find_chromium
fi
