// Package retention manages published images after they are shared: when they
// are deprecated, whether they are protected against deregistration, and which
// older generations are deprecated, disabled or deregistered.
//
// The Describe functions only read, the Diff functions are pure, and [ApplyLifecycle]
// and [Retire] write. An image is disabled or deregistered only if it's known that
// nothing references it. A response without required values keeps the image. Fact:
// EC2-IMG-11, EC2-IMG-17.
package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// visibility is how long a change of an image may be unknown to EC2's readers.
// EC2 documents no bound.
const visibility = 2 * time.Minute

type operation[I, O any] func(context.Context, *I, ...func(*ec2.Options)) (*O, error)

// API is the EC2 operations of one Region that retention calls. It is a struct of
// functions because a client that is converted to an interface makes the linker
// keep all of EC2's operations, which are 30 MB.
type API struct {
	DescribeImages                      operation[ec2.DescribeImagesInput, ec2.DescribeImagesOutput]
	DescribeImageAttribute              operation[ec2.DescribeImageAttributeInput, ec2.DescribeImageAttributeOutput]
	DescribeInstances                   operation[ec2.DescribeInstancesInput, ec2.DescribeInstancesOutput]
	DescribeLaunchTemplates             operation[ec2.DescribeLaunchTemplatesInput, ec2.DescribeLaunchTemplatesOutput]
	DescribeLaunchTemplateVersions      operation[ec2.DescribeLaunchTemplateVersionsInput, ec2.DescribeLaunchTemplateVersionsOutput]
	DescribeImageReferences             operation[ec2.DescribeImageReferencesInput, ec2.DescribeImageReferencesOutput]
	DescribeImageUsageReports           operation[ec2.DescribeImageUsageReportsInput, ec2.DescribeImageUsageReportsOutput]
	DescribeImageUsageReportEntries     operation[ec2.DescribeImageUsageReportEntriesInput, ec2.DescribeImageUsageReportEntriesOutput]
	CreateImageUsageReport              operation[ec2.CreateImageUsageReportInput, ec2.CreateImageUsageReportOutput]
	EnableImageDeprecation              operation[ec2.EnableImageDeprecationInput, ec2.EnableImageDeprecationOutput]
	EnableImageDeregistrationProtection operation[ec2.EnableImageDeregistrationProtectionInput, ec2.EnableImageDeregistrationProtectionOutput]
	DisableImage                        operation[ec2.DisableImageInput, ec2.DisableImageOutput]
	DeregisterImage                     operation[ec2.DeregisterImageInput, ec2.DeregisterImageOutput]
}

// Clients returns a Region's operations.
type Clients func(region string) API

// FromEC2 returns the operations of EC2 clients.
func FromEC2(clients func(region string) *ec2.Client) Clients {
	return func(region string) API {
		client := clients(region)
		return API{
			DescribeImages:                      client.DescribeImages,
			DescribeImageAttribute:              client.DescribeImageAttribute,
			DescribeInstances:                   client.DescribeInstances,
			DescribeLaunchTemplates:             client.DescribeLaunchTemplates,
			DescribeLaunchTemplateVersions:      client.DescribeLaunchTemplateVersions,
			DescribeImageReferences:             client.DescribeImageReferences,
			DescribeImageUsageReports:           client.DescribeImageUsageReports,
			DescribeImageUsageReportEntries:     client.DescribeImageUsageReportEntries,
			CreateImageUsageReport:              client.CreateImageUsageReport,
			EnableImageDeprecation:              client.EnableImageDeprecation,
			EnableImageDeregistrationProtection: client.EnableImageDeregistrationProtection,
			DisableImage:                        client.DisableImage,
			DeregisterImage:                     client.DeregisterImage,
		}
	}
}

// errNoAnswer is what an operation without an error and without an output means.
var errNoAnswer = errors.New("EC2 returned nothing")

// eachPage reads the pages of an operation until there is no next token. A
// repeated token is an error, not the end: the remaining pages are unknown.
func eachPage[I, O any](ctx context.Context, call operation[I, O], page func(token *string) *I, read func(*O) (next *string)) error {
	seen := map[string]bool{}
	var token *string
	for {
		answer, err := call(ctx, page(token))
		if err != nil {
			return err
		}
		if answer == nil {
			return errNoAnswer
		}
		if token = read(answer); aws.ToString(token) == "" {
			return nil
		}
		if seen[*token] {
			return fmt.Errorf("EC2 returned the page token %q twice: the list is incomplete", *token)
		}
		seen[*token] = true
	}
}
