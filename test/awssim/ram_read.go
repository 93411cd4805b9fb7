package awssim

import (
	"slices"
	"strings"
	"time"
)

type getResourceSharesRequest struct {
	ResourceOwner       string `json:"resourceOwner"`
	ResourceShareStatus string `json:"resourceShareStatus"`
	MaxResults          int    `json:"maxResults"`
	NextToken           string `json:"nextToken"`
	TagFilters          []struct {
		TagKey    string   `json:"tagKey"`
		TagValues []string `json:"tagValues"`
	} `json:"tagFilters"`
}

func getResourceShares(c *call) (any, error) {
	r, err := decodeJSON[getResourceSharesRequest](c)
	if err != nil {
		return nil, err
	}
	if r.ResourceOwner != "SELF" {
		return nil, badRequest("InvalidParameterException", "the simulator knows the resource owner SELF only, not %q", r.ResourceOwner)
	}
	list := []map[string]any{}
	for _, s := range c.w.shares {
		wanted := s.account == c.caller.Account && s.region == c.region && (r.ResourceShareStatus == "" || r.ResourceShareStatus == "ACTIVE")
		for _, f := range r.TagFilters {
			wanted = wanted && slices.ContainsFunc(s.tags, func(t ramTag) bool {
				return t.Key == f.TagKey && (len(f.TagValues) == 0 || slices.Contains(f.TagValues, t.Value))
			})
		}
		if wanted {
			list = append(list, s.describe())
		}
	}
	return map[string]any{"resourceShares": list}, nil
}

func (s *resourceShare) describeAssociations(now time.Time) []map[string]any {
	list := []map[string]any{}
	for _, a := range s.associations {
		kind := "RESOURCE"
		if a.principal {
			kind = "PRINCIPAL"
		}
		list = append(list, map[string]any{
			"resourceShareArn": s.arn, "resourceShareName": s.name, "associatedEntity": a.entity, "associationType": kind,
			"status": a.status(now), "external": a.external, "creationTime": s.created.Unix(),
		})
	}
	return list
}

type getResourceShareAssociationsRequest struct {
	AssociationType   string   `json:"associationType"`
	ResourceShareArns []string `json:"resourceShareArns"`
	MaxResults        int      `json:"maxResults"`
	NextToken         string   `json:"nextToken"`
}

func getResourceShareAssociations(c *call) (any, error) {
	r, err := decodeJSON[getResourceShareAssociationsRequest](c)
	if err != nil {
		return nil, err
	}
	if r.AssociationType != "PRINCIPAL" && r.AssociationType != "RESOURCE" {
		return nil, badRequest("InvalidParameterException", "associationType %q is not PRINCIPAL or RESOURCE", r.AssociationType)
	}
	list := []map[string]any{}
	for _, s := range c.w.shares {
		if s.account != c.caller.Account || s.region != c.region || !slices.Contains(r.ResourceShareArns, s.arn) {
			continue
		}
		for _, a := range s.describeAssociations(c.now) {
			if a["associationType"] == r.AssociationType {
				list = append(list, a)
			}
		}
	}
	return map[string]any{"resourceShareAssociations": list}, nil
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
