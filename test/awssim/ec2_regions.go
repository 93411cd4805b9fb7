package awssim

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

func (r *region) resourceID() string { return r.name }

type describeRegionsRequest struct {
	RegionNames []string `param:"RegionName"`
	AllRegions  bool
	Filters     []filter `param:"Filter"`
}

type regionItem struct {
	RegionName  string `xml:"regionName"`
	Endpoint    string `xml:"regionEndpoint"`
	OptInStatus string `xml:"optInStatus"`
}

type describeRegionsAnswer struct {
	Regions set[regionItem] `xml:"regionInfo"`
}

// describeRegions lists the Regions that the account can use or, with
// AllRegions, all.
func describeRegions(c *call, r describeRegionsRequest) (any, error) {
	var regions []*region
	for _, name := range slices.Sorted(maps.Keys(c.w.regions)) {
		region := c.w.regions[name]
		named := len(r.RegionNames) == 0 || slices.Contains(r.RegionNames, name)
		if named && (r.AllRegions || c.account().enabledIn(region, c.now)) {
			regions = append(regions, region)
		}
	}
	for _, name := range r.RegionNames {
		if c.w.regions[name] == nil {
			return nil, badRequest("InvalidParameterValue", "Invalid region names provided: %s", name)
		}
	}
	regions, problem := regionFilters.selectBy(c, r.Filters, regions)
	if problem != nil {
		return nil, problem
	}
	return describeRegionsAnswer{setFrom(regions, func(r *region) regionItem {
		return regionItem{r.name, c.w.ec2Endpoint(r.name), c.optInStatus(r)}
	})}, nil
}

// ec2Endpoint is the host of EC2's endpoint in the Region.
func (w *World) ec2Endpoint(region string) string {
	if w.partition == "aws-cn" {
		return "ec2." + region + ".amazonaws.com.cn"
	}
	return "ec2." + region + ".amazonaws.com"
}

func (c *call) optInStatus(r *region) string {
	switch {
	case !r.optIn:
		return "opt-in-not-required"
	case c.account().enabledIn(r, c.now):
		return "opted-in"
	default:
		return "not-opted-in"
	}
}

var regionFilters = filterTable[*region]{
	"endpoint":      func(c *call, r *region) []string { return []string{c.w.ec2Endpoint(r.name)} },
	"opt-in-status": func(c *call, r *region) []string { return []string{c.optInStatus(r)} },
	"region-name":   func(_ *call, r *region) []string { return []string{r.name} },
}

// zone is an availability zone.
type zone struct{ name, id string }

func (z zone) resourceID() string { return z.name }

// zones of the Region: three everywhere.
func (c *call) zones() []zone {
	var zones []zone
	for n, letter := range []string{"a", "b", "c"} {
		zones = append(zones, zone{c.region + letter, zonePrefix(c.region) + "-az" + strconv.Itoa(n+1)})
	}
	return zones
}

// zonePrefix is the Region as zone IDs write it: apse2 for ap-southeast-2.
func zonePrefix(region string) string {
	short := strings.NewReplacer("northeast", "ne", "southeast", "se", "northwest", "nw", "southwest", "sw",
		"north", "n", "south", "s", "east", "e", "west", "w", "central", "c", "gov", "g", "-", "")
	return short.Replace(region)
}

type describeZonesRequest struct {
	ZoneNames []string `param:"ZoneName"`
	ZoneIDs   []string `param:"ZoneId"`
	All       bool     `param:"AllAvailabilityZones"`
	Filters   []filter `param:"Filter"`
}

type zoneItem struct {
	ZoneName    string `xml:"zoneName"`
	ZoneID      string `xml:"zoneId"`
	ZoneState   string `xml:"zoneState"`
	ZoneType    string `xml:"zoneType"`
	RegionName  string `xml:"regionName"`
	GroupName   string `xml:"groupName"`
	OptInStatus string `xml:"optInStatus"`
}

type describeZonesAnswer struct {
	Zones set[zoneItem] `xml:"availabilityZoneInfo"`
}

func describeAvailabilityZones(c *call, r describeZonesRequest) (any, error) {
	zones := slices.DeleteFunc(c.zones(), func(z zone) bool {
		return len(r.ZoneNames) > 0 && !slices.Contains(r.ZoneNames, z.name) || len(r.ZoneIDs) > 0 && !slices.Contains(r.ZoneIDs, z.id)
	})
	if len(zones) < max(len(r.ZoneNames), len(r.ZoneIDs)) {
		return nil, badRequest("InvalidParameterValue", "Invalid availability zones: %s", strings.Join(append(r.ZoneNames, r.ZoneIDs...), ", "))
	}
	zones, problem := zoneFilters.selectBy(c, r.Filters, zones)
	if problem != nil {
		return nil, problem
	}
	return describeZonesAnswer{setFrom(zones, func(z zone) zoneItem {
		return zoneItem{z.name, z.id, "available", "availability-zone", c.region, c.region, "opt-in-not-required"}
	})}, nil
}

var zoneFilters = filterTable[zone]{
	"opt-in-status": func(*call, zone) []string { return []string{"opt-in-not-required"} },
	"region-name":   func(c *call, _ zone) []string { return []string{c.region} },
	"state":         func(*call, zone) []string { return []string{"available"} },
	"zone-id":       func(_ *call, z zone) []string { return []string{z.id} },
	"zone-name":     func(_ *call, z zone) []string { return []string{z.name} },
	"zone-type":     func(*call, zone) []string { return []string{"availability-zone"} },
}

type describeAccountAttributesRequest struct {
	Names []string `param:"AttributeName"`
}

type accountAttributeValue struct {
	Value string `xml:"attributeValue"`
}

type accountAttribute struct {
	Name   string                     `xml:"attributeName"`
	Values set[accountAttributeValue] `xml:"attributeValueSet"`
}

type describeAccountAttributesAnswer struct {
	Attributes set[accountAttribute] `xml:"accountAttributeSet"`
}

func describeAccountAttributes(c *call, r describeAccountAttributesRequest) (any, error) {
	all := []accountAttribute{
		{"supported-platforms", setOf(accountAttributeValue{"VPC"})},
		{"default-vpc", setOf(accountAttributeValue{c.network().vpc})},
	}
	all = slices.DeleteFunc(all, func(a accountAttribute) bool {
		return len(r.Names) > 0 && !slices.Contains(r.Names, a.Name)
	})
	return describeAccountAttributesAnswer{setOf(all...)}, nil
}
