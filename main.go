// Packer-plugin-orgami publishes an AMI to an AWS organization: encrypted in
// every Region with one multi-Region key, verified, and shared.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/packer-plugin-sdk/plugin"

	"github.com/orgami/packer-plugin-orgami/builder/existing"
	"github.com/orgami/packer-plugin-orgami/datasource/key"
	"github.com/orgami/packer-plugin-orgami/post-processor/publish"
	"github.com/orgami/packer-plugin-orgami/version"
)

func main() {
	plugins := plugin.NewSet()
	plugins.RegisterBuilder("existing", new(existing.Builder))
	plugins.RegisterDatasource("key", new(key.Datasource))
	plugins.RegisterPostProcessor("publish", new(publish.PostProcessor))
	plugins.SetVersion(version.Plugin)
	if err := plugins.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
