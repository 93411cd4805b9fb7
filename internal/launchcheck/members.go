package launchcheck

import (
	"path"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

// With returns the account with what was read of it.
func (m Members) With(a evaluate.Account) evaluate.Account {
	read, found := m.accounts[a.ID]
	if !found {
		return a
	}
	a.DefaultEBSKeys, a.AllowedAMIs, a.RegionEnabled = read.settings.DefaultEBSKeys, read.settings.AllowedAMIs, read.settings.RegionEnabled
	a.Simulations, a.SeesImage = read.settings.Simulations, read.settings.SeesImage
	switch {
	case read.organization == "":
	case read.organization != a.Organization && read.organization != "":
		a.Organization, a.Path, a.MembershipAssumed = read.organization, "", false
	case a.Path == "":
		a.MembershipAssumed = false
	}
	return a
}

// HasRole reports whether the account has the role, and whether that is known.
func (m Members) HasRole(account, role string) (has, known bool) {
	read := m.accounts[account]
	return slices.Contains(read.roles, role), read.roles != nil
}

// lacks reports whether the account is known not to have the role.
func (m Members) lacks(account, role string) bool {
	has, known := m.HasRole(account, role)
	return known && !has
}

// Matching are the account's roles that the pattern matches: their names, if it has
// no path. known is false if the account's roles weren't read.
func (m Members) Matching(account, pattern string) (roles []string, known bool) {
	read := m.accounts[account]
	for _, role := range read.roles {
		if policy.Match(pattern, role) || !strings.Contains(pattern, "/") && policy.Match(pattern, path.Base(role)) {
			roles = append(roles, role)
		}
	}
	return roles, read.roles != nil
}

// Closed reports whether the account's member role can't be assumed.
func (m Members) Closed(account string) bool {
	return slices.ContainsFunc(m.Unread, func(u Unread) bool { return u.Action == AssumeRole && u.Denied && slices.Contains(u.Accounts, account) })
}
