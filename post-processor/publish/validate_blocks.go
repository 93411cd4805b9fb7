package publish

import (
	"fmt"
	"os"
	"regexp"

	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/organization"
	"github.com/orgami/packer-plugin-orgami/internal/placeholder"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

func (c KeyConfig) validate(p *problems) {
	switch {
	case c.Alias == "" && c.ID == "":
		p.addf(`key: neither alias nor id is set: write alias = "alias/NAME"`)
	case c.Alias != "" && c.ID != "":
		p.addf("key: alias and id are both set: leave one out")
	}
	if c.Alias != "" && p.check("key.alias", c.Alias, aliasForm) && reservedAlias.MatchString(c.Alias) {
		p.addf("key.alias: %q: aliases that begin with alias/aws/ are AWS's own: choose another", c.Alias)
	}
	if c.ID != "" {
		p.check("key.id", c.ID, keyIDForm)
		if orDefault(c.Create, false) {
			p.addf("key.create: a key with a given id cannot be created: set key.alias instead of key.id, or leave out create")
		}
	}
	if c.PrimaryRegion != "" {
		p.check("key.primary_region", c.PrimaryRegion, regionForm)
	}
	p.oneOf("key.policy", c.Policy, policy.Open, policy.Hardened)
	p.list("key.administrators", c.Administrators, administratorForm)
	p.tags("key.tags", c.Tags, ownKeyTags)
	extra, err := c.extraStatements()
	if err != nil {
		p.addf("key.extra_statements_file: %w", err)
	}
	// The partition is AWS's to tell; what depends on it is in the plan.
	for _, finding := range policy.LintStatements(extra, policy.Target{}) {
		p.addf("key.extra_statements_file: %s: %s", c.ExtraStatementsFile, finding)
	}
}

var reservedAlias = regexp.MustCompile(`^alias/aws(/|$)`)

// extraStatements reads the statements of the file, nil when there is none.
func (c KeyConfig) extraStatements() ([]byte, error) {
	if c.ExtraStatementsFile == "" || placeholder.In(c.ExtraStatementsFile) {
		return nil, nil
	}
	content, err := os.ReadFile(c.ExtraStatementsFile)
	if err != nil {
		return nil, fmt.Errorf("%w: name a file that can be read; relative paths start where packer runs, so ${path.root}/FILE is safer", err)
	}
	statements, err := policy.ParseStatements(content)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w", c.ExtraStatementsFile, err)
	}
	return statements, nil
}

func (c *OrganizationConfig) validate(p *problems) {
	if c == nil {
		return
	}
	if c.ID == "" && c.ARN == "" {
		p.addf("organization: neither id nor arn is set: set one, or leave the block out to have AWS asked")
	}
	if c.ID != "" {
		p.check("organization.id", c.ID, organizationIDForm)
	}
	if c.ARN != "" {
		p.check("organization.arn", c.ARN, organizationARNForm)
	}
}

func (c *ShareConfig) validate(p *problems) {
	if c == nil {
		return
	}
	p.list("share.organizational_units", c.OrganizationalUnits, unitForm)
	p.list("share.accounts", c.Accounts, accountForm)
	if !orDefault(c.Organization, true) && len(c.OrganizationalUnits)+len(c.Accounts) == 0 {
		p.addf("share: it names nobody: set organization = true, or list organizational_units or accounts")
	}
	if c.Snapshots && len(c.Accounts) == 0 {
		p.addf("share.snapshots: AWS shares snapshots with accounts only: list share.accounts, or leave out snapshots")
	}
}

func (c *GrantsConfig) validate(p *problems) {
	if c == nil {
		return
	}
	c.validateAccounts(p)
	p.list("grants.roles", c.Roles, roleForm)
	p.oneOf("grants.via", c.Via, string(grant.Owner), string(grant.Member), string(grant.None))
	p.oneOf("grants.missing_role", c.MissingRole, missingSkip, missingFail)
	member := c.Via == string(grant.Member)
	switch {
	case member && c.MemberRole == "":
		p.addf(`grants.member_role: it is missing: with via = "member", name the role that is assumed in each account`)
	case !member && c.MemberRole != "" && !placeholder.In(c.Via):
		p.addf(`grants.member_role: it is used with via = "member" only: set that, or leave it out`)
	}
	if c.MemberRole != "" {
		p.check("grants.member_role", c.MemberRole, roleForm)
	}
}

func (c *GrantsConfig) validateAccounts(p *problems) {
	if c.Accounts == nil && !c.Discover && c.AccountsFile == "" {
		p.addf("grants.accounts: it is missing: list the accounts whose roles get grants, set discover or accounts_file, or leave the block out")
	}
	p.list("grants.accounts", c.Accounts, accountForm)
	p.list("grants.exclude", c.Exclude, accountForm)
	p.list("grants.organizational_units", c.OrganizationalUnits, unitIDForm)
	if c.DiscoverRoleARN != "" {
		p.check("grants.discover_role_arn", c.DiscoverRoleARN, roleARNForm)
	}
	if !c.Discover && c.DiscoverRoleARN != "" {
		p.addf("grants.discover_role_arn: it is used with discover only: set that, or leave it out")
	}
	if !c.Discover && len(c.Exclude) > 0 {
		p.addf("grants.exclude: it is used with discover only: set that, or leave it out")
	}
	if !c.Discover && len(c.OrganizationalUnits) > 0 {
		p.addf("grants.organizational_units: it is used with discover only: set that, or leave it out")
	}
	if _, err := c.fromFile(); err != nil {
		p.addf("grants.accounts_file: %w", err)
	}
}

// fromFile reads the accounts of accounts_file, none if there is no such file in
// the configuration.
func (c *GrantsConfig) fromFile() ([]string, error) {
	if c.AccountsFile == "" || placeholder.In(c.AccountsFile) {
		return nil, nil
	}
	content, err := os.ReadFile(c.AccountsFile)
	if err != nil {
		return nil, fmt.Errorf("%w: name a file that can be read; relative paths start where packer runs, so ${path.root}/FILE is safer", err)
	}
	ids, err := organization.Parse(string(content))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w", c.AccountsFile, err)
	}
	return ids, nil
}

// Values of grants.missing_role.
const (
	missingSkip = "skip"
	missingFail = "fail"
)
