package retention

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
)

// codeParameterDenied is EC2's response if the caller lacks ssm:GetParameters for the
// parameter behind an alias.
const codeParameterDenied = "SsmAccessDenied"

// templateReader reads which images launch templates name.
type templateReader struct {
	api API
	// resolved are the images behind aliases, by alias; "" if one can't be
	// resolved.
	resolved map[string]string
	uses     *Uses
}

// byTemplates reads all versions of all launch templates: an Auto Scaling group
// can be bound to any version.
func (u *Uses) byTemplates(ctx context.Context, api API, account string, ids []string) error {
	var templates []types.LaunchTemplate
	err := eachPage(ctx, api.DescribeLaunchTemplates, func(token *string) *ec2.DescribeLaunchTemplatesInput {
		return &ec2.DescribeLaunchTemplatesInput{NextToken: token, IncludeManagedResources: aws.Bool(true)}
	}, func(answer *ec2.DescribeLaunchTemplatesOutput) *string {
		templates = append(templates, answer.LaunchTemplates...)
		return answer.NextToken
	})
	if err != nil {
		return err
	}
	reader := templateReader{api, map[string]string{}, u}
	for _, template := range templates {
		id, name := aws.ToString(template.LaunchTemplateId), aws.ToString(template.LaunchTemplateName)
		if id == "" {
			u.unknownf("EC2 returned a launch template without an ID, named %q. Run again.", name)
			continue
		}
		versions, err := reader.versions(ctx, id)
		if awsclient.Is(err, "InvalidLaunchTemplateId.NotFound") {
			continue // it was deleted since it was listed
		}
		if err != nil {
			return err
		}
		for _, version := range versions {
			image, err := reader.image(ctx, id, name, version)
			if err != nil {
				return err
			}
			if slices.Contains(ids, image) {
				u.add(image, Use{Account: account, Kind: kindTemplate, ID: id, Note: fmt.Sprintf("version %d (%s)", aws.ToInt64(version.VersionNumber), name)})
			}
		}
	}
	return nil
}

func (r templateReader) versions(ctx context.Context, id string) ([]types.LaunchTemplateVersion, error) {
	var versions []types.LaunchTemplateVersion
	err := eachPage(ctx, r.api.DescribeLaunchTemplateVersions, func(token *string) *ec2.DescribeLaunchTemplateVersionsInput {
		return &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id, NextToken: token, IncludeManagedResources: aws.Bool(true)}
	}, func(answer *ec2.DescribeLaunchTemplateVersionsOutput) *string {
		versions = append(versions, answer.LaunchTemplateVersions...)
		return answer.NextToken
	})
	return versions, err
}

// image returns the ID of the image that a version names, directly or through an alias
// such as resolve:ssm:NAME. It returns "" if the version names none, or if that isn't
// known, which it records.
func (r templateReader) image(ctx context.Context, id, name string, version types.LaunchTemplateVersion) (string, error) {
	number := aws.ToInt64(version.VersionNumber)
	if version.LaunchTemplateData == nil || number < 1 {
		r.uses.unknownf("EC2 returned version %d of launch template %s (%s) without its data or number. Run again.", number, id, name)
		return "", nil
	}
	named := strings.TrimSpace(aws.ToString(version.LaunchTemplateData.ImageId))
	if named == "" || strings.HasPrefix(named, "ami-") {
		return named, nil
	}
	if image, known := r.resolved[named]; known {
		return image, nil
	}
	image, err := r.resolve(ctx, id, number)
	// The caller must fix a missing permission. Any other refusal says that EC2 can't
	// resolve the alias.
	if err != nil && (!awsclient.IsClientError(err) || awsclient.Is(err, awsclient.CodeUnauthorized, codeParameterDenied)) {
		return "", awsclient.Wrap(err, "resolving %s in version %d of launch template %s (%s)", named, number, id, name)
	}
	if err == nil && !strings.HasPrefix(image, "ami-") {
		err = fmt.Errorf("EC2 returned %q", image)
	}
	if err != nil {
		image = ""
		r.uses.unknownf("version %d of launch template %s (%s) names %s, which can't be resolved: %v. Correct the parameter or delete the version.", number, id, name, named, err)
	}
	r.resolved[named] = image
	return image, nil
}

// resolve requests one version only, because EC2 is reported to reject ResolveAlias for
// several. The SDK doesn't document what EC2 returns for a parameter that doesn't
// exist: an error, the alias itself and no image at all are treated alike.
func (r templateReader) resolve(ctx context.Context, id string, number int64) (string, error) {
	answer, err := r.api.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{
		LaunchTemplateId: &id, Versions: []string{strconv.FormatInt(number, 10)}, ResolveAlias: aws.Bool(true), IncludeManagedResources: aws.Bool(true),
	})
	if err != nil {
		return "", err
	}
	if answer == nil || len(answer.LaunchTemplateVersions) != 1 || answer.LaunchTemplateVersions[0].LaunchTemplateData == nil {
		return "", nil
	}
	return strings.TrimSpace(aws.ToString(answer.LaunchTemplateVersions[0].LaunchTemplateData.ImageId)), nil
}
