package ssmparam

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/ram/types"

	"github.com/orgami/packer-plugin-orgami/internal/change"
)

// TagParameter is the tag of the resource shares that the plugin creates. Its value is
// the name of the parameter.
const TagParameter = "orgami:parameter"

// maxSharedName is the longest name of a parameter that can be shared: the tag holds it.
// Fact: RAM-17.
const maxSharedName = 256

// Sharing says with which principals the Region's parameter is to be shared.
type Sharing struct {
	Region, Name string
	// ARN is the parameter's.
	ARN string
	// Principals are account IDs, and ARNs of an organization or of units.
	Principals []string
	// External allows accounts outside the organization, which have to accept an
	// invitation. Fact: RAM-14, RAM-15.
	External bool
	// Prune lets [Remove] remove principals that aren't configured.
	Prune bool
}

// Shares are the account's resource shares that contain a parameter or are made for it,
// in one Region.
type Shares struct {
	// own have the plugin's tag with the parameter's name, others don't. Both are sorted
	// by ARN.
	own, others []share
	// deleted are the ARNs of deleted and failed shares with the tag that RAM still lists,
	// sorted.
	deleted []string
}

type share struct {
	arn, name             string
	external              bool
	principals, resources map[string]association // by account ID or ARN
}

type association struct {
	status  types.ResourceShareAssociationStatus
	message string
}

// ARN is the ARN of the share that the plugin created, or "" if there is none.
func (s Shares) ARN() string {
	if len(s.own) == 0 {
		return ""
	}
	return s.own[0].arn
}

// Principals are those that the plugin's shares give access to the parameter, sorted. An
// account outside the organization is among them before it accepts its invitation.
func (s Shares) Principals() []string {
	var all []string
	for _, own := range s.own {
		all = append(all, own.with()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// SharesWithOrganization reports whether a principal of the organization is associated,
// which requires that RAM's sharing with AWS Organizations is on. Fact: RAM-2.
func (s Shares) SharesWithOrganization() bool {
	return slices.ContainsFunc(slices.Concat(s.own, s.others), func(s share) bool {
		for principal, a := range s.principals {
			if strings.Contains(principal, ":organizations:") && a.status == types.ResourceShareAssociationStatusAssociated {
				return true
			}
		}
		return false
	})
}

// live reports whether the association gives access, or is going to. Fact: RAM-9.
func (a association) live() bool {
	return a.status == types.ResourceShareAssociationStatusAssociated || a.status == types.ResourceShareAssociationStatusAssociating
}

// ended reports whether the association gives no access and is not going to.
func (a association) ended() bool {
	switch a.status {
	case types.ResourceShareAssociationStatusDisassociated, types.ResourceShareAssociationStatusDisassociating, types.ResourceShareAssociationStatusFailed:
		return true
	default:
		return false
	}
}

// with lists the principals of the share, sorted, without those whose association ended.
func (s share) with() []string { return entities(s.principals) }

func entities(associations map[string]association) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(associations)), func(entity string) bool { return associations[entity].ended() })
}

// missing lists the principals and resources that the share lacks.
func (s Sharing) missing(have share) (principals, resources []string) {
	principals = slices.DeleteFunc(s.sorted(), func(p string) bool { return have.principals[p].live() })
	if !have.resources[s.ARN].live() {
		resources = []string{s.ARN}
	}
	return principals, resources
}

func (s Sharing) sorted() []string { return slices.Sorted(slices.Values(s.Principals)) }

// extra lists the share's principals that aren't configured.
func (s Sharing) extra(have share) []string {
	return slices.DeleteFunc(have.with(), func(p string) bool { return slices.Contains(s.Principals, p) })
}

// Removes reports whether the plugin's shares have principals that aren't configured.
func (s Sharing) Removes(have Shares) bool {
	return slices.ContainsFunc(have.own, func(own share) bool { return len(s.extra(own)) > 0 })
}

// Diff lists what is to change in the sharing of the parameter, and what shares it in
// addition. Principals that aren't configured are removed only with Prune, and only from
// the plugin's shares.
func (s Sharing) Diff(have Shares) []change.Change {
	add := func(action change.Action, detail string) change.Change {
		return change.Change{Kind: change.ParameterShare, Action: action, Region: s.Region, ID: s.Name, Detail: detail}
	}
	if len(have.own) == 0 {
		changes := []change.Change{add(change.Create, "shares the parameter with "+strings.Join(s.sorted(), ", "))}
		return append(changes, s.unmanaged(have, add)...)
	}
	first := add(change.NoOp, "")
	switch principals, resources := s.missing(have.own[0]); {
	case len(principals) > 0:
		first.Action, first.Detail = change.Update, "shares the parameter with "+strings.Join(principals, ", ")
	case len(resources) > 0:
		first.Action, first.Detail = change.Update, "adds the parameter to the resource share"
	}
	return append([]change.Change{first}, s.unmanaged(have, add)...)
}

// unmanaged lists what shares the parameter in addition.
func (s Sharing) unmanaged(have Shares, add func(change.Action, string) change.Change) []change.Change {
	var changes []change.Change
	for i, own := range have.own {
		waiting := slices.DeleteFunc(s.sorted(), func(p string) bool {
			return !s.invited(p) || own.principals[p].status != types.ResourceShareAssociationStatusAssociating
		})
		if len(waiting) > 0 {
			changes = append(changes, add(change.Unmanaged, "no access yet: RAM's invitation must be accepted by "+strings.Join(waiting, ", ")))
		}
		switch extra := strings.Join(s.extra(own), ", "); {
		case extra != "" && s.Prune:
			changes = append(changes, add(change.Delete, "sharing will be removed with "+extra))
		case extra != "":
			changes = append(changes, add(change.Unmanaged, "also shared with "+extra))
		}
		if own.external && !s.External {
			changes = append(changes, add(change.Unmanaged, "the resource share allows accounts outside the organization. Change that with "+s.setExternal(own, false)))
		}
		if i > 0 {
			changes = append(changes, add(change.Unmanaged, "a second resource share of the parameter exists, "+own.arn+". Delete it if nothing needs it"))
		}
	}
	for _, other := range have.others {
		if with := other.with(); len(with) > 0 {
			changes = append(changes, add(change.Unmanaged, fmt.Sprintf("the resource share %s (%s) also shares the parameter with %s", other.name, other.arn, strings.Join(with, ", "))))
		}
	}
	return changes
}

// Problem explains why the plugin can't use its resource share, or returns "". A share
// with other resources is never given more principals: it would share these, too.
func (s Sharing) Problem(have Shares) string {
	if len(s.Principals) == 0 {
		return fmt.Sprintf("the parameter %s in %s can't be shared: the share block lists no account other than the publishing one. List the accounts, or omit ssm.share", s.Name, s.Region)
	}
	if len(s.Name) > maxSharedName {
		return fmt.Sprintf("the parameter %s in %s can't be shared: its name has %d characters, and the tag of its resource share can hold %d. Set a shorter ssm.name", s.Name, s.Region, len(s.Name), maxSharedName)
	}
	for _, own := range have.own {
		others := slices.DeleteFunc(entities(own.resources), func(r string) bool { return r == s.ARN })
		if len(others) > 0 {
			return fmt.Sprintf("the resource share %s in %s has the tag %s=%s of the parameter's share, but also shares %s. Remove that from the share, or remove the tag", own.arn, s.Region, TagParameter, s.Name, strings.Join(others, ", "))
		}
	}
	if len(have.own) > 0 && s.External && !have.own[0].external {
		return fmt.Sprintf("ssm.external_accounts is set, but the resource share of the parameter %s in %s doesn't allow accounts outside the organization. Run %s", s.Name, s.Region, s.setExternal(have.own[0], true))
	}
	return ""
}

func (s Sharing) setExternal(have share, allow bool) string {
	if allow {
		return fmt.Sprintf("'aws ram update-resource-share --region %s --resource-share-arn %s --allow-external-principals'", s.Region, have.arn)
	}
	return fmt.Sprintf("'aws ram update-resource-share --region %s --resource-share-arn %s --no-allow-external-principals'", s.Region, have.arn)
}

// EnableSharing says how to turn on RAM's sharing with AWS Organizations. No operation
// tells a member account whether it is on. Fact: RAM-2, RAM-4, RAM-5.
func (s Sharing) EnableSharing() string {
	where := "the organization's management account"
	for _, principal := range s.sorted() {
		if parsed, err := arn.Parse(principal); err == nil {
			where = "the management account " + parsed.AccountID
		}
	}
	return "If RAM's sharing with AWS Organizations is off, run 'aws ram enable-sharing-with-aws-organization' in " + where
}

// shareName is the name of the parameter's share: RAM documents no limit for names, so it
// is short and has plain characters only.
func (s Sharing) shareName() string { return "orgami-parameter-" + digest(s.Name)[:16] }

// token makes the creation of the share idempotent: another run with the same sharing has
// the same token, so a lost response leads to no second share. After a share was deleted,
// the token is another one: RAM may still return the deleted share for the earlier token.
// Fact: RAM-11.
func (s Sharing) token(principals, deleted []string) string {
	return digest(strings.Join(slices.Concat([]string{s.ARN, fmt.Sprint(s.External)}, principals, deleted), "\n"))[:32]
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func byARN(a, b share) int { return cmp.Compare(a.arn, b.arn) }
