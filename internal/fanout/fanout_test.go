package fanout_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/fanout"
)

func TestCollectTriesAllAndReportsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		got, err := fanout.Collect(t.Context(), []string{"c", "b", "a", "d"}, func(_ context.Context, region string) (string, error) {
			time.Sleep(time.Second)
			if region == "c" || region == "a" {
				return "", errors.New(region + " failed")
			}
			return region + region, nil
		})
		if diff := cmp.Diff(map[string]string{"b": "bb", "d": "dd"}, got); diff != "" {
			t.Error(diff)
		}
		if err == nil || err.Error() != "a failed\nc failed" {
			t.Errorf("error is %v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v: not side by side", took)
		}
	})
}
