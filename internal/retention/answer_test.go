package retention_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/retention"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// altering passes each response of an operation through alter before it arrives;
// alter may return nil.
func altering[I, O any](call func(context.Context, *I, ...func(*ec2.Options)) (*O, error), alter func(*O) *O) func(context.Context, *I, ...func(*ec2.Options)) (*O, error) {
	return func(ctx context.Context, input *I, options ...func(*ec2.Options)) (*O, error) {
		answer, err := call(ctx, input, options...)
		if err == nil {
			answer = alter(answer)
		}
		return answer, err
	}
}

// answers are responses that lack information that retirement needs.
var answers = map[string]func(*retention.API){
	"no answer with instances": func(a *retention.API) {
		a.DescribeInstances = altering(a.DescribeInstances, func(*ec2.DescribeInstancesOutput) *ec2.DescribeInstancesOutput { return nil })
	},
	"an instance without an image": func(a *retention.API) {
		a.DescribeInstances = altering(a.DescribeInstances, func(o *ec2.DescribeInstancesOutput) *ec2.DescribeInstancesOutput {
			o.Reservations = []types.Reservation{{Instances: []types.Instance{{InstanceId: aws.String("i-1")}}}}
			return o
		})
	},
	"instances with a token that repeats": func(a *retention.API) {
		a.DescribeInstances = altering(a.DescribeInstances, func(*ec2.DescribeInstancesOutput) *ec2.DescribeInstancesOutput {
			return &ec2.DescribeInstancesOutput{NextToken: aws.String("again")}
		})
	},
	"no answer with launch templates": func(a *retention.API) {
		a.DescribeLaunchTemplates = altering(a.DescribeLaunchTemplates, func(*ec2.DescribeLaunchTemplatesOutput) *ec2.DescribeLaunchTemplatesOutput { return nil })
	},
	"a launch template without an ID": func(a *retention.API) {
		a.DescribeLaunchTemplates = altering(a.DescribeLaunchTemplates, func(o *ec2.DescribeLaunchTemplatesOutput) *ec2.DescribeLaunchTemplatesOutput {
			o.LaunchTemplates[0].LaunchTemplateId = nil
			return o
		})
	},
	"a version without data": versions(func(v *types.LaunchTemplateVersion) { v.LaunchTemplateData = nil }),
	"a version without a number": versions(func(v *types.LaunchTemplateVersion) {
		v.VersionNumber = nil
	}),
	"an alias that stays as it is": versions(func(v *types.LaunchTemplateVersion) { v.LaunchTemplateData.ImageId = aws.String("resolve:ssm:/golden") }),
	"an alias that becomes nothing": func(a *retention.API) {
		a.DescribeLaunchTemplateVersions = func(_ context.Context, input *ec2.DescribeLaunchTemplateVersionsInput, _ ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
			data := &types.ResponseLaunchTemplateData{ImageId: aws.String("resolve:ssm:/golden")}
			if aws.ToBool(input.ResolveAlias) {
				data.ImageId = nil
			}
			return &ec2.DescribeLaunchTemplateVersionsOutput{LaunchTemplateVersions: []types.LaunchTemplateVersion{{VersionNumber: aws.Int64(1), LaunchTemplateData: data}}}, nil
		}
	},
	"no answer with references": func(a *retention.API) {
		a.DescribeImageReferences = altering(a.DescribeImageReferences, func(*ec2.DescribeImageReferencesOutput) *ec2.DescribeImageReferencesOutput { return nil })
	},
	"a reference without an image": references(types.ImageReference{Arn: aws.String("arn:aws:ec2:us-east-1:111111111111:instance/i-1")}),
	"a reference without an ARN":   references(types.ImageReference{ImageId: aws.String("ami-1")}),
	"no answer with reports": func(a *retention.API) {
		a.DescribeImageUsageReports = altering(a.DescribeImageUsageReports, func(*ec2.DescribeImageUsageReportsOutput) *ec2.DescribeImageUsageReportsOutput { return nil })
	},
	"a report without a state": reports(func(r *types.ImageUsageReport) { r.State = nil }),
	"a report without an image": reports(func(r *types.ImageUsageReport) {
		r.ImageId = nil
	}),
	"a report without a time":  reports(func(r *types.ImageUsageReport) { r.CreationTime = nil }),
	"a report without an ID":   reports(func(r *types.ImageUsageReport) { r.ReportId = nil }),
	"a report of a new state":  reports(func(r *types.ImageUsageReport) { r.State = aws.String("paused") }),
	"a report without our tag": reports(func(r *types.ImageUsageReport) { r.Tags = nil }),
	"no answer with entries": func(a *retention.API) {
		a.DescribeImageUsageReportEntries = altering(a.DescribeImageUsageReportEntries, func(*ec2.DescribeImageUsageReportEntriesOutput) *ec2.DescribeImageUsageReportEntriesOutput {
			return nil
		})
	},
	"an entry without an account": entries(func(e *types.ImageUsageReportEntry) { e.AccountId = nil }),
	"an entry without a count":    entries(func(e *types.ImageUsageReportEntry) { e.UsageCount = nil }),
	"an entry without a kind":     entries(func(e *types.ImageUsageReportEntry) { e.ResourceType = nil }),
	"an entry without an image":   entries(func(e *types.ImageUsageReportEntry) { e.ImageId = nil }),
	"an entry of another report":  entries(func(e *types.ImageUsageReportEntry) { e.ReportId = aws.String("amiur-0") }),
	"no answer with images": func(a *retention.API) {
		a.DescribeImages = altering(a.DescribeImages, func(*ec2.DescribeImagesOutput) *ec2.DescribeImagesOutput { return nil })
	},
	"an image without an ID":    images(func(i *types.Image) { i.ImageId = nil }),
	"an image without a state":  images(func(i *types.Image) { i.State = "" }),
	"an image without tags":     images(func(i *types.Image) { i.Tags = nil }),
	"an image without a date":   images(func(i *types.Image) { i.CreationDate = nil }),
	"an image of a new state":   images(func(i *types.Image) { i.State = "archived" }),
	"an image launched somehow": images(func(i *types.Image) { i.LastLaunchedTime = aws.String("recently") }),
	"no answer with permissions": func(a *retention.API) {
		a.DescribeImageAttribute = altering(a.DescribeImageAttribute, func(*ec2.DescribeImageAttributeOutput) *ec2.DescribeImageAttributeOutput { return nil })
	},
	"permissions of no image": func(a *retention.API) {
		a.DescribeImageAttribute = altering(a.DescribeImageAttribute, func(*ec2.DescribeImageAttributeOutput) *ec2.DescribeImageAttributeOutput {
			return &ec2.DescribeImageAttributeOutput{}
		})
	},
}

func versions(change func(*types.LaunchTemplateVersion)) func(*retention.API) {
	return func(a *retention.API) {
		a.DescribeLaunchTemplateVersions = altering(a.DescribeLaunchTemplateVersions, func(o *ec2.DescribeLaunchTemplateVersionsOutput) *ec2.DescribeLaunchTemplateVersionsOutput {
			change(&o.LaunchTemplateVersions[0])
			return o
		})
	}
}

func references(reference types.ImageReference) func(*retention.API) {
	return func(a *retention.API) {
		a.DescribeImageReferences = altering(a.DescribeImageReferences, func(*ec2.DescribeImageReferencesOutput) *ec2.DescribeImageReferencesOutput {
			return &ec2.DescribeImageReferencesOutput{ImageReferences: []types.ImageReference{reference}}
		})
	}
}

func reports(change func(*types.ImageUsageReport)) func(*retention.API) {
	return func(a *retention.API) {
		a.DescribeImageUsageReports = altering(a.DescribeImageUsageReports, func(o *ec2.DescribeImageUsageReportsOutput) *ec2.DescribeImageUsageReportsOutput {
			change(&o.ImageUsageReports[0])
			return o
		})
	}
}

// entries adds an entry whose count is 0, after change.
func entries(change func(*types.ImageUsageReportEntry)) func(*retention.API) {
	return func(a *retention.API) {
		call := a.DescribeImageUsageReportEntries
		a.DescribeImageUsageReportEntries = func(ctx context.Context, input *ec2.DescribeImageUsageReportEntriesInput, options ...func(*ec2.Options)) (*ec2.DescribeImageUsageReportEntriesOutput, error) {
			described, err := a.DescribeImageUsageReports(ctx, &ec2.DescribeImageUsageReportsInput{ReportIds: input.ReportIds})
			if err != nil {
				return nil, err
			}
			answer, err := call(ctx, input, options...)
			entry := types.ImageUsageReportEntry{
				AccountId: aws.String("222222222222"), ImageId: described.ImageUsageReports[0].ImageId, ReportId: &input.ReportIds[0],
				ResourceType: aws.String("ec2:Instance"), UsageCount: aws.Int64(0),
			}
			change(&entry)
			answer.ImageUsageReportEntries = append(answer.ImageUsageReportEntries, entry)
			return answer, err
		}
	}
}

func images(change func(*types.Image)) func(*retention.API) {
	return func(a *retention.API) {
		a.DescribeImages = altering(a.DescribeImages, func(o *ec2.DescribeImagesOutput) *ec2.DescribeImagesOutput {
			change(&o.Images[0])
			return o
		})
	}
}

// TestAnswersThatLackSomething checks that whether such a response arrives while
// planning or while retiring, the image stays. While retiring, an error is returned.
func TestAnswersThatLackSomething(t *testing.T) {
	for name, alter := range answers {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(w *world) {
				old := w.generation(home, "one")
				w.template(awssim.PublishingAccount, home, "web", awssim.BaseImage(home))
				w.reported(deleteOld, home)
				altered := func(region string) retention.API {
					api := w.clients()(region)
					alter(&api)
					return api
				}
				have, err := retention.DescribeGenerations(w.Context(), altered, home, deleteOld)
				if err == nil {
					actions := retention.DiffGenerations(have, deleteOld, retention.Published{Architecture: "x86_64"}, nil, time.Now())
					if said := describeActions(actions); strings.Contains(said, "is deregistered") {
						w.Errorf("planned:\n%s", said)
					}
				} else if !strings.Contains(err.Error(), home) {
					w.Errorf("the error does not name the Region: %v", err)
				}
				err = retention.Retire(w.Context(), altered, w.plan(deleteOld, home))
				if err == nil || !strings.Contains(err.Error(), home) {
					w.Errorf("error of retiring: %v", err)
				}
				if state := w.state(home, old); state != "available" {
					w.Errorf("the image is %q", state)
				}
			})
		})
	}
}

// TestEntryWithoutUse checks that a count of 0 is not a use.
func TestEntryWithoutUse(t *testing.T) {
	inVirtualTime(t, func(w *world) {
		old := w.generation(home, "one")
		w.reported(deleteOld, home)
		altered := func(region string) retention.API {
			api := w.clients()(region)
			entries(func(*types.ImageUsageReportEntry) {})(&api)
			return api
		}
		if err := retention.Retire(w.Context(), altered, w.plan(deleteOld, home)); err != nil {
			w.Error(err)
		}
		if state := w.state(home, old); state != "" {
			w.Errorf("the image is %q", state)
		}
	})
}

// TestReportWithoutID checks that a report that EC2 didn't name is an error.
func TestReportWithoutID(t *testing.T) {
	inVirtualTime(t, func(w *world) {
		w.generation(home, "one")
		altered := func(region string) retention.API {
			api := w.clients()(region)
			api.CreateImageUsageReport = altering(api.CreateImageUsageReport, func(*ec2.CreateImageUsageReportOutput) *ec2.CreateImageUsageReportOutput {
				return &ec2.CreateImageUsageReportOutput{}
			})
			return api
		}
		if err := retention.Retire(w.Context(), altered, w.plan(deleteOld, home)); err == nil || !strings.Contains(err.Error(), "no report ID") {
			w.Errorf("error is %v", err)
		}
	})
}
