package ami

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/internal/change"
)

const (
	theKey   = "arn:aws:kms:eu-west-1:111111111111:key/mrk-1"
	otherKey = "arn:aws:kms:eu-west-1:111111111111:key/mrk-2"
)

func image(id, state string, keys ...string) Image {
	i := Image{Region: "eu-west-1", ID: id, Name: "golden-shared", State: state, Owner: "111111111111"}
	for n, key := range keys {
		i.Snapshots = append(i.Snapshots, Snapshot{ID: fmt.Sprintf("snap-%d", n), Encrypted: key != "", KeyARN: key})
	}
	return i
}

// made marks the image as a copy of ami-source.
func made(i Image) Image {
	i.Tags = map[string]string{TagSourceImage: "ami-source", TagSourceRegion: "us-east-1", TagCopy: "orgami-1"}
	return i
}

func wanted() Want {
	source := image("ami-source", "available", "aws/ebs")
	source.Region, source.Name = "us-east-1", "golden"
	return Want{Region: "eu-west-1", Name: "golden-shared", KeyARN: theKey, Source: source}
}

func TestDiff(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Want)
		named  []Image
		id     string
		action change.Action
		says   string
	}{
		"nothing there":         {action: change.Create},
		"copy there":            {named: []Image{made(image("ami-1", "available", theKey, theKey))}, id: "ami-1", action: change.NoOp},
		"copy pending":          {named: []Image{made(image("ami-1", "pending"))}, id: "ami-1", action: change.NoOp},
		"copy failed":           {named: []Image{made(image("ami-1", "failed"))}, action: change.Create},
		"failed, then copied":   {named: []Image{made(image("ami-1", "failed")), made(image("ami-2", "available", theKey))}, id: "ami-2", action: change.NoOp},
		"pending and available": {named: []Image{made(image("ami-1", "pending")), made(image("ami-2", "available", theKey))}, id: "ami-2", action: change.NoOp},
		"somebody else's name":  {named: []Image{image("ami-1", "available", theKey)}, says: "not a copy of ami-source"},
		"another source's copy": {named: []Image{func() Image {
			i := made(image("ami-1", "available", theKey))
			i.Tags[TagSourceImage] = "ami-x"
			return i
		}()}, says: "set ami_name"},
		"under another key": {named: []Image{made(image("ami-1", "available", theKey, otherKey))}, says: "not encrypted with key " + theKey},
		"two copies":        {named: []Image{made(image("ami-1", "available", theKey)), made(image("ami-2", "available", theKey))}, says: "ami-1 and ami-2"},
		"key to be created": {change: func(w *Want) { w.KeyARN = "" }, named: []Image{made(image("ami-1", "available", ""))}, says: "still to be created"},
		"source is under the key": {
			change: func(w *Want) { w.Source = image("ami-source", "available", theKey, theKey) },
			id:     "ami-source", action: change.NoOp,
		},
		"source is half under the key": {
			change: func(w *Want) { w.Source = image("ami-source", "available", theKey, "") }, action: change.Create,
		},
		"source under the key of another region": {
			change: func(w *Want) { w.Source.Snapshots[0].KeyARN = strings.Replace(theKey, "eu-west-1", "us-east-1", 1) }, action: change.Create,
		},
		"too many tags": {
			change: func(w *Want) {
				w.CopySourceTags = true
				w.Source.Tags = map[string]string{}
				for n := range 48 {
					w.Source.Tags[fmt.Sprint(n)] = ""
				}
			},
			says: "51 tags",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := wanted()
			if test.change != nil {
				test.change(&w)
			}
			plan, err := Diff(w, test.named)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("error is %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if plan.ImageID() != test.id || plan.Change().Action != test.action {
				t.Errorf("plan is %+v", plan.Change())
			}
		})
	}
}

func TestClientTokenDependsOnEveryPart(t *testing.T) {
	source := wanted().Source
	base := clientToken(source, "eu-west-1", theKey, "n", nil)
	if base != clientToken(source, "eu-west-1", theKey, "n", nil) {
		t.Error("the token is not repeatable")
	}
	if len(base) > 64 {
		t.Errorf("the token is %d characters long", len(base))
	}
	elsewhere, another := source, source
	elsewhere.Region, another.ID = "us-west-2", "ami-other"
	for name, token := range map[string]string{
		"source region": clientToken(elsewhere, "eu-west-1", theKey, "n", nil),
		"source":        clientToken(another, "eu-west-1", theKey, "n", nil),
		"region":        clientToken(source, "eu-west-2", theKey, "n", nil),
		"key":           clientToken(source, "eu-west-1", otherKey, "n", nil),
		"name":          clientToken(source, "eu-west-1", theKey, "m", nil),
		"attempt":       clientToken(source, "eu-west-1", theKey, "n", []string{"ami-dead"}),
	} {
		if token == base {
			t.Errorf("the token does not depend on the %s", name)
		}
	}
}

func TestTags(t *testing.T) {
	w := wanted()
	w.Source.Tags = map[string]string{"team": "base", "kept": "yes", "aws:x": "1", TagCopy: "orgami-old"}
	w.Tags, w.SnapshotTags = map[string]string{"team": "mine"}, map[string]string{"cost": "1"}
	marks := map[string]string{TagSourceImage: "ami-source", TagSourceRegion: "us-east-1", TagCopy: "token"}
	with := func(more map[string]string) map[string]string {
		all := maps.Clone(marks)
		maps.Copy(all, more)
		return all
	}
	if diff := cmp.Diff(with(map[string]string{"team": "mine"}), w.imageTags("token")); diff != "" {
		t.Error(diff)
	}
	w.CopySourceTags = true
	if diff := cmp.Diff(with(map[string]string{"team": "mine", "kept": "yes"}), w.imageTags("token")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(with(map[string]string{"cost": "1"}), w.snapshotTags("token")); diff != "" {
		t.Error(diff)
	}
}

func TestFits(t *testing.T) {
	source := wanted().Source
	source.Hardware = Hardware{Architecture: "arm64", BootMode: "uefi", TPM: "v2.0", Virtualization: "hvm", RootDeviceName: "/dev/xvda"}
	for name, test := range map[string]struct {
		change func(*Image)
		says   string
	}{
		"as it must be":      {func(*Image) {}, ""},
		"pending":            {func(i *Image) { i.State = "pending" }, "state"},
		"somebody else's":    {func(i *Image) { i.Owner = "222222222222" }, "owner"},
		"architecture":       {func(i *Image) { i.Hardware.Architecture = "x86_64" }, "architecture"},
		"boot mode":          {func(i *Image) { i.Hardware.BootMode = "" }, "boot mode"},
		"TPM":                {func(i *Image) { i.Hardware.TPM = "" }, "TPM"},
		"virtualization":     {func(i *Image) { i.Hardware.Virtualization = "paravirtual" }, "virtualization"},
		"root device":        {func(i *Image) { i.Hardware.RootDeviceName = "/dev/sda1" }, "root device"},
		"a snapshot too few": {func(i *Image) { i.Snapshots = nil }, "0 snapshots"},
		"not encrypted":      {func(i *Image) { i.Snapshots[0].Encrypted = false }, "not encrypted"},
		"under another key":  {func(i *Image) { i.Snapshots[0].KeyARN = otherKey }, "encrypted with key " + otherKey},
		"all of it at once":  {func(i *Image) { i.State = "failed"; i.Snapshots[0].KeyARN = otherKey }, "not \"available\"\nsnapshot"},
	} {
		t.Run(name, func(t *testing.T) {
			i := made(image("ami-1", "available", theKey))
			i.Hardware = source.Hardware
			test.change(&i)
			err := i.fits(Want{Source: source}, theKey)
			switch {
			case test.says == "" && err != nil:
				t.Error(err)
			case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
				t.Errorf("error is %v", err)
			}
		})
	}
}
