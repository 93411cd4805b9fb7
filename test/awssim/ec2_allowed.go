package awssim

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The states of Allowed AMIs. Fact: EC2-ALLOW-1.
const (
	allowedDisabled = "disabled"
	allowedAudit    = "audit-mode"
	allowedEnabled  = "enabled"
)

// allowedImages is the setting Allowed AMIs of one account in one Region. nil means
// that it is disabled.
type allowedImages struct {
	current  string
	criteria []imageCriterion
	// declarative means that a declarative policy of the organization manages the
	// setting.
	declarative bool
}

func (a *allowedImages) state() string {
	if a == nil {
		return allowedDisabled
	}
	return a.current
}

// imageCriterion is one criterion. An image must meet all parts that are set.
// Watermarks and scan results are not modeled: as parameters of a request they are
// unknown. Fact: EC2-ALLOW-5 to EC2-ALLOW-8.
type imageCriterion struct {
	Providers    []string          `param:"ImageProvider"`
	Names        []string          `param:"ImageName"`
	ProductCodes []string          `param:"MarketplaceProductCode"`
	Created      *createdWithin    `param:"CreationDateCondition"`
	Deprecated   *deprecatedWithin `param:"DeprecationTimeCondition"`
}

type createdWithin struct {
	MaximumDays int `param:"MaximumDaysSinceCreated,required" xml:"maximumDaysSinceCreated"`
}

type deprecatedWithin struct {
	MaximumDays int `param:"MaximumDaysSinceDeprecated,required" xml:"maximumDaysSinceDeprecated"`
}

const day = 24 * time.Hour

// imageAllowed reports whether the account's criteria in the image's Region allow the
// image, even if they aren't enforced. They never restrict the account's own images.
// Without any criterion, no other image is allowed: AWS doesn't document this case.
// Fact: EC2-ALLOW-3, EC2-ALLOW-8.
func (w *World) imageAllowed(i *image, accountID string, now time.Time) bool {
	a := w.accounts[accountID]
	if i.owner == accountID || a == nil || a.allowedImages[i.region] == nil {
		return true
	}
	return slices.ContainsFunc(a.allowedImages[i.region].criteria, func(c imageCriterion) bool { return c.metBy(i, now) })
}

// hidesImage reports whether the account's setting hides the image from it, so
// that it can be neither launched nor copied. Fact: EC2-ALLOW-2.
func (w *World) hidesImage(i *image, accountID string, now time.Time) bool {
	a := w.accounts[accountID]
	return a != nil && a.allowedImages[i.region].state() == allowedEnabled && !w.imageAllowed(i, accountID, now)
}

func (c imageCriterion) metBy(i *image, now time.Time) bool {
	age, deprecated := now.Sub(i.created), !i.deprecatedAt.IsZero() && !i.deprecatedAt.After(now)
	switch {
	case len(c.Providers) > 0 && !slices.ContainsFunc(c.Providers, i.providedBy),
		len(c.Names) > 0 && !slices.ContainsFunc(c.Names, func(name string) bool { return matchWildcards(name, i.name) }),
		len(c.ProductCodes) > 0 && !slices.ContainsFunc(c.ProductCodes, func(code string) bool { return slices.Contains(i.productCodes, code) }),
		c.Created != nil && age > time.Duration(c.Created.MaximumDays)*day:
		return false
	case c.Deprecated != nil && deprecated:
		return c.Deprecated.MaximumDays > 0 && now.Sub(i.deprecatedAt) <= time.Duration(c.Deprecated.MaximumDays)*day
	default:
		return true
	}
}

// providedBy reports whether the image comes from the provider. The simulator has no
// images from AWS Backup.
func (i *image) providedBy(provider string) bool {
	switch provider {
	case "amazon":
		return i.owner == amazonAccount
	case "aws-marketplace":
		return len(i.productCodes) > 0
	default:
		return provider == i.owner
	}
}

var (
	criterionNamePattern = regexp.MustCompile(`^[A-Za-z0-9()\[\] ./\-'@_*?]{1,128}$`)
	productCodePattern   = regexp.MustCompile(`^[A-Za-z0-9]{1,25}$`)
)

// checkCriteria rejects criteria that the API reference of ImageCriterionRequest
// excludes. Fact: EC2-ALLOW-8.
func checkCriteria(criteria []imageCriterion) *Error {
	if len(criteria) > 10 {
		return badRequest("InvalidParameterValue", "Up to 10 image criteria can be specified, not %d", len(criteria))
	}
	providers := 0
	for _, c := range criteria {
		providers += len(c.Providers)
		if value, invalid := c.invalid(); invalid {
			return badRequest("InvalidParameterValue", "Invalid value in the image criteria: %q", value)
		}
		if len(c.Names) > 50 || len(c.ProductCodes) > 50 {
			return badRequest("InvalidParameterValue", "A criterion can have up to 50 image names and 50 product codes")
		}
	}
	if providers > 200 {
		return badRequest("InvalidParameterValue", "Up to 200 image providers can be specified, not %d", providers)
	}
	return nil
}

// invalid returns the first value that isn't valid.
func (c imageCriterion) invalid() (value string, invalid bool) {
	named := []string{"amazon", "aws-marketplace", "aws-backup-vault", "none"}
	for _, p := range c.Providers {
		if !slices.Contains(named, p) && !accountIDPattern.MatchString(p) || p == "none" && len(c.Providers) > 1 {
			return p, true
		}
	}
	for _, name := range c.Names {
		if !criterionNamePattern.MatchString(name) || strings.Contains(name, "?") && utf8.RuneCountInString(name) < 3 {
			return name, true
		}
	}
	for _, code := range c.ProductCodes {
		if !productCodePattern.MatchString(code) {
			return code, true
		}
	}
	negative := c.Created != nil && c.Created.MaximumDays < 0 || c.Deprecated != nil && c.Deprecated.MaximumDays < 0
	return "negative days", negative
}
