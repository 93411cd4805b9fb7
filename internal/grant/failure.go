package grant

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// failure is what went wrong with an account's grants in a Region.
type failure struct {
	account string
	region  string // "" if it is the same in all Regions
	err     error
}

// kind is the error's text without account and Region, because hundreds of accounts
// often fail in the same way.
func (f failure) kind() string {
	kind := strings.ReplaceAll(f.err.Error(), f.account, "{account}")
	if f.region == "" {
		return kind
	}
	return strings.ReplaceAll(kind, f.region, "{region}")
}

// joinFailures returns one error for each kind of failure: its first text, and all
// accounts and Regions that failed in the same way.
func joinFailures(failures []failure) error {
	slices.SortStableFunc(failures, func(a, b failure) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.region, b.region))
	})
	var kinds []string
	byKind := map[string][]failure{}
	for _, f := range failures {
		kind := f.kind()
		if byKind[kind] == nil {
			kinds = append(kinds, kind)
		}
		byKind[kind] = append(byKind[kind], f)
	}
	var all []error
	for _, kind := range kinds {
		alike := byKind[kind]
		if len(alike) == 1 {
			all = append(all, alike[0].err)
			continue
		}
		var accounts, regions []string
		for _, f := range alike {
			accounts, regions = append(accounts, f.account), append(regions, f.region)
		}
		accounts, regions = sorted(accounts), sorted(regions)
		where := strings.Join(accounts, ", ")
		if regions[0] != "" {
			where += "; Regions: " + strings.Join(regions, ", ")
		}
		all = append(all, fmt.Errorf("%w\n  This failed in %s: %s", alike[0].err, text.Count(len(accounts), "account"), where))
	}
	return joined(all)
}

// joined joins the errors. A single one is returned as it is.
func joined(all []error) error {
	all = slices.DeleteFunc(all, func(err error) bool { return err == nil })
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// few returns the first errors and the number of the others.
func few(all []error) []error {
	const shown = 10
	if more := len(all) - shown; more > 1 {
		return append(all[:shown:shown], fmt.Errorf("and %d more errors like these", more))
	}
	return all
}
