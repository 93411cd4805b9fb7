package launchcheck

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/fanout"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// Members is what the member roles read in their accounts. The zero value knows
// nothing.
type Members struct {
	accounts map[string]memberAccount
	// Inspected are the accounts of which something was read.
	Inspected []string
	// Unread is what couldn't be read, in a fixed order.
	Unread []Unread
}

// Unread is something that couldn't be read in some accounts. The checks there
// assume it.
type Unread struct {
	// Action is the action of IAM that reads it: [AssumeRole] if the account's role
	// couldn't be used at all.
	Action string
	// Denied means that AWS returned that the action isn't allowed.
	Denied   bool
	Accounts []string
	Err      error // from one of the accounts
}

// AssumeRole is the action without which nothing of an account is read.
const AssumeRole = "sts:AssumeRole"

// memberAccount is what was read of an account.
type memberAccount struct {
	settings     evaluate.Account // without the ID
	organization string           // empty if it isn't known
	roles        []string         // paths and names; nil if they aren't known
}

// accountsAtOnce bounds the accounts that are inspected at the same time. Each has its
// own quotas, so only STS and this machine are limits. Fact: QUOTA-8, STS-3.
const accountsAtOnce = 32

// Member returns clients of a role in a member account, or the error of assuming it.
type Member func(ctx context.Context, account string) (*awsclient.Clients, error)

// Query defines what to read in member accounts.
type Query struct {
	Partition string
	Accounts  []string
	Regions   []string
	// Owner is the account that owns key and images.
	Owner string
	// Roles are patterns of roles that launch, in addition to Karpenter's.
	Roles []string
	// Keys are the ARNs of the images' keys, by Region. Without one, no role is
	// simulated there.
	Keys map[string][]string
	// Images are the IDs of the images that exist, by Region.
	Images map[string]string
	// Published means that the accounts are to see the images already.
	Published bool
}

// Inspect reads, in each account, what its launches depend on. It fails only if the
// context ends. [Members.Unread] lists what it couldn't read.
func Inspect(ctx context.Context, member Member, query Query) (Members, error) {
	members := Members{accounts: map[string]memberAccount{}}
	var mu sync.Mutex
	unread := map[unreadKey]*Unread{}
	turns := make(chan struct{}, awsclient.CallsAtOnce)
	failed := fanout.Limit(ctx, accountsAtOnce, "member accounts", query.Accounts, func(ctx context.Context, account string) error {
		i := inspector{Query: query, id: account, turns: turns, unread: map[string]error{}}
		i.account(ctx, member, account)
		mu.Lock()
		defer mu.Unlock()
		if i.inspected {
			members.Inspected = append(members.Inspected, account)
		}
		members.accounts[account] = i.found
		for action, err := range i.unread {
			key := unreadKey{action, awsclient.IsAccessDenied(err)}
			if unread[key] == nil {
				unread[key] = &Unread{Action: action, Denied: key.denied, Err: err}
			}
			unread[key].Accounts = append(unread[key].Accounts, account)
		}
		return nil
	})
	for _, u := range unread {
		slices.Sort(u.Accounts)
		members.Unread = append(members.Unread, *u)
	}
	slices.SortFunc(members.Unread, func(a, b Unread) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), slices.Compare(a.Accounts, b.Accounts))
	})
	slices.Sort(members.Inspected)
	return members, errors.Join(failed...)
}

type unreadKey struct {
	action string
	denied bool
}

// inspector inspects one account.
type inspector struct {
	Query

	id    string // the account's
	turns chan struct{}

	mu        sync.Mutex
	found     memberAccount
	inspected bool
	unread    map[string]error // by action
}

// turn waits before the call for what [awsclient.CallsAtOnce] allows. A call that waits
// inside the SDK holds 20 times the memory.
func (i *inspector) turn(ctx context.Context, call func()) {
	select {
	case i.turns <- struct{}{}:
		defer func() { <-i.turns }()
	case <-ctx.Done(): // the call fails, and records that
	}
	call()
}

// read records the result of a read: found, or the error. An error in one Region is
// enough, because the same role reads all Regions.
func (i *inspector) read(action string, err error, found func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil {
		i.unread[action] = err
		return
	}
	i.inspected = true
	found()
}

func (i *inspector) account(ctx context.Context, member Member, account string) {
	i.found.settings = evaluate.Account{
		ID: i.id, Simulations: map[string]map[string]evaluate.Simulation{}, DefaultEBSKeys: map[string]evaluate.Key{}, AllowedAMIs: map[string]evaluate.AllowedAMIs{}, RegionEnabled: map[string]bool{},
		SeesImage: map[string]bool{},
	}
	clients, err := member(ctx, account)
	if err != nil {
		i.unread[AssumeRole] = err
		return
	}
	_ = fanout.Each(ctx, []string{"organization", "regions", "roles"}, func(ctx context.Context, what string) error { // errors are in unread
		i.turn(ctx, func() {
			switch what {
			case "organization":
				i.readOrganization(ctx, clients)
			case "regions":
				i.readRegions(ctx, clients)
			default:
				i.readRoles(ctx, clients)
			}
		})
		return nil
	})
	_ = fanout.Each(ctx, i.enabledRegions(), func(ctx context.Context, region string) error {
		i.readRegion(ctx, clients, region)
		return nil
	})
}

// enabledRegions are those that aren't known to be disabled.
func (i *inspector) enabledRegions() []string {
	return slices.DeleteFunc(slices.Clone(i.Regions), func(region string) bool {
		enabled, known := i.found.settings.RegionEnabled[region]
		return known && !enabled
	})
}

// readOrganization reads the account's organization. Fact: ORG-1, ORG-5.
func (i *inspector) readOrganization(ctx context.Context, clients *awsclient.Clients) {
	answer, err := clients.Organizations(i.Partition).DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	id := "none"
	switch {
	case awsclient.Is(err, awsclient.CodeNotInOrganization):
		err = nil
	case err == nil && answer.Organization == nil || err == nil && aws.ToString(answer.Organization.Id) == "":
		err = awsclient.Incomplete("Organizations DescribeOrganization", clients.Region(), "the organization's ID")
	case err == nil:
		id = *answer.Organization.Id
	}
	i.read("organizations:DescribeOrganization", err, func() { i.found.organization = id })
}

// readRegions reads which Regions the account has enabled. Fact: NET-4.
func (i *inspector) readRegions(ctx context.Context, clients *awsclient.Clients) {
	status, err := ami.RegionStatus(ctx, clients.EC2, clients.Region())
	i.read("ec2:DescribeRegions", err, func() {
		for _, region := range i.Regions {
			switch status[region] {
			case "opt-in-not-required", "opted-in":
				i.found.settings.RegionEnabled[region] = true
			case "not-opted-in":
				i.found.settings.RegionEnabled[region] = false
			}
		}
	})
}

// readRoles reads the paths and names of the account's roles.
func (i *inspector) readRoles(ctx context.Context, clients *awsclient.Clients) {
	roles, err := listRoles(ctx, clients)
	i.read("iam:ListRoles", err, func() { i.found.roles = roles })
}

// listRoles doesn't use the SDK's paginator: it converts the client to an interface,
// and the linker would keep all of IAM's operations, 3 MB.
func listRoles(ctx context.Context, clients *awsclient.Clients) ([]string, error) {
	client, input, roles := clients.IAM(), iam.ListRolesInput{MaxItems: aws.Int32(1000)}, []string{}
	for {
		page, err := client.ListRoles(ctx, &input)
		if err != nil {
			return nil, awsclient.Wrap(err, "listing roles")
		}
		for _, role := range page.Roles {
			if aws.ToString(role.RoleName) == "" {
				return nil, awsclient.Incomplete("IAM ListRoles", clients.Region(), "a role's name")
			}
			roles = append(roles, strings.TrimPrefix(aws.ToString(role.Path)+*role.RoleName, "/"))
		}
		input.Marker = page.Marker
		switch {
		case !page.IsTruncated:
			slices.Sort(roles)
			return roles, nil
		case aws.ToString(page.Marker) == "":
			return nil, awsclient.Incomplete("IAM ListRoles", clients.Region(), "Marker")
		}
	}
}

// readRegion reads the account's settings in a Region.
func (i *inspector) readRegion(ctx context.Context, clients *awsclient.Clients, region string) {
	_ = fanout.Each(ctx, []string{"allowed", "image", "key"}, func(ctx context.Context, what string) error {
		i.turn(ctx, func() {
			switch what {
			case "key":
				i.readDefaultKey(ctx, clients, region)
			case "image":
				i.readImage(ctx, clients, region)
			default:
				setting, err := readAllowedAMIs(ctx, clients, region)
				i.read("ec2:GetAllowedImagesSettings", err, func() { i.found.settings.AllowedAMIs[region] = setting })
			}
		})
		return nil
	})
	i.turn(ctx, func() { i.simulate(ctx, clients, region) }) // the default key is one of those that are simulated
}

// readImage reads whether the account sees the published image. Allowed AMIs hides
// it, as does an image that isn't shared. Fact: EC2-ALLOW-2, EC2-IMG-26.
func (i *inspector) readImage(ctx context.Context, clients *awsclient.Clients, region string) {
	id := i.Images[region]
	if !i.Published || id == "" {
		return
	}
	answer, err := clients.EC2(region).DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}})
	sees := err == nil && len(answer.Images) > 0
	if awsclient.Is(err, awsclient.CodeImageNotFound) {
		err = nil
	}
	i.read("ec2:DescribeImages", awsclient.Wrap(err, "describing image %s in %s", id, region), func() { i.found.settings.SeesImage[region] = sees })
}
