package ami

import (
	"context"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// tell tells how far the copy is, if it is time to.
func (c *copier) tell(ctx context.Context, pending Image) {
	if !c.stage.ShouldReport() {
		return
	}
	percent, _ := strconv.Atoi(strings.TrimSuffix(slowest(ctx, c.client, pending), "%")) // 0 if nobody knows
	c.stage.Percent(percent, "copying "+c.desired.Source.ID+" to "+pending.ID)
}

// slowest is the progress of the slowest of the image's snapshots, as EC2 words
// it: "47%". It is empty if it cannot be read: no reason to fail.
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
