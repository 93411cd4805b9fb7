package awssim

import "net/http"

// ec2Operations are EC2's operations: those that the plugin calls, those that
// Packer's amazon-ebs builder calls, and those that tests and the demo need.
var ec2Operations = map[string]operation{
	"DescribeImages":                       reading(describeImages),
	"CopyImage":                            changing(copyImage),
	"CreateImage":                          changing(createImage),
	"RegisterImage":                        changing(registerImage),
	"DeregisterImage":                      changing(deregisterImage),
	"ModifyImageAttribute":                 changing(modifyImageAttribute),
	"DescribeImageAttribute":               reading(describeImageAttribute),
	"ResetImageAttribute":                  changing(resetImageAttribute),
	"EnableImageDeprecation":               changing(enableImageDeprecation),
	"DisableImageDeprecation":              changing(disableImageDeprecation),
	"EnableImageDeregistrationProtection":  changing(enableImageDeregistrationProtection),
	"DisableImageDeregistrationProtection": changing(disableImageDeregistrationProtection),
	"EnableImage":                          changing(enableImage),
	"DisableImage":                         changing(disableImage),
	"GetImageBlockPublicAccessState":       reading(getImageBlockPublicAccessState),
	"EnableImageBlockPublicAccess":         changing(enableImageBlockPublicAccess),
	"DisableImageBlockPublicAccess":        changing(disableImageBlockPublicAccess),

	"DescribeImageReferences":         reading(describeImageReferences),
	"CreateImageUsageReport":          changing(createImageUsageReport),
	"DescribeImageUsageReports":       reading(describeImageUsageReports),
	"DescribeImageUsageReportEntries": reading(describeImageUsageReportEntries),
	"DeleteImageUsageReport":          changing(deleteImageUsageReport),

	"GetAllowedImagesSettings":                    reading(getAllowedImagesSettings),
	"EnableAllowedImagesSettings":                 changing(enableAllowedImagesSettings),
	"DisableAllowedImagesSettings":                changing(disableAllowedImagesSettings),
	"ReplaceImageCriteriaInAllowedImagesSettings": changing(replaceImageCriteria),

	"DescribeSnapshots":         reading(describeSnapshots),
	"CreateSnapshot":            changing(createSnapshot),
	"CopySnapshot":              changing(copySnapshot),
	"DeleteSnapshot":            changing(deleteSnapshot),
	"ModifySnapshotAttribute":   changing(modifySnapshotAttribute),
	"DescribeSnapshotAttribute": reading(describeSnapshotAttribute),
	"ResetSnapshotAttribute":    changing(resetSnapshotAttribute),
	"DescribeVolumes":           reading(describeVolumes),
	"DeleteVolume":              changing(deleteVolume),

	"CreateTags":   changing(createTags),
	"DeleteTags":   changing(deleteTags),
	"DescribeTags": reading(describeTags),

	"GetEbsEncryptionByDefault":     reading(getEBSEncryptionByDefault),
	"EnableEbsEncryptionByDefault":  changing(enableEBSEncryptionByDefault),
	"DisableEbsEncryptionByDefault": changing(disableEBSEncryptionByDefault),
	"GetEbsDefaultKmsKeyId":         reading(getEBSDefaultKey),
	"ModifyEbsDefaultKmsKeyId":      changing(modifyEBSDefaultKey),
	"ResetEbsDefaultKmsKeyId":       changing(resetEBSDefaultKey),

	"DescribeRegions":               reading(describeRegions),
	"DescribeAvailabilityZones":     reading(describeAvailabilityZones),
	"DescribeAccountAttributes":     reading(describeAccountAttributes),
	"DescribeInstanceTypes":         reading(describeInstanceTypes),
	"DescribeInstanceTypeOfferings": reading(describeInstanceTypeOfferings),

	"DescribeVpcs":                  reading(describeVPCs),
	"DescribeSubnets":               reading(describeSubnets),
	"DescribeSecurityGroups":        reading(describeSecurityGroups),
	"CreateSecurityGroup":           changing(createSecurityGroup),
	"AuthorizeSecurityGroupIngress": changing(authorizeSecurityGroupIngress),
	"RevokeSecurityGroupEgress":     changing(revokeSecurityGroupEgress),
	"DeleteSecurityGroup":           changing(deleteSecurityGroup),
	"CreateKeyPair":                 changing(createKeyPair),
	"ImportKeyPair":                 changing(importKeyPair),
	"DescribeKeyPairs":              reading(describeKeyPairs),
	"DeleteKeyPair":                 changing(deleteKeyPair),

	"CreateLaunchTemplate":           changing(createLaunchTemplate),
	"CreateLaunchTemplateVersion":    changing(createLaunchTemplateVersion),
	"DeleteLaunchTemplate":           changing(deleteLaunchTemplate),
	"DescribeLaunchTemplates":        reading(describeLaunchTemplates),
	"DescribeLaunchTemplateVersions": reading(describeLaunchTemplateVersions),

	"RunInstances":            changing(runInstances),
	"CreateFleet":             changing(createFleet),
	"DescribeInstances":       reading(describeInstances),
	"DescribeInstanceStatus":  reading(describeInstanceStatus),
	"StopInstances":           changing(stopInstances),
	"StartInstances":          changing(startInstances),
	"TerminateInstances":      changing(terminateInstances),
	"ModifyInstanceAttribute": changing(modifyInstanceAttribute),
	"GetPasswordData":         reading(getPasswordData),
}

// reading returns a read-only operation with the handler.
func reading[R any](handle func(*call, R) (any, error)) operation {
	return operation{handle: decoded(handle)}
}

// changing creates an operation that changes the world.
func changing[R any](handle func(*call, R) (any, error)) operation {
	return operation{mutating: true, handle: decoded(handle)}
}

// decoded decodes the parameters for the handler. Every operation has DryRun,
// which stops it before it takes effect: the caller has been authorized by then,
// and the parameters are well-formed.
func decoded[R any](handle func(*call, R) (any, error)) func(*call) (any, error) {
	return func(c *call) (any, error) {
		var request dryRunnable[R]
		if problem := decodeParams(c.form, &request); problem != nil {
			return nil, problem
		}
		if request.DryRun {
			if c.form.Has("TagSpecification.1.ResourceType") {
				if problem := c.mayTag(); problem != nil {
					return nil, problem
				}
			}
			return nil, &Error{Status: http.StatusPreconditionFailed, Code: "DryRunOperation", Message: "Request would have succeeded, but DryRun flag is set."}
		}
		return handle(c, request.Parameters)
	}
}

// dryRunnable are an operation's parameters with the one that all have.
type dryRunnable[R any] struct {
	DryRun     bool
	Parameters R `param:",embedded"`
}
