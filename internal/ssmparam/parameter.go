// Package ssmparam keeps the published image's ID in a parameter of Systems
// Manager Parameter Store, in every Region. The parameter has the data type
// aws:ec2:image, so that launch templates and RunInstances can name it as
// resolve:ssm:NAME.
//
// [Read] only reads, [Diff] is pure, [Put] writes. Earlier values remain in the
// parameter's history. Fact: SSM-6.
package ssmparam

import (
	"context"
	"errors"
	"fmt"
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

// Observed is a parameter as AWS reports it. The zero value is a parameter that
// doesn't exist.
type Observed struct {
	Value string
}

// Read reads the Region's parameter. A parameter of another type is an error: it
// can't hold an image's ID, and AWS changes no parameter's type.
func Read(ctx context.Context, client *ssm.Client, region, name string) (Observed, error) {
	answer, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
	if awsclient.Is(err, awsclient.CodeParameterNotFound) {
		return Observed{}, nil
	}
	if err != nil {
		return Observed{}, awsclient.Wrap(err, "reading the parameter %s in %s", name, region)
	}
	found := answer.Parameter
	if found == nil || found.Type == "" || aws.ToString(found.Value) == "" {
		return Observed{}, fmt.Errorf("SSM GetParameter for %s in %s returned a response without Parameter, Type or Value. Run again; if it happens again, check endpoint_url and any proxy on the way to AWS", name, region)
	}
	if found.Type != types.ParameterTypeString || aws.ToString(found.DataType) != dataType {
		return Observed{}, fmt.Errorf("the parameter %s in %s exists. It is a %s of the data type %q, and AWS can't change either. Set ssm.name to another name, or delete the parameter", name, region, found.Type, aws.ToString(found.DataType))
	}
	return Observed{Value: *found.Value}, nil
}

// Diff compares the Region's parameter with the image. The image's ID is empty
// while the image doesn't exist.
func Diff(region, name, image string, observed Observed) change.Change {
	c := change.Change{Kind: change.Parameter, Action: change.Update, Region: region, ID: name}
	switch {
	case observed.Value == "":
		c.Action, c.Detail = change.Create, "names the image"
	case image != "" && observed.Value == image:
		c.Action = change.NoOp
	default:
		c.Detail = "names the image instead of " + observed.Value
	}
	return c
}

// validation is how long AWS may take to check the image and to return the new
// value.
const validation = 5 * time.Minute

// Put sets the Region's parameter to the image, and waits until it reads back:
// AWS responds before it has checked the image, and doesn't report an image that
// it rejects.
func Put(ctx context.Context, client *ssm.Client, region, name, image string) error {
	observed, err := Read(ctx, client, region, name)
	if err != nil || observed.Value == image {
		return err
	}
	creates := observed.Value == ""
	_, err = client.PutParameter(ctx, &ssm.PutParameterInput{
		Name: &name, Value: &image, Type: types.ParameterTypeString, DataType: aws.String(dataType), Overwrite: aws.Bool(!creates),
		Description: aws.String("The AMI that orgami-publish published last"),
	})
	exists := creates && awsclient.Is(err, awsclient.CodeParameterExists)
	if err != nil && !exists { // a request that is repeated after a lost response finds the parameter that it created
		return awsclient.Wrap(err, "setting the parameter %s in %s to %s", name, region, image)
	}
	err = wait.Until(ctx, wait.Policy{Timeout: validation}, func(ctx context.Context) (string, error) {
		switch observed, err := Read(ctx, client, region, name); {
		case err != nil || observed.Value == image:
			return "", err
		case exists && observed.Value != "":
			return "", fmt.Errorf("creating the parameter %s in %s: it exists and names %s, because another principal created it. Run again to set it to %s", name, region, observed.Value, image)
		default:
			return "the value isn't visible yet", nil
		}
	})
	if _, late := errors.AsType[*wait.TimeoutError](err); late {
		return fmt.Errorf("setting the parameter %s in %s to %s: %w. AWS did not accept the image, or another principal changed the parameter. Allow the caller ec2:DescribeImages, then run again", name, region, image, err)
	}
	return err
}
