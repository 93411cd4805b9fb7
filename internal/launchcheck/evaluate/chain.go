package evaluate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// The links of the chain, in order. Those from key-region to grant occur once
// for each key of the image's snapshots.
const (
	LinkImage          = "image"
	LinkProductCode    = "product-code"
	LinkRegionEnabled  = "region-enabled"
	LinkShared         = "shared" // the account is among those that the image is shared with
	LinkAllowedAMIs    = "allowed-amis"
	LinkSnapshot       = "snapshot"
	LinkSCP            = "scp"
	LinkBoundary       = "permission-boundary"
	LinkKeyRegion      = "key-region"
	LinkKeyState       = "key-state"
	LinkKeyPolicy      = "key-policy"
	LinkIdentityPolicy = "identity-policy"
	LinkGrant          = "grant"
	LinkVolumeKey      = "volume-key"
)

func holds(name, because string) Link { return newLink(name, Launches, because, "") }

func breaks(name, because, remedy string) Link { return newLink(name, Fails, because, remedy) }

func open(name, because, remedy string) Link { return newLink(name, Inconclusive, because, remedy) }

// newLink returns a link with printable texts. The texts quote policies and
// AWS.
func newLink(name string, outcome Outcome, because, remedy string) Link {
	l := Link{Name: name, Outcome: outcome, Evidence: Seen, Because: text.Printable(because), Remedy: text.Printable(remedy)}
	if outcome == Inconclusive {
		l.Evidence = ""
	}
	return l
}

// imageLink reports whether the image can be launched at all. Fact: EC2-IMG-4.
func (r *Region) imageLink() Link {
	id := r.Image.ID
	switch r.Image.State {
	case "available":
		return holds(LinkImage, id+" is available in "+r.Name)
	case "":
		return open(LinkImage, "the state of "+id+" in "+r.Name+" is not known", describeImage(r))
	case "pending":
		return breaks(LinkImage, id+" in "+r.Name+" is pending",
			fmt.Sprintf("aws ec2 wait image-available --region %s --image-ids %s", r.Name, id))
	case "disabled":
		return breaks(LinkImage, id+" in "+r.Name+" is disabled",
			fmt.Sprintf("aws ec2 enable-image --region %s --image-id %s", r.Name, id)).note("then publish again")
	case "failed", "error", "invalid", "deregistered":
		return breaks(LinkImage, id+" in "+r.Name+" is "+r.Image.State, describeImage(r))
	default:
		return open(LinkImage, fmt.Sprintf("%s in %s is in the state %q, whose effect on launches is not known", id, r.Name, r.Image.State), describeImage(r))
	}
}

// productLink returns the link of an image with product codes. One account
// can't see another account's subscriptions.
func (r *Region) productLink() (Link, bool) {
	if len(r.Image.ProductCodes) == 0 {
		return Link{}, false
	}
	return open(LinkProductCode, fmt.Sprintf("%s has the product code %s, and only accounts with a subscription to the product can launch it",
		r.Image.ID, someOf(r.Image.ProductCodes, "and")), describeImage(r)), true
}

// snapshotLinks returns the links of snapshots whose information is too
// incomplete to name the keys that a launch needs.
func (r *Region) snapshotLinks() []Link {
	var unread, keyless, contrary []string
	for _, s := range r.Image.Snapshots {
		switch {
		case s.ID == "":
			return []Link{open(LinkSnapshot, "the keys of "+r.Image.ID+" in "+r.Name+" are not known: a snapshot was returned without an ID", describeImage(r))}
		case !s.Read:
			unread = append(unread, s.ID)
		case s.Encrypted && s.Key == "":
			keyless = append(keyless, s.ID)
		case !s.Encrypted && s.Key != "":
			contrary = append(contrary, s.ID)
		}
	}
	if len(r.Image.Snapshots) == 0 {
		return []Link{open(LinkSnapshot, "the keys of "+r.Image.ID+" in "+r.Name+" are not known: no snapshots were returned", describeImage(r))}
	}
	var links []Link
	for _, doubt := range []struct {
		ids []string
		why string
	}{
		{unread, "not returned by DescribeSnapshots"},
		{keyless, "encrypted, but returned without a key"},
		{contrary, "not encrypted, but returned with a key"},
	} {
		if len(doubt.ids) > 0 {
			links = append(links, open(LinkSnapshot, fmt.Sprintf("the key of %s is not known: %s", someOf(doubt.ids, "and"), doubt.why),
				fmt.Sprintf("aws ec2 describe-snapshots --region %s --snapshot-ids %s", r.Name, strings.Join(doubt.ids, " "))))
		}
	}
	return links
}

func describeImage(r *Region) string {
	return fmt.Sprintf("aws ec2 describe-images --region %s --image-ids %s", r.Name, r.Image.ID)
}

// sharedLink reports whether the account can launch the image, as its owner or
// by a launch permission. Fact: EC2-SHARE-1, EC2-SHARE-5.
func (r *Region) sharedLink(a *Account) Link {
	i := &r.Image
	switch {
	case i.Owner == a.ID:
		return holds(LinkShared, a.ID+" owns "+i.ID)
	case i.Public:
		return holds(LinkShared, i.ID+" is public")
	case slices.Contains(i.Accounts, a.ID):
		return holds(LinkShared, i.ID+" is shared with the account "+a.ID)
	}
	doubt := ""
	for _, permission := range slices.Concat(i.Organizations, i.OrganizationalUnits) {
		switch in, why := a.isIn(permission); in {
		case yes:
			l := holds(LinkShared, i.ID+" is shared with "+permission)
			if a.MembershipAssumed && !a.SeesImage[r.Name] {
				l = l.assumed()
			}
			return l
		case unsure:
			doubt = why
		}
	}
	remedy := fmt.Sprintf("aws ec2 modify-image-attribute --region %s --image-id %s --launch-permission \"Add=[{UserId=%s}]\"", r.Name, i.ID, a.ID)
	if i.Owner == "" {
		doubt = "its owner is not known"
	}
	if doubt != "" {
		return open(LinkShared, "whether "+i.ID+" is shared with "+a.ID+" is not known: "+doubt, remedy)
	}
	return breaks(LinkShared, fmt.Sprintf("%s is not shared with the account %s, nor with an organization or unit that it is in: %s", i.ID, a.ID, i.sharedWith()), remedy)
}

func (i *Image) sharedWith() string {
	with := slices.Concat(i.Organizations, i.OrganizationalUnits, i.Accounts)
	if len(with) == 0 {
		return "it is shared with no account"
	}
	return "it is shared with " + someOf(with, "and")
}

// isIn reports whether the account is in the organization that the ARN names,
// or in the unit or one of its child units. If that is not known, it returns
// the reason.
func (a *Account) isIn(permission string) (in answer, why string) {
	organization := a.organization()
	if organization.there == no {
		return no, ""
	}
	parsed, _ := arn.Parse(permission) // nothing is known of a permission that isn't an ARN
	parts := strings.Split(parsed.Resource, "/")
	switch {
	case len(parts) == 2 && parts[0] == "organization":
		if organization.there == unsure {
			return unsure, "the organization of " + a.ID + " is not known"
		}
		return answerOf(organization.text == parts[1]), ""
	case len(parts) == 3 && parts[0] == "ou":
		if organization.there == yes && organization.text != parts[1] {
			return no, ""
		}
		if a.Path == "" {
			return unsure, "where in its organization " + a.ID + " is, is not known"
		}
		return answerOf(strings.Contains(a.Path, "/"+parts[2]+"/")), ""
	default:
		return unsure, "the launch permission of " + permission + " is not supported"
	}
}

// regionLink reports whether the key can be used with the Region's snapshots, by
// the account. Fact: KMS-MRK-4.
func (k *regionalKey) regionLink(by *caller) Link {
	switch {
	case k.missing:
		return open(LinkKeyRegion, "the key "+k.ARN+" could not be read", describeKeyCommand(k))
	case k.account == "":
		return open(LinkKeyRegion, fmt.Sprintf("%q is not the ARN of a key", k.ARN), "")
	case k.region != k.in.Name:
		return breaks(LinkKeyRegion, "the key "+k.ARN+" is not of "+k.in.Name, describeImage(k.in)).note("publish the image, so that the copy has a key of " + k.in.Name)
	case k.AWSManaged && k.account != by.account:
		return breaks(LinkKeyRegion, "the key "+k.ARN+" is managed by AWS, and only the account "+k.account+" can use it", describeImage(k.in)).note("publish the image, so that the copy has a customer managed key")
	default:
		return k.here
	}
}

func describeKeyCommand(k *regionalKey) string {
	return fmt.Sprintf("aws kms describe-key --region %s --key-id %s", k.in.Name, k.ARN)
}

// stateLink reports whether the key is enabled. Fact: KMS-MRK-13, LAUNCH-14.
func (k *regionalKey) stateLink() Link {
	enable := fmt.Sprintf("aws kms enable-key --region %s --key-id %s", k.in.Name, k.ARN)
	because := fmt.Sprintf("the key %s is %s", k.ARN, k.State)
	switch k.State {
	case "Enabled":
		return holds(LinkKeyState, because)
	case "":
		return open(LinkKeyState, "the state of the key "+k.ARN+" is not known", describeKeyCommand(k))
	case "Disabled":
		return breaks(LinkKeyState, because, enable)
	case "PendingDeletion", "PendingReplicaDeletion":
		return breaks(LinkKeyState, because, fmt.Sprintf("aws kms cancel-key-deletion --region %s --key-id %s && %s", k.in.Name, k.ARN, enable))
	case "Creating", "PendingImport", "Unavailable":
		return breaks(LinkKeyState, because, describeKeyCommand(k))
	default:
		return open(LinkKeyState, fmt.Sprintf("the key %s is in the state %q, whose effect on launches is not known", k.ARN, k.State), describeKeyCommand(k))
	}
}
