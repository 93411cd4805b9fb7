#!/usr/bin/env bash
# Renders the HCL specs (*.hcl2spec.go), docs-partials and .web-docs from the
# config docstrings, with packer-sdc. With --check it changes nothing and fails
# when a generated file is out of date.
#
# packer-sdc struct-markdown walks up to a folder whose name begins with
# packer-plugin- and never ends without one, and a folder named "packer" on the
# way makes it write nothing. So it runs in a copy of the tree, under a name and
# a path of our choice, and under a time limit.
set -euo pipefail
cd "$(dirname "$0")/.."
check=false
[ "${1:-}" = --check ] && check=true

sdc=$(tools/build.sh sdc)
go mod download # without the modules, packer-sdc silently drops squashed structs

copy=$(cd "$(mktemp -d "${TMPDIR:-/tmp}/orgami-generate-XXXXXX")" && pwd -P)
trap 'rm -rf "$copy"' EXIT
case $copy in */packer/*) echo "packer-sdc writes nothing below a folder named packer: set TMPDIR to another than $TMPDIR" >&2; exit 1 ;; esac
tree=$copy/packer-plugin-orgami
mkdir "$tree"
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
	[ -e "$file" ] && printf '%s\0' "$file"
done | tar --null -T - -cf - | tar -C "$tree" -xf -

slug() { # of a kind of component, from the folder of its pages
	case $1 in datasources) echo data-source ;; *) echo "${1%s}" ;; esac
}

# What no source makes any more must not stay.
find "$tree" -name '*.hcl2spec.go' -delete
rm -rf "$tree/docs-partials" "$tree/.web-docs/components"

mkdir "$copy/bin" && ln -s "$sdc" "$copy/bin/packer-sdc"
(
	cd "$tree"
	export PATH="$copy/bin:$PATH"
	limit=timeout
	command -v timeout >/dev/null || limit='' # not everywhere
	${limit:+timeout 300} go generate ./... || { echo "go generate failed or did not end within 300 s" >&2; exit 1; }
	if [ -d docs ] && ls docs/*/*.mdx >/dev/null 2>&1; then
		rm -rf .docs && packer-sdc renderdocs -src docs -dst .docs -partials docs-partials
		mkdir -p .web-docs/components
		for kind in builders post-processors datasources; do
			for page in .docs/"$kind"/*.mdx; do
				[ -e "$page" ] || continue
				component=.web-docs/components/$(slug "$kind")/$(basename "$page" .mdx)
				mkdir -p "$component" && cp "$page" "$component/README.md"
			done
		done
		rm -rf .docs
	fi
)

# packer-sdc ends with 0 also where it wrote nothing.
for made in docs-partials .web-docs/components; do
	[ -n "$(ls -A "$tree/$made" 2>/dev/null)" ] || { echo "packer-sdc wrote nothing into $made" >&2; exit 1; }
done

outdated=0
generated() { # of a tree
	(cd "$1" && find . \( -name '*.hcl2spec.go' -o -path './docs-partials/*' -o -path './.web-docs/components/*' \) -type f -not -path './build/*' | sort)
}
while read -r file; do
	if ! cmp -s "$tree/$file" "$file"; then
		outdated=1
		if $check; then
			echo "out of date: $file" >&2
			diff -u "$file" "$tree/$file" >&2 || true
		elif [ -e "$tree/$file" ]; then
			mkdir -p "$(dirname "$file")" && cp "$tree/$file" "$file" && echo "wrote $file"
		else
			rm "$file" && echo "removed $file"
		fi
	fi
done < <({ generated "$tree"; generated .; } | sort -u)
if $check && [ $outdated = 1 ]; then
	echo "run 'make generate' and commit the result" >&2
	exit 1
fi
