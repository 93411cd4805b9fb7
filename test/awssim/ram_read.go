package awssim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// ramPage is how many items a response has at most. AWS doesn't document the number for
// requests without maxResults; a small one makes every test read several pages.
const ramPage = 2

// ramList is a page of a list, with the token of the next page. Fact: RAM-12.
func ramList(name string, list []map[string]any, maxResults int, token string) (any, error) {
	size := ramPage
	if maxResults != 0 {
		size = min(size, maxResults)
	}
	if size < 1 {
		return nil, badRequest("InvalidMaxResultsException", "The maxResults value %d is not valid.", maxResults)
	}
	first := 0
	if token != "" {
		var err error
		if first, err = strconv.Atoi(token); err != nil || first < 1 || first >= len(list) {
			return nil, badRequest("InvalidNextTokenException", "The specified value for NextToken isn't valid.")
		}
	}
	last := min(first+size, len(list))
	answer := map[string]any{name: list[first:last]}
	if last < len(list) {
		answer["nextToken"] = strconv.Itoa(last)
	}
	return answer, nil
}

type getResourceSharesRequest struct {
	ResourceOwner       string   `json:"resourceOwner"`
	ResourceShareStatus string   `json:"resourceShareStatus"`
	ResourceShareArns   []string `json:"resourceShareArns"`
	Name                string   `json:"name"`
	MaxResults          int      `json:"maxResults"`
	NextToken           string   `json:"nextToken"`
	TagFilters          []struct {
		TagKey    string   `json:"tagKey"`
		TagValues []string `json:"tagValues"`
	} `json:"tagFilters"`
}

// getResourceShares lists shares once readers see them. That RAM is eventually
// consistent is believed.
func getResourceShares(c *call) (any, error) {
	r, err := decodeJSON[getResourceSharesRequest](c)
	if err != nil {
		return nil, err
	}
	if r.ResourceOwner != "SELF" {
		return nil, badRequest("InvalidParameterException", "the simulator knows the resource owner SELF only, not %q", r.ResourceOwner)
	}
	list := []map[string]any{}
	for _, s := range c.ownShares() {
		wanted := (r.ResourceShareStatus == "" || r.ResourceShareStatus == s.status()) && (r.Name == "" || r.Name == s.name) &&
			(len(r.ResourceShareArns) == 0 || slices.Contains(r.ResourceShareArns, s.arn))
		for _, f := range r.TagFilters {
			wanted = wanted && slices.ContainsFunc(s.tags, func(t ramTag) bool {
				return t.Key == f.TagKey && (len(f.TagValues) == 0 || slices.Contains(f.TagValues, t.Value))
			})
		}
		if wanted {
			list = append(list, s.describe())
		}
	}
	return ramList("resourceShares", list, r.MaxResults, r.NextToken)
}

// ownShares are the caller's shares in the Region that readers see.
func (c *call) ownShares() []*resourceShare {
	var own []*resourceShare
	for _, s := range c.w.shares {
		if s.account == c.caller.Account && s.region == c.region && !s.created.Add(c.w.options.PropagationLag).After(c.now) {
			own = append(own, s)
		}
	}
	return own
}

func (s *resourceShare) describeAssociations(now time.Time) []map[string]any {
	list := []map[string]any{}
	for _, a := range s.associations {
		kind := "RESOURCE"
		if a.principal {
			kind = "PRINCIPAL"
		}
		described := map[string]any{
			"resourceShareArn": s.arn, "resourceShareName": s.name, "associatedEntity": a.entity, "associationType": kind,
			"status": a.status(now), "external": a.external, "creationTime": s.created.Unix(),
		}
		if described["status"] == "FAILED" {
			described["statusMessage"] = a.message(now)
		}
		list = append(list, described)
	}
	return list
}

type getResourceShareAssociationsRequest struct {
	AssociationType   string   `json:"associationType"`
	AssociationStatus string   `json:"associationStatus"`
	ResourceShareArns []string `json:"resourceShareArns"`
	ResourceArn       string   `json:"resourceArn"`
	MaxResults        int      `json:"maxResults"`
	NextToken         string   `json:"nextToken"`
}

// getResourceShareAssociations lists the principals or resources of the caller's shares:
// of all of them, of those that are named, or of those with one resource.
func getResourceShareAssociations(c *call) (any, error) {
	r, err := decodeJSON[getResourceShareAssociationsRequest](c)
	switch {
	case err != nil:
		return nil, err
	case r.AssociationType != "PRINCIPAL" && r.AssociationType != "RESOURCE":
		return nil, badRequest("InvalidParameterException", "associationType %q is not PRINCIPAL or RESOURCE", r.AssociationType)
	case r.AssociationType == "PRINCIPAL" && r.ResourceArn != "":
		return nil, badRequest("InvalidParameterException", "You can't specify resourceArn with the association type PRINCIPAL.")
	}
	list := []map[string]any{}
	for _, s := range c.ownShares() {
		if len(r.ResourceShareArns) > 0 && !slices.Contains(r.ResourceShareArns, s.arn) {
			continue
		}
		for _, a := range s.describeAssociations(c.now) {
			if a["associationType"] == r.AssociationType && (r.ResourceArn == "" || a["associatedEntity"] == r.ResourceArn) &&
				(r.AssociationStatus == "" || a["status"] == r.AssociationStatus) {
				list = append(list, a)
			}
		}
	}
	return ramList("resourceShareAssociations", list, r.MaxResults, r.NextToken)
}

// sharedWith reports whether a share gives the account the resource.
func (c *call) sharedWith(account, resource string) bool {
	has := func(s *resourceShare, covers func(shareAssociation) bool) bool {
		return slices.ContainsFunc(s.associations, func(a shareAssociation) bool { return a.status(c.now) == "ASSOCIATED" && covers(a) })
	}
	path := c.w.accounts[account].organizationalUnits
	return slices.ContainsFunc(c.w.shares, func(s *resourceShare) bool {
		return has(s, func(a shareAssociation) bool { return !a.principal && a.entity == resource }) &&
			has(s, func(a shareAssociation) bool {
				parts := strings.Split(a.entity, "/")
				switch {
				case !a.principal:
					return false
				case strings.Contains(a.entity, ":ou/"):
					return slices.Contains(path, parts[len(parts)-1])
				case strings.Contains(a.entity, ":organization/"):
					return len(path) > 0
				default:
					return a.entity == account
				}
			})
	})
}

// ParameterShare is how a parameter is shared, for tests to compare.
type ParameterShare struct {
	Region     string
	External   bool
	Principals []string
	Resources  []string
	Tags       map[string]string
}

// ParameterShares are the account's shares in RAM, in the order of their creation.
// They are not subject to any lag.
func (w *World) ParameterShares(account string) []ParameterShare {
	w.mu.Lock()
	defer w.mu.Unlock()
	var shares []ParameterShare
	for _, s := range w.shares {
		if s.account != account {
			continue
		}
		share := ParameterShare{Region: s.region, External: s.external, Tags: map[string]string{}}
		for _, t := range s.tags {
			share.Tags[t.Key] = t.Value
		}
		for _, a := range s.associations {
			switch {
			case a.ended:
			case a.principal:
				share.Principals = append(share.Principals, a.entity)
			default:
				share.Resources = append(share.Resources, a.entity)
			}
		}
		shares = append(shares, share)
	}
	return shares
}
