package publish

import (
	"strings"
	"testing"
)

// The error for a duration in days says what to write instead.
func TestDurationInDays(t *testing.T) {
	for _, age := range []string{"30d", "2w", "30"} {
		_, err := configure(t, minimal+"\nwait_timeout = \""+age+"\"")
		if err == nil || !strings.Contains(err.Error(), "30 days are 720h") || !strings.Contains(err.Error(), "wait_timeout") {
			t.Errorf("%s: %v", age, err)
		}
	}
}
