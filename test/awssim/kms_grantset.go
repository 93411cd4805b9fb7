package awssim

import (
	"slices"
	"sort"
	"time"
)

// grantSet is a regional key's grants. Lookups take constant time, because large
// organizations have tens of thousands of grants on each key.
type grantSet struct {
	all       []*kmsGrant // by creation time
	byID      map[string]*kmsGrant
	byName    map[string][]*kmsGrant
	byGrantee map[string][]*kmsGrant
	revoked   int
}

func (s *grantSet) add(g *kmsGrant) {
	if s.byID == nil {
		s.byID, s.byName, s.byGrantee = map[string]*kmsGrant{}, map[string][]*kmsGrant{}, map[string][]*kmsGrant{}
	}
	s.all = append(s.all, g)
	s.byID[g.id] = g
	s.byName[g.name] = append(s.byName[g.name], g)
	s.byGrantee[g.grantee] = append(s.byGrantee[g.grantee], g)
}

// revoke ends a valid grant.
func (s *grantSet) revoke(id string, now time.Time) {
	if g := s.byID[id]; g != nil && g.revoked.IsZero() {
		g.revoked = now
		s.revoked++
	}
}

// holding returns the number of grants that are valid now.
func (s *grantSet) holding() int { return len(s.all) - s.revoked }

// active returns the grants that aren't revoked, including those that are too new to be
// visible. asOf hides those. The result belongs to the set: don't change it.
func (s *grantSet) active(asOf time.Time) []*kmsGrant {
	if s.revoked == 0 {
		n := sort.Search(len(s.all), func(i int) bool { return s.all[i].created.After(asOf) })
		return s.all[:n:n]
	}
	return activeOf(s.all, asOf)
}

func activeOf(grants []*kmsGrant, asOf time.Time) []*kmsGrant {
	return slices.DeleteFunc(slices.Clone(grants), func(g *kmsGrant) bool { return !g.activeAt(asOf) })
}

func (g *kmsGrant) activeAt(t time.Time) bool {
	return !g.created.After(t) && (g.revoked.IsZero() || g.revoked.After(t))
}
