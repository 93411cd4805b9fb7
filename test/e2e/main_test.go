package e2e

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// The tests mostly wait: for Packer, and for what AWS takes a while to show. So more of
// them run at the same time than there are processors, unless -parallel says otherwise.
// No test may leave a goroutine behind.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
