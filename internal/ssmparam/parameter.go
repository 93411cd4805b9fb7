// Package ssmparam keeps the published image's ID in a parameter of Systems
// Manager Parameter Store, in every Region. The parameter has the data type
// aws:ec2:image, so that launch templates and RunInstances can name it as
// resolve:ssm:NAME.
//
// [Read] only reads, [Diff] is pure, [Put] writes. Earlier values remain in the
// parameter's history. Fact: SSM-6.
//
// A parameter in the advanced tier can be shared with other accounts through a resource
// share of AWS RAM: [ReadShares] only reads, [Sharing.Diff] is pure, [Apply] and
// [Remove] write. Fact: SSM-11.
package ssmparam

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/change"
	"github.com/orgami/packer-plugin-orgami/internal/text"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// dataType makes Parameter Store check that the value is the ID of an image.
const dataType = "aws:ec2:image"

// nameData holds the values that the name of a parameter can refer to.
type nameData struct {
	// Region is the parameter's own. Architecture is the image's, for example
	// x86_64.
	Region, Architecture string
}

// Name is the name of the Region's parameter. The template can refer to
// {{ .Region }} and {{ .Architecture }}.
func Name(template, region, architecture string) (string, error) {
	name, err := text.Expand(template, nameData{region, architecture})
	if err != nil {
		return "", fmt.Errorf("the name of the parameter, %q: %w. Use {{ .Region }} or {{ .Architecture }}", template, err)
	}
	return name, nil
}

// Parameter is a parameter as it is to be.
type Parameter struct {
	Region, Name string
	// Advanced moves the parameter to the advanced tier. A parameter that is advanced
	// stays so in any case. Fact: SSM-14.
	Advanced bool
}

// ARN is the ARN of the account's parameter. It leaves out the slash before a name that
// begins with one. Fact: SSM-24.
func (p Parameter) ARN(partition, account string) string {
	return fmt.Sprintf("arn:%s:ssm:%s:%s:parameter/%s", partition, p.Region, account, strings.TrimPrefix(p.Name, "/"))
}

// Observed is a parameter as AWS reports it. The zero value is a parameter that
// doesn't exist.
type Observed struct {
	// Name is the name under which it was read.
	Name, Value string
	// Advanced and Versions are read only for an advanced parameter.
	Advanced bool
	// Versions are the kept versions, the oldest first. Fact: SSM-6.
	Versions []Version
}

// Version is one version of a parameter.
type Version struct {
	Number int64
	Value  string
	Labels []string
}

// Read reads the Region's parameter. A parameter of another type is an error: it
// can't hold an image's ID, and AWS changes no parameter's type.
func Read(ctx context.Context, client *ssm.Client, p Parameter) (Observed, error) {
	answer, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &p.Name})
	if awsclient.Is(err, awsclient.CodeParameterNotFound) {
		return Observed{}, nil
	}
	if err != nil {
		return Observed{}, awsclient.Wrap(err, "reading the parameter %s in %s", p.Name, p.Region)
	}
	found := answer.Parameter
	if found == nil || found.Type == "" || aws.ToString(found.Value) == "" {
		return Observed{}, fmt.Errorf("SSM GetParameter for %s in %s returned a response without Parameter, Type or Value. Run again; if it happens again, check endpoint_url and any proxy on the way to AWS", p.Name, p.Region)
	}
	if found.Type != types.ParameterTypeString || aws.ToString(found.DataType) != dataType {
		return Observed{}, fmt.Errorf("the parameter %s in %s exists. It is a %s of the data type %q, and AWS can't change either. Set ssm.name to another name, or delete the parameter", p.Name, p.Region, found.Type, aws.ToString(found.DataType))
	}
	observed := Observed{Name: p.Name, Value: *found.Value}
	if p.Advanced {
		err = observed.readHistory(ctx, client, p)
	}
	return observed, err
}

// readHistory reads the tier, which GetParameter doesn't return, and the versions.
// Fact: SSM-19.
func (o *Observed) readHistory(ctx context.Context, client *ssm.Client, p Parameter) error {
	pages := ssm.NewGetParameterHistoryPaginator(historyFunc(client.GetParameterHistory), &ssm.GetParameterHistoryInput{Name: &p.Name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return awsclient.Wrap(err, "reading the history of the parameter %s in %s", p.Name, p.Region)
		}
		for _, v := range page.Parameters {
			if v.Version < 1 || v.Tier == "" || aws.ToString(v.Value) == "" {
				return awsclient.Incomplete("SSM GetParameterHistory for "+p.Name, p.Region, "Version, Tier or Value")
			}
			o.Versions = append(o.Versions, Version{v.Version, *v.Value, v.Labels})
			o.Advanced = v.Tier == types.ParameterTierAdvanced // that of the newest version
		}
	}
	if len(o.Versions) == 0 {
		return awsclient.Incomplete("SSM GetParameterHistory for "+p.Name, p.Region, "Parameters")
	}
	return nil
}

// Diff compares the Region's parameter with the image. The image's ID is empty
// while the image doesn't exist.
func Diff(p Parameter, image string, observed Observed) change.Change {
	c := change.Change{Kind: change.Parameter, Action: change.Update, Region: p.Region, ID: p.Name}
	names := "names the image instead of " + observed.Value
	upgrades := p.Advanced && !observed.Advanced
	switch {
	case observed.Value == "" && upgrades:
		c.Action, c.Detail = change.Create, "names the image, in the advanced tier, which AWS charges for"
	case observed.Value == "":
		c.Action, c.Detail = change.Create, "names the image"
	case image != "" && observed.Value == image && upgrades:
		c.Detail = upgrade
	case image != "" && observed.Value == image:
		c.Action = change.NoOp
	case upgrades:
		c.Detail = names + ", and " + upgrade
	default:
		c.Detail = names
	}
	return c
}

// upgrade is what happens to a parameter in the standard tier. Fact: SSM-14.
const upgrade = "becomes an advanced parameter, which AWS charges for and which can't become a standard one again"

// validation is how long AWS may take to check the image and to return the new
// value.
const validation = 5 * time.Minute

// Put sets the Region's parameter to the image, and waits until it reads back:
// AWS responds before it has checked the image, and doesn't report an image that
// it rejects.
func Put(ctx context.Context, client *ssm.Client, p Parameter, image string) error {
	observed, err := Read(ctx, client, p)
	if err != nil || Diff(p, image, observed).Action == change.NoOp {
		return err
	}
	creates := observed.Value == ""
	request := ssm.PutParameterInput{
		Name: &p.Name, Value: &image, Type: types.ParameterTypeString, DataType: aws.String(dataType), Overwrite: aws.Bool(!creates),
		Description: aws.String("The AMI that orgami-publish published last"),
	}
	if p.Advanced {
		request.Tier = types.ParameterTierAdvanced
	}
	_, err = client.PutParameter(ctx, &request)
	exists := creates && awsclient.Is(err, awsclient.CodeParameterExists)
	if err != nil && !exists { // a request that is repeated after a lost response finds the parameter that it created
		return awsclient.Wrap(err, "setting the parameter %s in %s to %s", p.Name, p.Region, image)
	}
	err = wait.Until(ctx, wait.Policy{Timeout: validation}, func(ctx context.Context) (string, error) {
		observed, err := Read(ctx, client, p)
		switch {
		case err != nil || Diff(p, image, observed).Action == change.NoOp:
			return "", err
		case exists && observed.Value != "" && observed.Value != image:
			return "", fmt.Errorf("creating the parameter %s in %s: it exists and names %s, because another principal created it. Run again to set it to %s", p.Name, p.Region, observed.Value, image)
		default:
			return "the value isn't visible yet", nil
		}
	})
	if _, late := errors.AsType[*wait.TimeoutError](err); late {
		return fmt.Errorf("setting the parameter %s in %s to %s: %w. AWS did not accept the image, or another principal changed the parameter. Allow the caller ec2:DescribeImages, then run again", p.Name, p.Region, image, err)
	}
	return err
}
