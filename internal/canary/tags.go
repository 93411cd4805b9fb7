package canary

import (
	"fmt"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// Tags of everything that a canary creates.
const (
	// TagRun holds the ID of the run.
	TagRun = policy.TagCanary
	// TagUntil holds the time, in RFC 3339, by which the run has certainly ended.
	TagUntil = "orgami:canary-until"

	tagName = "Name"
)

// namePrefix is followed by the ID of the run, and by the number of its attempt.
const namePrefix = "orgami-canary-"

// runName is the form of [regional.name].
var runName = regexp.MustCompile(`^orgami-canary-([0-9a-f]{16})-[0-9]+$`)

// name is the name of what an attempt creates.
func (r regional) name(attempt int) string { return fmt.Sprintf("%s%s-%d", namePrefix, r.run, attempt) }

// tags are the tags of what an attempt creates.
func (r regional) tags(attempt int) map[string]string {
	return map[string]string{
		TagRun: r.run, tagName: r.name(attempt), ami.TagPublication: r.Publication,
		TagUntil: time.Now().Add(r.Timeout + removalTimeout).UTC().Format(time.RFC3339),
	}
}

// removable reports whether a resource is a canary's of a run that has ended: another
// run of the publication, or one whose time is over. Tags and name must agree. A
// concurrent run of the same publication notices the loss, and launches again.
func (r regional) removable(tags map[string]string, name string) bool {
	match := runName.FindStringSubmatch(name)
	if match == nil || match[1] != tags[TagRun] || tags[TagRun] == r.run {
		return false
	}
	until, err := time.Parse(time.RFC3339, tags[TagUntil])
	if err != nil {
		return false
	}
	return tags[ami.TagPublication] == r.Publication || time.Now().After(until)
}

func tagMap(tags []types.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return m
}

func ec2Tags(tags map[string]string) []types.Tag {
	var list []types.Tag
	for _, key := range []string{tagName, TagRun, TagUntil, ami.TagPublication} {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}

func specify(tags map[string]string, kinds ...types.ResourceType) []types.TagSpecification {
	var list []types.TagSpecification
	for _, kind := range kinds {
		list = append(list, types.TagSpecification{ResourceType: kind, Tags: ec2Tags(tags)})
	}
	return list
}
