package awssim

import "strconv"

var imageFilters = filterTable[*image]{
	"architecture":        func(_ *call, i *image) []string { return []string{i.architecture} },
	"boot-mode":           func(_ *call, i *image) []string { return some(i.bootMode != "", i.bootMode) },
	"creation-date":       func(_ *call, i *image) []string { return []string{timestamp(i.created)} },
	"description":         func(_ *call, i *image) []string { return []string{i.description} },
	"ena-support":         func(_ *call, i *image) []string { return []string{strconv.FormatBool(i.ena)} },
	"hypervisor":          func(*call, *image) []string { return []string{"xen"} },
	"image-id":            func(_ *call, i *image) []string { return []string{i.id} },
	"image-type":          func(*call, *image) []string { return []string{"machine"} },
	"is-public":           func(_ *call, i *image) []string { return []string{strconv.FormatBool(i.public)} },
	"name":                func(_ *call, i *image) []string { return []string{i.name} },
	"owner-alias":         func(_ *call, i *image) []string { return some(i.owner == amazonAccount, "amazon") },
	"owner-id":            func(_ *call, i *image) []string { return []string{i.owner} },
	"product-code":        func(_ *call, i *image) []string { return i.productCodes },
	"root-device-name":    func(_ *call, i *image) []string { return []string{i.rootDeviceName} },
	"root-device-type":    func(_ *call, i *image) []string { return []string{i.rootDeviceType} },
	"source-image-id":     func(_ *call, i *image) []string { return some(i.sourceImage != "", i.sourceImage) },
	"source-image-region": func(_ *call, i *image) []string { return some(i.sourceRegion != "", i.sourceRegion) },
	"source-instance-id":  func(_ *call, i *image) []string { return some(i.sourceInstanceID != "", i.sourceInstanceID) },
	"state":               func(c *call, i *image) []string { return []string{i.state(c.now)} },
	"virtualization-type": func(_ *call, i *image) []string { return []string{i.virtualizationType} },
	"block-device-mapping.snapshot-id": func(_ *call, i *image) []string {
		var ids []string
		for _, s := range i.snapshots() {
			ids = append(ids, s.id)
		}
		return ids
	},
}
