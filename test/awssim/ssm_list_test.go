package awssim_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Facts: SSM-20 to SSM-23.
func TestParameterLists(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		client := ssmIn(w, awssim.PublishingAccount, "us-east-1")
		for _, name := range []string{"/images/web", "/images/base", "/images/arm/base", "/imagesX", "flat"} {
			must(client.PutParameter(t.Context(), &ssm.PutParameterInput{Name: &name, Value: aws.String("value of " + name), Type: ssmtypes.ParameterTypeString}))(t)
		}
		must(client.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("flat"), Value: aws.String("second"), Overwrite: aws.Bool(true)}))(t)

		arn := "arn:aws:ssm:us-east-1:" + awssim.PublishingAccount + ":parameter/images/web"
		got := must(client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"none", "flat:1", arn, "/images/base", "flat:7"}}))(t)
		values := map[string]string{}
		for _, p := range got.Parameters {
			values[*p.Name+aws.ToString(p.Selector)] = *p.Value
		}
		if diff := cmp.Diff(map[string]string{"flat:1": "value of flat", "/images/web": "value of /images/web", "/images/base": "value of /images/base"}, values); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"none", "flat:7"}, got.InvalidParameters); diff != "" {
			t.Error(diff)
		}
		_, err := client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: strings.Split("a b c d e f g h i j k", " ")})
		wantCode(t, err, "ValidationException")

		for want, input := range map[string]ssm.GetParametersByPathInput{
			"/images/base /images/web":                  {Path: aws.String("/images")},
			"/images/arm/base /images/base /images/web": {Path: aws.String("/images/"), Recursive: aws.Bool(true), MaxResults: aws.Int32(2)},
			"/imagesX": {Path: aws.String("/")},
			"":         {Path: aws.String("/images/web")},
			"/images/arm/base /images/base /images/web ": {Path: aws.String("/images"), Recursive: aws.Bool(true)},
		} {
			var names []string
			for pages := ssm.NewGetParametersByPathPaginator(client, &input); pages.HasMorePages(); {
				for _, p := range must(pages.NextPage(t.Context()))(t).Parameters {
					names = append(names, *p.Name)
				}
			}
			if got := strings.Join(names, " "); got != strings.TrimSpace(want) {
				t.Errorf("below %s is %q, not %q", *input.Path, got, want)
			}
		}
		_, err = client.GetParametersByPath(t.Context(), &ssm.GetParametersByPathInput{Path: aws.String("images")})
		wantCode(t, err, "ValidationException")
		_, err = client.GetParametersByPath(t.Context(), &ssm.GetParametersByPathInput{Path: aws.String("/"), MaxResults: aws.Int32(11)})
		wantCode(t, err, "ValidationException")

		for want, f := range map[string]ssmtypes.ParameterStringFilter{
			"flat":                      {Key: aws.String("Name"), Values: []string{"flat", "none"}},
			"/images/arm/base /imagesX": {Key: aws.String("Name"), Option: aws.String("BeginsWith"), Values: []string{"/images/arm", "/imagesX"}},
			"/images/arm/base /images/base": {
				Key: aws.String("Name"), Option: aws.String("Contains"), Values: []string{"/base"},
			},
			"/images/base /images/web": {Key: aws.String("Path"), Option: aws.String("OneLevel"), Values: []string{"/images"}},
			"/images/arm/base":         {Key: aws.String("Path"), Option: aws.String("Recursive"), Values: []string{"/images/arm"}},
			"":                         {Key: aws.String("DataType"), Values: []string{"aws:ec2:image"}},
		} {
			var names []string
			for pages := ssm.NewDescribeParametersPaginator(client, &ssm.DescribeParametersInput{ParameterFilters: []ssmtypes.ParameterStringFilter{f}, MaxResults: aws.Int32(2)}); pages.HasMorePages(); {
				for _, p := range must(pages.NextPage(t.Context()))(t).Parameters {
					names = append(names, *p.Name)
					if p.Tier != ssmtypes.ParameterTierStandard || p.DataType == nil || *p.DataType != "text" || p.Version < 1 {
						t.Errorf("%+v", p)
					}
				}
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("%s %s finds %q, not %q", *f.Key, aws.ToString(f.Option), got, want)
			}
		}
		for code, f := range map[string]ssmtypes.ParameterStringFilter{
			"InvalidFilterOption": {Key: aws.String("Path"), Option: aws.String("Equals"), Values: []string{"/"}},
			"InvalidFilterKey":    {Key: aws.String("Label"), Values: []string{"/"}},
		} {
			_, err := client.DescribeParameters(t.Context(), &ssm.DescribeParametersInput{ParameterFilters: []ssmtypes.ParameterStringFilter{f}})
			wantCode(t, err, code)
		}
	})
}

// A role may list a path without a permission for what is below it, and can't read
// values with GetParameters by the permission for GetParameter. Facts: SSM-20, SSM-21.
func TestParameterListsAreAuthorized(t *testing.T) {
	inImageWorld(t, awssim.Options{}, func(t *testing.T, w *awssim.World) {
		own := ssmIn(w, awssim.PublishingAccount, "us-east-1")
		for _, name := range []string{"/a/b/c", "/a/d"} {
			must(own.PutParameter(t.Context(), &ssm.PutParameterInput{Name: &name, Value: aws.String("v"), Type: ssmtypes.ParameterTypeString}))(t)
		}
		const prefix = "arn:aws:ssm:us-east-1:" + awssim.PublishingAccount + ":parameter/"
		role := newRole(t, w, awssim.PublishingAccount, "reader", `
			{"Effect":"Allow","Action":"ssm:GetParametersByPath","Resource":"`+prefix+`a"},
			{"Effect":"Deny","Action":"ssm:GetParametersByPath","Resource":"`+prefix+`a/b"},
			{"Effect":"Allow","Action":"ssm:GetParameter","Resource":"*"},
			{"Effect":"Allow","Action":"ssm:GetParameters","Resource":"`+prefix+`a/d"}`)
		client := ssm.NewFromConfig(sessionOf(t, config(w, awssim.PublishingAccount, "us-east-1"), role, "us-east-1"))
		var names []string
		for pages := ssm.NewGetParametersByPathPaginator(client, &ssm.GetParametersByPathInput{Path: aws.String("/a"), Recursive: aws.Bool(true)}); pages.HasMorePages(); {
			for _, p := range must(pages.NextPage(t.Context()))(t).Parameters {
				names = append(names, *p.Name)
			}
		}
		if !slices.Equal(names, []string{"/a/b/c", "/a/d"}) {
			t.Errorf("the role finds %v", names)
		}
		_, err := client.GetParametersByPath(t.Context(), &ssm.GetParametersByPathInput{Path: aws.String("/a/b")})
		wantCode(t, err, "AccessDeniedException")
		must(client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"/a/d"}}))(t)
		_, err = client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"/a/d", "/a/b/c"}})
		wantCode(t, err, "AccessDeniedException")
		_, err = client.DescribeParameters(t.Context(), &ssm.DescribeParametersInput{})
		wantCode(t, err, "AccessDeniedException")
	})
}
