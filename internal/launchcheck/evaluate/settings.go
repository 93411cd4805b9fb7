package evaluate

import (
	"fmt"
	"slices"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// alwaysEnabled are the Regions of the aws partition that every account has. All
// Regions that AWS opened later must be enabled in an account. Source: AWS Account
// Management Reference Guide, "Enable or disable AWS Regions in your account".
var alwaysEnabled = []string{
	"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
	"ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1",
	"us-east-1", "us-east-2", "us-west-1", "us-west-2",
}

// enabledLink reports whether the account has enabled the Region. A publishing account
// has enabled it, because its image is there. Fact: KMS-KEY-16.
func (e *evaluation) enabledLink(a *Account, partition string) []Link {
	enabled, known := a.RegionEnabled[e.region.Name]
	switch {
	case a.ID == e.region.Image.Owner:
		return nil
	case known && enabled:
		return []Link{holds(LinkRegionEnabled, "the account "+a.ID+" has enabled "+e.region.Name)}
	case known:
		return []Link{breaks(LinkRegionEnabled, "the account "+a.ID+" has not enabled the Region "+e.region.Name,
			"aws account enable-region --region-name "+e.region.Name).note(CredentialsOf(a.ID))}
	case partition == "aws" && !slices.Contains(alwaysEnabled, e.region.Name):
		e.assume(assumedRegion)
		return []Link{holds(LinkRegionEnabled, "the account "+a.ID+" is assumed to have enabled "+e.region.Name).assumed()}
	}
	return nil
}

// AllowedAMIs is the setting of one account and Region.
type AllowedAMIs struct {
	State    string // enabled, audit-mode or disabled
	Criteria []ImageCriterion
}

// ImageCriterion is a criterion of [AllowedAMIs]. An image meets it if it meets all
// parts that are set. Fact: EC2-ALLOW-5 to EC2-ALLOW-8.
type ImageCriterion struct {
	// Providers are account IDs, amazon, aws-marketplace, aws-backup-vault or none.
	Providers []string
	// Names can have the wildcards * and ?.
	Names        []string
	ProductCodes []string
	// MaximumDaysSinceCreated and MaximumDaysSinceDeprecated limit ages; nil for no
	// limit.
	MaximumDaysSinceCreated    *int
	MaximumDaysSinceDeprecated *int
	// Other means that the criterion has parts that this type doesn't have, such as
	// watermarks.
	Other bool
}

// allowedLink reports whether the account's setting Allowed AMIs lets it launch the
// image. Fact: EC2-ALLOW-2 to EC2-ALLOW-4.
func (e *evaluation) allowedLink(a *Account, now time.Time) []Link {
	i := &e.region.Image
	setting, known := a.AllowedAMIs[e.region.Name]
	remedy := "aws ec2 get-allowed-images-settings --region " + e.region.Name
	note := CredentialsOf(a.ID)
	switch {
	case i.Owner == a.ID:
		return nil
	case !known:
		e.assume(assumedAllowed)
		return []Link{holds(LinkAllowedAMIs, "the setting Allowed AMIs of the account "+a.ID+" is assumed not to exclude "+i.ID).assumed()}
	case setting.State == "disabled" || setting.State == "audit-mode":
		return []Link{holds(LinkAllowedAMIs, "the setting Allowed AMIs of the account "+a.ID+" is "+setting.State)}
	case setting.State != "enabled":
		return []Link{open(LinkAllowedAMIs, fmt.Sprintf("the setting Allowed AMIs of the account %s is %q, whose effect on launches is not known", a.ID, setting.State), remedy).note(note)}
	case len(setting.Criteria) == 0: // AWS doesn't document which images are allowed
		return []Link{open(LinkAllowedAMIs, "the setting Allowed AMIs of the account "+a.ID+" is enabled without any criterion", remedy).note(note)}
	}
	best := no
	for _, c := range setting.Criteria {
		best = max(best, c.meets(i, now))
	}
	switch best {
	case yes:
		return []Link{holds(LinkAllowedAMIs, "a criterion of the Allowed AMIs of the account "+a.ID+" allows "+i.ID)}
	case unsure:
		return []Link{open(LinkAllowedAMIs, "whether the Allowed AMIs of the account "+a.ID+" allow "+i.ID+" is not known: they have a criterion that can't be evaluated", remedy).note(note)}
	default:
		return []Link{breaks(LinkAllowedAMIs, fmt.Sprintf("no criterion of the Allowed AMIs of the account %s in %s allows %s of the account %s", a.ID, e.region.Name, i.ID, i.Owner),
			remedy).note(note + ", then add a criterion with the image provider " + i.Owner)}
	}
}

// seenLink is about an image that the account doesn't see although it should. The
// reason isn't known. For example, a change may not be visible yet.
func (e *evaluation) seenLink(a *Account) []Link {
	sees, known := a.SeesImage[e.region.Name]
	if !known || sees || a.ID == e.region.Image.Owner {
		return nil
	}
	return []Link{open(LinkShared, fmt.Sprintf("the account %s doesn't see %s, although it's shared and none of the settings that were read hides it", a.ID, e.region.Image.ID),
		fmt.Sprintf("aws ec2 describe-images --region %s --image-ids %s", e.region.Name, e.region.Image.ID)).note(CredentialsOf(a.ID))}
}

// meets reports whether the image meets all parts of the criterion.
func (c ImageCriterion) meets(i *Image, now time.Time) answer {
	all := answerOf(true)
	if c.Other {
		all = unsure
	}
	if len(c.Providers) > 0 {
		all = min(all, i.providedBy(c.Providers))
	}
	if len(c.Names) > 0 {
		named := answerOf(slices.ContainsFunc(c.Names, func(pattern string) bool { return policy.Match(pattern, i.Name) }))
		if i.Name == "" {
			named = unsure
		}
		all = min(all, named)
	}
	if len(c.ProductCodes) > 0 {
		all = min(all, answerOf(slices.ContainsFunc(c.ProductCodes, func(code string) bool { return slices.Contains(i.ProductCodes, code) })))
	}
	if days := c.MaximumDaysSinceCreated; days != nil {
		all = min(all, i.within(i.Created, *days, now))
	}
	if days := c.MaximumDaysSinceDeprecated; days != nil && !i.Deprecated.IsZero() {
		all = min(all, i.deprecatedWithin(*days, now))
	}
	return all
}

// providedBy reports whether the image comes from one of the providers.
func (i *Image) providedBy(providers []string) answer {
	found := no
	for _, p := range providers {
		switch {
		case p == i.Owner && p != "":
			return yes
		case i.Owner == "", p == "aws-backup-vault", p == "amazon" && i.Public, p == "aws-marketplace" && len(i.ProductCodes) > 0:
			found = unsure // which provider AWS derives from the owner isn't known
		}
	}
	return found
}

const day = 24 * time.Hour

func (i *Image) within(from time.Time, days int, now time.Time) answer {
	if from.IsZero() || now.IsZero() {
		return unsure
	}
	return answerOf(now.Sub(from) <= time.Duration(days)*day)
}

func (i *Image) deprecatedWithin(days int, now time.Time) answer {
	switch {
	case now.IsZero():
		return unsure
	case i.Deprecated.After(now):
		return yes
	case days == 0: // excludes deprecated images. Fact: EC2-ALLOW-6.
		return no
	default:
		return i.within(i.Deprecated, days, now)
	}
}
