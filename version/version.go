// Package version holds the plugin's version.
package version

import "github.com/hashicorp/packer-plugin-sdk/version"

var (
	// Version is the release, X.Y.Z; builds may set it by -ldflags.
	Version = "0.1.0"

	// Prerelease is "dev" between releases and empty in a release; Packer
	// installs no other prerelease.
	Prerelease = "dev"

	// Metadata is build metadata; unused.
	Metadata = ""
)

// Plugin is the version that the plugin reports to Packer.
var Plugin = version.NewPluginVersion(Version, Prerelease, Metadata)
