package awssim

import (
	"cmp"
	"fmt"
	"slices"
)

// AllowedImagesFile is the Allowed AMIs setting of an account in a Region.
type AllowedImagesFile struct {
	// State is enabled, audit-mode or disabled. Defaults to enabled.
	State string `json:"state,omitempty"`
	// DeclarativePolicy means that a declarative policy of the organization manages the
	// setting. The account can't change it.
	DeclarativePolicy bool                 `json:"declarative_policy,omitempty"`
	Criteria          []ImageCriterionFile `json:"criteria,omitempty"`
}

// ImageCriterionFile is one criterion of [AllowedImagesFile]. An image must meet
// all of its parts that are set.
type ImageCriterionFile struct {
	// Providers are account IDs, amazon, aws-marketplace, aws-backup-vault or none.
	Providers []string `json:"image_providers,omitempty"`
	// Names can have the wildcards * and ?.
	Names        []string `json:"image_names,omitempty"`
	ProductCodes []string `json:"marketplace_product_codes,omitempty"`
	// MaximumDaysSinceCreated and MaximumDaysSinceDeprecated limit ages. 0 days since
	// deprecation excludes deprecated images.
	MaximumDaysSinceCreated    *int `json:"maximum_days_since_created,omitempty"`
	MaximumDaysSinceDeprecated *int `json:"maximum_days_since_deprecated,omitempty"`
}

// addAllowedImages adds the settings of a world file. The keys are Regions, or "*" for
// all.
func (w *World) addAllowedImages(a *account, file AccountFile) error {
	a.allowedImages = map[string]*allowedImages{}
	for name, setting := range byRegion(w, file.AllowedImages) {
		if w.regions[name] == nil {
			return fmt.Errorf("allowed_images: there is no region %q", name)
		}
		added := &allowedImages{current: cmp.Or(setting.State, allowedEnabled), declarative: setting.DeclarativePolicy}
		if !slices.Contains([]string{allowedDisabled, allowedAudit, allowedEnabled}, added.current) {
			return fmt.Errorf("allowed_images: there is no state %q", setting.State)
		}
		for _, c := range setting.Criteria {
			added.criteria = append(added.criteria, c.criterion())
		}
		if problem := checkCriteria(added.criteria); problem != nil {
			return fmt.Errorf("allowed_images: %w", problem)
		}
		a.allowedImages[name] = added
	}
	return nil
}

func (f ImageCriterionFile) criterion() imageCriterion {
	c := imageCriterion{Providers: f.Providers, Names: f.Names, ProductCodes: f.ProductCodes}
	if days := f.MaximumDaysSinceCreated; days != nil {
		c.Created = &createdWithin{*days}
	}
	if days := f.MaximumDaysSinceDeprecated; days != nil {
		c.Deprecated = &deprecatedWithin{*days}
	}
	return c
}

// byRegion resolves the entry "*", which applies to every Region without its own entry.
func byRegion[T any](w *World, entries map[string]T) map[string]T {
	resolved := map[string]T{}
	if all, there := entries["*"]; there {
		for name := range w.regions {
			resolved[name] = all
		}
	}
	for name, entry := range entries {
		if name != "*" {
			resolved[name] = entry
		}
	}
	return resolved
}

// values is a list of plain texts in a response of EC2.
type values struct {
	Items []string `xml:"item"`
}

type imageCriterionItem struct {
	Providers    values            `xml:"imageProviderSet"`
	Names        values            `xml:"imageNameSet"`
	ProductCodes values            `xml:"marketplaceProductCodeSet"`
	Created      *createdWithin    `xml:"creationDateCondition"`
	Deprecated   *deprecatedWithin `xml:"deprecationTimeCondition"`
}

type allowedImagesAnswer struct {
	State     string                  `xml:"state"`
	ManagedBy string                  `xml:"managedBy"`
	Criteria  set[imageCriterionItem] `xml:"imageCriterionSet"`
}

func getAllowedImagesSettings(c *call, _ noParameters) (any, error) {
	setting := c.account().allowedImages[c.region]
	answer := allowedImagesAnswer{State: setting.state(), ManagedBy: "account"}
	if setting == nil {
		return answer, nil
	}
	if setting.declarative {
		answer.ManagedBy = "declarative-policy"
	}
	answer.Criteria = setFrom(setting.criteria, func(c imageCriterion) imageCriterionItem {
		return imageCriterionItem{values{c.Providers}, values{c.Names}, values{c.ProductCodes}, c.Created, c.Deprecated}
	})
	return answer, nil
}

// ownAllowedImages returns the setting for the account to change. AWS doesn't document
// the error for a setting that a declarative policy manages.
func (c *call) ownAllowedImages() (*allowedImages, *Error) {
	a := c.account()
	if a.allowedImages == nil {
		a.allowedImages = map[string]*allowedImages{}
	}
	if a.allowedImages[c.region] == nil {
		a.allowedImages[c.region] = &allowedImages{current: allowedDisabled}
	}
	setting := a.allowedImages[c.region]
	if setting.declarative {
		return nil, badRequest("OperationNotPermitted", "This functionality has been disabled by a Declarative Policy.")
	}
	return setting, nil
}

type allowedImagesStateAnswer struct {
	State string `xml:"allowedImagesSettingsState"`
}

func enableAllowedImagesSettings(c *call, r struct {
	State string `param:"AllowedImagesSettingsState,required"`
},
) (any, error) {
	if r.State != allowedEnabled && r.State != allowedAudit {
		return nil, badRequest("InvalidParameterValue", "Invalid value '%s' for AllowedImagesSettingsState", r.State)
	}
	return c.setAllowedImages(r.State)
}

func disableAllowedImagesSettings(c *call, _ noParameters) (any, error) {
	return c.setAllowedImages(allowedDisabled)
}

func (c *call) setAllowedImages(state string) (any, error) {
	setting, problem := c.ownAllowedImages()
	if problem != nil {
		return nil, problem
	}
	setting.current = state
	return allowedImagesStateAnswer{state}, nil
}

func replaceImageCriteria(c *call, r struct {
	Criteria []imageCriterion `param:"ImageCriterion"`
},
) (any, error) {
	if problem := checkCriteria(r.Criteria); problem != nil {
		return nil, problem
	}
	setting, problem := c.ownAllowedImages()
	if problem != nil {
		return nil, problem
	}
	setting.criteria = r.Criteria
	return done{true}, nil
}
