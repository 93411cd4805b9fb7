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
	i := Image{Region: "eu-west-1", ID: id, Name: "golden-shared", State: state, Owner: "111111111111", CreationDate: "2026-01-01T00:00:00.000Z"}
	for n, key := range keys {
		i.Snapshots = append(i.Snapshots, Snapshot{ID: fmt.Sprintf("snap-%d", n), Read: true, State: "completed", Encrypted: key != "", KeyARN: key})
	}
	return i
}

func desired() Desired {
	source := image("ami-source", "available", "aws/ebs")
	source.Region, source.Name = "us-east-1", "golden"
	return Desired{Region: "eu-west-1", Name: "golden-shared", Publication: PublicationID([]Image{source}), KeyID: "mrk-1", KeyARN: theKey, Source: source}
}

// marked marks the image as a copy of the desired publication, and changes it.
func marked(i Image, changes ...func(*Image)) Image {
	i.Tags = desired().marks(StateUnpublished)
	for _, change := range changes {
		change(&i)
	}
	return i
}

func published(i *Image) { i.Tags[TagState] = StatePublished }

func ofAnother(i *Image) { i.Tags[TagPublication], i.Tags[TagSourceImage] = "pub-other", "ami-other" }

func otherKeyTag(i *Image) { i.Tags[TagKey] = "mrk-2" }

func named(name string) func(*Image) { return func(i *Image) { i.Name = name } }

func created(date string) func(*Image) { return func(i *Image) { i.CreationDate = date } }

// TestDiff checks which image is used and what is a problem, for images of the
// wanted name and of the publication in every state.
func TestDiff(t *testing.T) {
	shared := map[string]Shared{"ami-2": {Image: Permissions{Organizations: []string{"o-1"}}}}
	for name, test := range map[string]struct {
		change func(*Desired)
		images []Image
		shared map[string]Shared
		id     string
		says   string
	}{
		"nothing there":                        {},
		"copy there":                           {images: []Image{marked(image("ami-1", "available", theKey, theKey))}, id: "ami-1"},
		"published copy there":                 {images: []Image{marked(image("ami-1", "available", theKey), published)}, id: "ami-1"},
		"copy pending":                         {images: []Image{marked(image("ami-1", "pending"))}, id: "ami-1"},
		"copy pending with another key":        {images: []Image{marked(image("ami-1", "pending"), otherKeyTag)}},
		"copy failed":                          {images: []Image{marked(image("ami-1", "failed"))}},
		"copy deregistered":                    {images: []Image{marked(image("ami-1", "deregistered"))}},
		"copy in an unknown state":             {images: []Image{marked(image("ami-1", "frobnicated"))}},
		"failed, then copied":                  {images: []Image{marked(image("ami-1", "failed")), marked(image("ami-2", "available", theKey))}, id: "ami-2"},
		"pending and available":                {images: []Image{marked(image("ami-1", "pending")), marked(image("ami-2", "available", theKey))}, id: "ami-2"},
		"two available: the oldest":            {images: []Image{marked(image("ami-1", "available", theKey), created("2026-01-02T00:00:00.000Z")), marked(image("ami-2", "available", theKey))}, id: "ami-2"},
		"two available: the shared one":        {images: []Image{marked(image("ami-1", "available", theKey)), marked(image("ami-2", "available", theKey), created("2026-01-02T00:00:00.000Z"))}, shared: shared, id: "ami-2"},
		"an image of someone else":             {images: []Image{image("ami-1", "available", theKey)}, says: "isn't a copy of ami-source"},
		"a pending image of someone else":      {images: []Image{image("ami-1", "pending")}, says: "isn't a copy of ami-source"},
		"a failed image of someone else":       {images: []Image{image("ami-1", "failed")}},
		"a disabled image of someone else":     {images: []Image{image("ami-1", "disabled", theKey)}, says: "isn't a copy"},
		"unpublished copy of another source":   {images: []Image{marked(image("ami-1", "available", theKey), ofAnother)}},
		"half-shared copy of another source":   {images: []Image{marked(image("ami-2", "available", theKey), ofAnother)}, shared: shared, says: "is a copy of ami-other"},
		"published copy of another source":     {images: []Image{marked(image("ami-1", "available", theKey), ofAnother, published)}, says: "Set `ami_name`"},
		"disabled copy of another source":      {images: []Image{marked(image("ami-1", "disabled", theKey), ofAnother)}},
		"disabled published, another source":   {images: []Image{marked(image("ami-1", "disabled", theKey), ofAnother, published)}, says: "enable-image"},
		"disabled published copy":              {images: []Image{marked(image("ami-1", "disabled", theKey), published)}, says: "aws ec2 enable-image --region eu-west-1 --image-id ami-1"},
		"disabled unpublished copy":            {images: []Image{marked(image("ami-1", "disabled", theKey))}, says: "enable-image"},
		"unpublished with another key":         {images: []Image{marked(image("ami-1", "available", theKey, otherKey))}},
		"published with another key":           {images: []Image{marked(image("ami-1", "available", otherKey), published, otherKeyTag)}, says: "encrypted with key mrk-2"},
		"published, a snapshot not encrypted":  {images: []Image{marked(image("ami-1", "available", theKey, ""), published)}, says: "isn't encrypted with " + theKey},
		"snapshots not read":                   {images: []Image{marked(image("ami-1", "available", theKey), func(i *Image) { i.Snapshots[0] = Snapshot{ID: "snap-0"} })}, id: "ami-1"},
		"published, snapshots not read":        {images: []Image{marked(image("ami-1", "available", theKey), published, func(i *Image) { i.Snapshots[0] = Snapshot{ID: "snap-0"} })}, id: "ami-1"},
		"copy with another name":               {images: []Image{marked(image("ami-1", "available", theKey), named("x"))}},
		"copy with the alternate name":         {images: []Image{marked(image("ami-1", "available", theKey), named(desired().alternateName()))}, id: "ami-1"},
		"copy with other tags":                 {images: []Image{marked(image("ami-1", "available", theKey), func(i *Image) { i.Tags["team"] = "x" })}, id: "ami-1"},
		"key to be created":                    {change: func(d *Desired) { d.KeyARN, d.KeyID = "", "" }, images: []Image{marked(image("ami-1", "available", ""))}},
		"key to be created, published before":  {change: func(d *Desired) { d.KeyARN, d.KeyID = "", "" }, images: []Image{marked(image("ami-1", "available", otherKey), published)}, says: "a key that doesn't exist yet"},
		"source encrypted with the key":        {change: func(d *Desired) { d.Source = image("ami-source", "available", theKey, theKey) }, id: "ami-source"},
		"source half encrypted":                {change: func(d *Desired) { d.Source = image("ami-source", "available", theKey, "") }},
		"source is a kept copy":                {change: func(d *Desired) { d.Source = marked(image("ami-1", "available", theKey)) }, images: []Image{marked(image("ami-1", "available", theKey))}, id: "ami-1"},
		"source is kept, another is shared":    {change: func(d *Desired) { d.Source = marked(image("ami-1", "available", theKey)) }, images: []Image{marked(image("ami-1", "available", theKey)), marked(image("ami-2", "available", theKey))}, shared: shared, id: "ami-2"},
		"source encrypted with another Region": {change: func(d *Desired) { d.Source.Snapshots[0].KeyARN = strings.Replace(theKey, "eu-west-1", "us-east-1", 1) }},
		"too many tags": {
			change: func(d *Desired) {
				d.CopySourceTags = true
				d.Source.Tags = map[string]string{}
				for n := range 45 {
					d.Source.Tags[fmt.Sprint(n)] = ""
				}
			},
			says: "51 tags",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := desired()
			if test.change != nil {
				test.change(&d)
			}
			plan := Diff(d, Observed{Images: test.images, Shared: test.shared})
			says := strings.Join(plan.Problems(), "; ")
			if test.says == "" && says != "" || !strings.Contains(says, test.says) {
				t.Errorf("problems are %q", says)
			}
			if test.says != "" {
				return
			}
			want := change.NoOp
			if test.id == "" {
				want = change.Create
			}
			if plan.ImageID() != test.id || plan.Changes()[0].Action != want {
				t.Errorf("the plan uses %q: %+v", plan.ImageID(), plan.Changes())
			}
		})
	}
}

func TestPublicationID(t *testing.T) {
	one, two := Image{Region: "eu-west-1", ID: "ami-1"}, Image{Region: "us-east-1", ID: "ami-2"}
	id := PublicationID([]Image{one, two})
	if id != PublicationID([]Image{two, one}) {
		t.Error("the ID depends on the order of the sources")
	}
	if id == PublicationID([]Image{one}) {
		t.Error("the ID doesn't depend on every source")
	}
	if kept := (Image{Region: "ap-south-1", ID: "ami-9", Tags: map[string]string{TagPublication: id}}); id != PublicationID([]Image{kept}) {
		t.Error("a copy doesn't have the ID of its originals")
	}
}

func TestClientTokenDependsOnEveryPart(t *testing.T) {
	base := clientToken(desired(), "n", 0)
	if base != clientToken(desired(), "n", 0) {
		t.Error("the token is not repeatable")
	}
	if len(base) > 64 {
		t.Errorf("the token is %d characters long", len(base))
	}
	with := func(change func(*Desired)) string {
		d := desired()
		change(&d)
		return clientToken(d, "n", 0)
	}
	for name, token := range map[string]string{
		"source Region": with(func(d *Desired) { d.Source.Region = "us-west-2" }),
		"source":        with(func(d *Desired) { d.Source.ID = "ami-other" }),
		"Region":        with(func(d *Desired) { d.Region = "eu-west-2" }),
		"key":           with(func(d *Desired) { d.KeyARN = otherKey }),
		"publication":   with(func(d *Desired) { d.Publication = "pub-other" }),
		"name":          clientToken(desired(), "m", 0),
		"link":          clientToken(desired(), "n", 1),
	} {
		if token == base {
			t.Errorf("the token does not depend on the %s", name)
		}
	}
}

func TestTags(t *testing.T) {
	d := desired()
	d.Source.Tags = map[string]string{"team": "base", "kept": "yes", "aws:x": "1", "orgami:x": "old"}
	d.Tags, d.SnapshotTags = map[string]string{"team": "mine"}, map[string]string{"cost": "1"}
	marks := map[string]string{
		TagPublication: d.Publication, TagSourceImage: "ami-source", TagSourceRegion: "us-east-1", TagDigest: d.Source.Digest(),
		TagKey: "mrk-1", TagState: StateUnpublished,
	}
	with := func(more map[string]string) map[string]string {
		all := maps.Clone(marks)
		maps.Copy(all, more)
		return all
	}
	if diff := cmp.Diff(with(map[string]string{"team": "mine"}), d.imageTags()); diff != "" {
		t.Error(diff)
	}
	d.CopySourceTags = true
	if diff := cmp.Diff(with(map[string]string{"team": "mine", "kept": "yes"}), d.imageTags()); diff != "" {
		t.Error(diff)
	}
	delete(marks, TagState)
	if diff := cmp.Diff(with(map[string]string{"cost": "1"}), d.snapshotTags()); diff != "" {
		t.Error(diff)
	}
	d.Family = "golden"
	if n := len(d.marks(StateUnpublished)); n != ReservedTags {
		t.Errorf("%d tags are the plugin's own, and %d are reserved", n, ReservedTags)
	}
}

func TestVerify(t *testing.T) {
	d := desired()
	d.Source.Hardware = Hardware{Architecture: "arm64", BootMode: "uefi", TPM: "v2.0", IMDS: "v2.0", Virtualization: "hvm", RootDeviceName: "/dev/xvda", SRIOV: "simple", ENA: true}
	for name, test := range map[string]struct {
		change func(*Image)
		says   string
	}{
		"unchanged":          {func(*Image) {}, ""},
		"pending":            {func(i *Image) { i.State = "pending" }, "state"},
		"another's":          {func(i *Image) { i.Owner = "222222222222" }, "owner"},
		"architecture":       {func(i *Image) { i.Hardware.Architecture = "x86_64" }, "architecture"},
		"boot mode":          {func(i *Image) { i.Hardware.BootMode = "" }, "boot mode"},
		"TPM":                {func(i *Image) { i.Hardware.TPM = "" }, "TPM"},
		"IMDS":               {func(i *Image) { i.Hardware.IMDS = "" }, "IMDS"},
		"ENA":                {func(i *Image) { i.Hardware.ENA = false }, "ENA"},
		"SR-IOV":             {func(i *Image) { i.Hardware.SRIOV = "" }, "SR-IOV"},
		"virtualization":     {func(i *Image) { i.Hardware.Virtualization = "paravirtual" }, "virtualization"},
		"root device":        {func(i *Image) { i.Hardware.RootDeviceName = "/dev/sda1" }, "root device"},
		"a snapshot too few": {func(i *Image) { i.Snapshots = nil }, "0 snapshots"},
		"another size":       {func(i *Image) { i.Snapshots[0].Size = 9 }, "differ from those of the original"},
		"another device":     {func(i *Image) { i.Snapshots[0].Device = "/dev/xvdz" }, "differ from those of the original"},
		"not encrypted":      {func(i *Image) { i.Snapshots[0].Encrypted = false }, "not encrypted"},
		"not returned":       {func(i *Image) { i.Snapshots[0] = Snapshot{ID: "snap-0"} }, "doesn't return snapshot"},
		"without its key":    {func(i *Image) { i.Snapshots[0].KeyARN = "" }, "doesn't report the key"},
		"under another key":  {func(i *Image) { i.Snapshots[0].KeyARN = otherKey }, "encrypted with key " + otherKey},
		"not completed":      {func(i *Image) { i.Snapshots[0].State = "pending" }, `"pending", not completed`},
		"all of it at once":  {func(i *Image) { i.State = "failed"; i.Snapshots[0].KeyARN = otherKey }, "not \"available\"\nsnapshot"},
	} {
		t.Run(name, func(t *testing.T) {
			i := marked(image("ami-1", "available", theKey))
			i.Hardware = d.Source.Hardware
			test.change(&i)
			err := i.verify(d)
			switch {
			case test.says == "" && err != nil:
				t.Error(err)
			case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
				t.Errorf("error is %v", err)
			}
		})
	}
}

// TestVerifyWithoutTheOriginal checks that a copy of a kept copy is compared with the
// digest of the original, which no longer exists.
func TestVerifyWithoutTheOriginal(t *testing.T) {
	d := desired()
	d.Source = marked(image("ami-kept", "available", theKey))
	copied := marked(image("ami-1", "available", theKey))
	copied.Tags[TagDigest] = copied.Digest()
	d.Source.Tags[TagDigest] = copied.Digest()
	if err := copied.verify(d); err != nil {
		t.Error(err)
	}
	d.Source.Tags[TagDigest] = "v1-of-something-else"
	if err := copied.verify(d); err == nil {
		t.Error("a copy that differs from the original was verified")
	}
}
