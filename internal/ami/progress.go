package ami

import (
	"context"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// tell reports the copy's progress if an update is due.
func (c *copier) tell(ctx context.Context, pending Image) {
	if !c.stage.ShouldReport(c.desired.Region) {
		return
	}
	percent, _ := strconv.Atoi(strings.TrimSuffix(slowest(ctx, c.client, pending), "%")) // 0 if it isn't known
	c.stage.Percent(c.desired.Region, percent)
}

// slowest returns the progress of the image's slowest snapshot in EC2's words,
// for example "47%". It is "" if the progress can't be read, which isn't a reason
// to fail.
func slowest(ctx context.Context, client *ec2.Client, image Image) string {
	if err := readSnapshots(ctx, client, image.Region, []Image{image}); err != nil {
		return ""
	}
	least, word := 101, ""
	for _, s := range image.Snapshots {
		if percent, err := strconv.Atoi(strings.TrimSuffix(s.Progress, "%")); err == nil && percent < least {
			least, word = percent, s.Progress
		}
	}
	return word
}
