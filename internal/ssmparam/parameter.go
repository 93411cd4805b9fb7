// Package parameter keeps the published image's id in a parameter of Systems
// Manager's Parameter Store, in every region, of the data type aws:ec2:image, so
// that launch templates and RunInstances can name it as resolve:ssm:NAME.
//
// [Look] only reads, [Diff] is pure, [Put] writes. The parameter's earlier
// values stay as its history. Fact: 10.
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
	"github.com/orgami/packer-plugin-orgami/internal/expand"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

// dataType makes Parameter Store check that the value is an image.
const dataType = "aws:ec2:image"

// nameData is what the name of a parameter can refer to.
type nameData struct {
	// Region is the parameter's own, Architecture EC2's word for the image's.
	Region, Architecture string
}

// Name is the name of the region's parameter, which can refer to {{ .Region }}
// and {{ .Architecture }}.
func Name(template, region, architecture string) (string, error) {
	name, err := expand.Text(template, nameData{region, architecture})
	if err != nil {
		return "", fmt.Errorf("the name of the parameter, %q: %w: use {{ .Region }} or {{ .Architecture }}", template, err)
	}
	return name, nil
}

// State is a parameter as AWS has it. The zero value is that of one that does
// not exist.
type State struct {
	Value string
}

// Look reads the region's parameter. One of another type cannot take an image's
// id, nor be changed to do so.
func Look(ctx context.Context, client *ssm.Client, region, name string) (State, error) {
	answer, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
	if awsclient.Is(err, awsclient.CodeParameterNotFound) {
		return State{}, nil
	}
	if err != nil {
		return State{}, awsclient.Wrap(err, "reading the parameter %s in %s", name, region)
	}
	found := answer.Parameter
	if found.Type != types.ParameterTypeString || aws.ToString(found.DataType) != dataType {
		return State{}, fmt.Errorf("the parameter %s in %s exists and is a %s of the data type %q, and AWS changes neither: set ssm.name to another, or delete it", name, region, found.Type, aws.ToString(found.DataType))
	}
	return State{Value: aws.ToString(found.Value)}, nil
}

// Diff says what becomes of the region's parameter; image is empty while the
// image is still to be made.
func Diff(region, name, image string, have State) change.Change {
	c := change.Change{Kind: change.Parameter, Action: change.Update, Region: region, ID: name}
	switch {
	case have.Value == "":
		c.Action, c.Detail = change.Create, "names the image"
	case image != "" && have.Value == image:
		c.Action = change.NoOp
	default:
		c.Detail = "names the image, and no more " + have.Value
	}
	return c
}

// validation is how long AWS is given to check the image and show the value.
const validation = 5 * time.Minute

// Put makes the region's parameter name the image, and waits until it shows: AWS
// answers before it has checked the image, and says nothing of one that it does
// not take.
func Put(ctx context.Context, client *ssm.Client, region, name, image string) error {
	have, err := Look(ctx, client, region, name)
	if err != nil || have.Value == image {
		return err
	}
	_, err = client.PutParameter(ctx, &ssm.PutParameterInput{
		Name: &name, Value: &image, Type: types.ParameterTypeString, DataType: aws.String(dataType), Overwrite: aws.Bool(have.Value != ""),
		Description: aws.String("The AMI that orgami-publish published last"),
	})
	if err != nil {
		return awsclient.Wrap(err, "setting the parameter %s in %s to %s", name, region, image)
	}
	err = wait.Until(ctx, wait.Policy{Timeout: validation}, func(ctx context.Context) (string, error) {
		have, err := Look(ctx, client, region, name)
		if err == nil && have.Value != image {
			return "the value does not show yet", nil
		}
		return "", err
	})
	if _, late := errors.AsType[*wait.TimeoutError](err); late {
		return fmt.Errorf("setting the parameter %s in %s to %s: %w: AWS did not take the image, or someone else set another one; the caller needs ec2:DescribeImages", name, region, image, err)
	}
	return err
}
