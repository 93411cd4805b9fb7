package e2e

import (
	"os"
	"testing"
)

// largest is the maximum size of the stripped plugin. It would be 30 MB larger if any
// code converted an EC2 client to an interface, because the linker would keep all of
// EC2's operations.
const largest = 28_000_000

func TestPluginIsSmall(t *testing.T) {
	t.Parallel()
	info, err := os.Stat(binary(t, "ORGAMI_TEST_PLUGIN"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > largest {
		t.Errorf("the plugin has %d bytes, more than %d: is an *ec2.Client converted to an interface?", info.Size(), largest)
	}
}
