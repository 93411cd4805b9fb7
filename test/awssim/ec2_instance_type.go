package awssim

import (
	"slices"
	"strconv"
	"strings"
)

// instanceType is a type of instance that every zone of every Region offers.
type instanceType struct {
	name, architecture string
	cores, memory      int // memory in MiB
}

// xen reports whether the type is of an older generation, without ENA and UEFI.
// Fact: EC2-INST-7.
func (t instanceType) xen() bool {
	return strings.HasPrefix(t.name, "m1.") || strings.HasPrefix(t.name, "t2.")
}

// current reports whether the type is of a current generation.
func (t instanceType) current() bool { return !strings.HasPrefix(t.name, "m1.") }

func (t instanceType) hypervisor() string {
	if t.xen() {
		return "xen"
	}
	return "nitro"
}

func (t instanceType) bootModes() []string {
	switch {
	case t.architecture == "arm64":
		return []string{"uefi"}
	case t.xen():
		return []string{"legacy-bios"}
	default:
		return []string{"legacy-bios", "uefi"}
	}
}

func (t instanceType) resourceID() string { return t.name }

// instanceTypes are all types: every family in every size.
var instanceTypes = func() []instanceType {
	var types []instanceType
	sizes := []struct {
		name          string
		cores, memory int
	}{
		{"nano", 2, 512},
		{"micro", 2, 1024},
		{"small", 2, 2048},
		{"medium", 2, 4096},
		{"large", 2, 8192},
		{"xlarge", 4, 16384},
		{"2xlarge", 8, 32768},
		{"4xlarge", 16, 65536},
	}
	for _, family := range []string{"m1", "t2", "t3", "t3a", "m5", "m6i", "m7i", "c5", "c6i", "c7i", "r5", "r6i", "t4g", "m6g", "m7g", "c6g", "c7g", "r6g"} {
		architecture := "x86_64"
		if strings.HasSuffix(family, "g") {
			architecture = "arm64"
		}
		for _, size := range sizes {
			small := size.memory < 8192
			if small && family[0] != 't' && family != "m1" && (architecture != "arm64" || size.memory < 4096) {
				continue
			}
			types = append(types, instanceType{family + "." + size.name, architecture, size.cores, size.memory})
		}
	}
	return types
}()

func instanceTypeNamed(name string) (instanceType, *Error) {
	n := slices.IndexFunc(instanceTypes, func(t instanceType) bool { return t.name == name })
	if n < 0 {
		return instanceType{}, badRequest("InvalidParameterValue", "Invalid value '%s' for InstanceType.", name)
	}
	return instanceTypes[n], nil
}

type describeInstanceTypesRequest struct {
	Names   []string `param:"InstanceType"`
	Filters []filter `param:"Filter"`
	paging
}

type instanceTypeItem struct {
	InstanceType string        `xml:"instanceType"`
	Processor    processorItem `xml:"processorInfo"`
	VCPUs        vCPUItem      `xml:"vCpuInfo"`
	Memory       memoryItem    `xml:"memoryInfo"`
	RootDevices  set[string]   `xml:"supportedRootDeviceTypes"`
	Virtual      set[string]   `xml:"supportedVirtualizationTypes"`
	BootModes    set[string]   `xml:"supportedBootModes"`
	Hypervisor   string        `xml:"hypervisor"`
	Current      bool          `xml:"currentGeneration"`
	BareMetal    bool          `xml:"bareMetal"`
}

type processorItem struct {
	Architectures set[string] `xml:"supportedArchitectures"`
}

type vCPUItem struct {
	Default int `xml:"defaultVCpus"`
}

type memoryItem struct {
	MiB int `xml:"sizeInMiB"`
}

type describeInstanceTypesAnswer struct {
	Types     set[instanceTypeItem] `xml:"instanceTypeSet"`
	NextToken string                `xml:"nextToken,omitempty"`
}

func describeInstanceTypes(c *call, r describeInstanceTypesRequest) (any, error) {
	types := slices.Clone(instanceTypes)
	if len(r.Names) > 0 {
		types = nil
		for _, name := range r.Names {
			t, problem := instanceTypeNamed(name)
			if problem != nil {
				return nil, badRequest("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", name)
			}
			types = append(types, t)
		}
	}
	types, problem := instanceTypeFilters.selectBy(c, r.Filters, types)
	if problem != nil {
		return nil, problem
	}
	types, next, problem := pageOf(r.paging, types)
	if problem != nil {
		return nil, problem
	}
	return describeInstanceTypesAnswer{NextToken: next, Types: setFrom(types, func(t instanceType) instanceTypeItem {
		return instanceTypeItem{
			t.name,
			processorItem{setOf(t.architecture)},
			vCPUItem{t.cores},
			memoryItem{t.memory},
			setOf("ebs"), setOf("hvm"),
			setOf(t.bootModes()...), t.hypervisor(), t.current(), false,
		}
	})}, nil
}

var instanceTypeFilters = filterTable[instanceType]{
	"instance-type":                         func(_ *call, t instanceType) []string { return []string{t.name} },
	"processor-info.supported-architecture": func(_ *call, t instanceType) []string { return []string{t.architecture} },
	"current-generation":                    func(_ *call, t instanceType) []string { return []string{strconv.FormatBool(t.current())} },
	"bare-metal":                            func(*call, instanceType) []string { return []string{"false"} },
	"hypervisor":                            func(_ *call, t instanceType) []string { return []string{t.hypervisor()} },
	"supported-boot-mode":                   func(_ *call, t instanceType) []string { return t.bootModes() },
	"supported-root-device-type":            func(*call, instanceType) []string { return []string{"ebs"} },
	"supported-virtualization-type":         func(*call, instanceType) []string { return []string{"hvm"} },
}

// offering is an instance type in a Region or zone.
type offering struct{ instanceType, location string }

func (o offering) resourceID() string { return o.location + " " + o.instanceType }

type describeOfferingsRequest struct {
	LocationType string
	Filters      []filter `param:"Filter"`
	paging
}

type offeringItem struct {
	InstanceType string `xml:"instanceType"`
	LocationType string `xml:"locationType"`
	Location     string `xml:"location"`
}

type describeOfferingsAnswer struct {
	Offerings set[offeringItem] `xml:"instanceTypeOfferingSet"`
	NextToken string            `xml:"nextToken,omitempty"`
}

// zoneName returns the name of a zone, given its name or ID.
func (c *call) zoneName(zone string) string {
	for _, z := range c.zones() {
		if z.id == zone {
			return z.name
		}
	}
	return zone
}

func describeInstanceTypeOfferings(c *call, r describeOfferingsRequest) (any, error) {
	var locations []string
	switch r.LocationType {
	case "", "region":
		r.LocationType, locations = "region", []string{c.region}
	case "availability-zone":
		for _, z := range c.zones() {
			locations = append(locations, z.name)
		}
	case "availability-zone-id":
		for _, z := range c.zones() {
			locations = append(locations, z.id)
		}
	default:
		return nil, badRequest("InvalidParameterValue", "Value (%s) for parameter locationType is invalid.", r.LocationType)
	}
	var offerings []offering
	for _, location := range locations {
		for _, t := range instanceTypes {
			if r.LocationType != "region" && !c.w.offers(t.name, c.zoneName(location)) {
				continue
			}
			offerings = append(offerings, offering{t.name, location})
		}
	}
	offerings, problem := offeringFilters.selectBy(c, r.Filters, offerings)
	if problem != nil {
		return nil, problem
	}
	offerings, next, problem := pageOf(r.paging, offerings)
	if problem != nil {
		return nil, problem
	}
	return describeOfferingsAnswer{NextToken: next, Offerings: setFrom(offerings, func(o offering) offeringItem {
		return offeringItem{o.instanceType, r.LocationType, o.location}
	})}, nil
}

var offeringFilters = filterTable[offering]{
	"instance-type": func(_ *call, o offering) []string { return []string{o.instanceType} },
	"location":      func(_ *call, o offering) []string { return []string{o.location} },
}
