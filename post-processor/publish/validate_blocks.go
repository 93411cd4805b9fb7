package publish

import (
	"fmt"
	"os"
	"regexp"

	"github.com/orgami/packer-plugin-orgami/internal/config"
	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
	"github.com/orgami/packer-plugin-orgami/internal/organization"
	"github.com/orgami/packer-plugin-orgami/internal/policy"
)

func (c KeyConfig) validate(p *config.Problems) {
	switch {
	case c.Alias == "" && c.ID == "":
		p.Addf(`key: alias or id is required. Set alias = "alias/NAME"`)
	case c.Alias != "" && c.ID != "":
		p.Addf("key: alias conflicts with id. Remove one of them")
	}
	if c.Alias != "" && p.Check("key.alias", c.Alias, pattern.Alias) && reservedAlias.MatchString(c.Alias) {
		p.Addf("key.alias: %q: AWS reserves aliases that begin with alias/aws/. Set another alias", c.Alias)
	}
	if c.ID != "" {
		p.Check("key.id", c.ID, pattern.MultiRegionKey)
		if orDefault(c.Create, false) {
			p.Addf("key.create: conflicts with key.id, because AWS chooses the ID of a new key. Set key.alias instead of key.id, or omit create")
		}
	}
	if c.PrimaryRegion != "" {
		p.Check("key.primary_region", c.PrimaryRegion, pattern.Region)
	}
	p.OneOf("key.policy", c.Policy, policy.Open, policy.Hardened)
	p.List("key.administrators", c.Administrators, pattern.PrincipalARN)
	checkTags(p, "key.tags", c.Tags, ownKeyTags)
	if _, err := c.extraStatements(); err != nil {
		p.Addf("key.extra_statements_file: %w", err)
	}
}

var reservedAlias = regexp.MustCompile(`^alias/aws(/|$)`)

// extraStatements reads the statements in the file. It returns nil if no file
// is set.
func (c KeyConfig) extraStatements() ([]byte, error) {
	if c.ExtraStatementsFile == "" || config.Unknown(c.ExtraStatementsFile) {
		return nil, nil
	}
	content, err := os.ReadFile(c.ExtraStatementsFile)
	if err != nil {
		return nil, fmt.Errorf("%w. Set the path of a readable file. Relative paths start in Packer's working directory, so use ${path.root}/FILE", err)
	}
	statements, err := policy.ParseStatements(content)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w", c.ExtraStatementsFile, err)
	}
	return statements, nil
}

func (c *OrganizationConfig) validate(p *config.Problems) {
	if c == nil {
		return
	}
	if c.ID == "" && c.ARN == "" {
		p.Addf("organization: id or arn is required. Set one of them, or omit the block to read the organization from AWS")
	}
	if c.ID != "" {
		p.Check("organization.id", c.ID, pattern.Organization)
	}
	if c.ARN != "" {
		p.Check("organization.arn", c.ARN, pattern.OrganizationARN)
	}
}

func (c *ShareConfig) validate(p *config.Problems) {
	if c == nil {
		return
	}
	p.List("share.organizational_units", c.OrganizationalUnits, pattern.UnitARN)
	p.List("share.accounts", c.Accounts, pattern.Account)
	if !orDefault(c.Organization, true) && len(c.OrganizationalUnits)+len(c.Accounts) == 0 {
		p.Addf("share: the block shares the image with no account. Set organization = true, or list organizational_units or accounts")
	}
	if c.Snapshots && len(c.Accounts) == 0 {
		p.Addf("share.snapshots: requires `share.accounts`, because AWS shares snapshots only with accounts. Set that, or omit `snapshots`")
	}
}

func (c *GrantsConfig) validate(p *config.Problems) {
	if c == nil {
		return
	}
	c.validateAccounts(p)
	p.List("grants.roles", c.Roles, pattern.Role)
	for _, role := range c.Roles {
		if remedy := serviceLinkedHint(role); remedy != "" {
			p.Addf("grants.roles: %q is not the path and name of a service-linked role. %s", role, remedy)
		}
	}
	p.OneOf("grants.missing_role", c.MissingRole, missingSkip, missingFail)
	if c.MemberRole != "" {
		p.Check("grants.member_role", c.MemberRole, pattern.Role)
	}
}

func (c *GrantsConfig) validateAccounts(p *config.Problems) {
	if c.Accounts == nil && !c.Discover && c.AccountsFile == "" {
		p.Addf("grants: accounts, accounts_file or discover is required. List the accounts whose roles get grants, or omit the block")
	}
	p.List("grants.accounts", c.Accounts, pattern.Account)
	p.List("grants.exclude", c.Exclude, pattern.Account)
	p.List("grants.organizational_units", c.OrganizationalUnits, pattern.UnitOrARN)
	if c.DiscoverRoleARN != "" {
		p.Check("grants.discover_role_arn", c.DiscoverRoleARN, pattern.RoleARN)
	}
	if !c.Discover && c.DiscoverRoleARN != "" {
		p.Addf("grants.discover_role_arn: requires `discover = true`. Set that, or omit `discover_role_arn`")
	}
	if !c.Discover && len(c.Exclude) > 0 {
		p.Addf("grants.exclude: requires `discover = true`. Set that, or omit `exclude`")
	}
	if !c.Discover && len(c.OrganizationalUnits) > 0 {
		p.Addf("grants.organizational_units: requires `discover = true`. Set that, or omit `organizational_units`")
	}
	if _, err := c.fromFile(); err != nil {
		p.Addf("grants.accounts_file: %w", err)
	}
}

// fromFile reads the accounts of accounts_file, none if there is no such file in
// the configuration.
func (c *GrantsConfig) fromFile() ([]string, error) {
	if c.AccountsFile == "" || config.Unknown(c.AccountsFile) {
		return nil, nil
	}
	content, err := os.ReadFile(c.AccountsFile)
	if err != nil {
		return nil, fmt.Errorf("%w. Set the path of a readable file. Relative paths start in Packer's working directory, so use ${path.root}/FILE", err)
	}
	ids, err := organization.Parse(content)
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
