package awssim_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// FuzzServe checks that the simulator answers any request with a success or a client
// error, and never with an internal error.
func FuzzServe(f *testing.F) {
	f.Add("kms", "us-east-1", "TrentService.CreateGrant", `{"KeyId":"alias/aws/ebs","GranteePrincipal":"*","Operations":["Decrypt"]}`)
	f.Add("kms", "us-east-1", "TrentService.CreateKey", `{"MultiRegion":true,"Policy":"{}","Tags":[{"TagKey":"a"}]}`)
	f.Add("kms", "us-east-1", "TrentService.ListGrants", `{"KeyId":"mrk-1","Limit":-1,"Marker":"x"}`)
	f.Add("kms", "eu-west-1", "TrentService.PutKeyPolicy", `[null]`)
	f.Add("organizations", "us-east-1", "AWSOrganizationsV20161128.ListAccounts", `{"NextToken":"-1","MaxResults":99999999999}`)
	f.Add("ec2", "us-east-1", "", "Action=CopyImage&Version=2016-11-15&SourceRegion=us-east-1&SourceImageId=ami-1&Name=%00&TagSpecification.1.Tag.0.Key=a")
	f.Add("ec2", "us-east-1", "", "Action=DescribeImages&Filter.1.Name=name&Filter.1.Value.1=*&MaxResults=5&NextToken=%")
	f.Add("ec2", "us-east-1", "", "Action=ModifyImageAttribute&ImageId=ami-0a&LaunchPermission.Add.1.UserId=&DryRun=true")
	f.Add("ec2", "af-south-1", "", "Action=RunInstances&MinCount=0&MaxCount=-1")
	f.Add("sts", "us-east-1", "", "Action=AssumeRole&RoleArn=arn&RoleSessionName=&DurationSeconds=x")
	f.Add("iam", "us-east-1", "", "Action=PutRolePolicy&PolicyDocument=%7B")
	f.Add("", "", "a.b", "")
	f.Fuzz(func(t *testing.T, service, region, target, body string) {
		world, err := awssim.New(awssim.DefaultWorld(), awssim.Options{})
		if err != nil {
			t.Fatal(err)
		}
		request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		request.Header.Set("X-Amz-Target", target)
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		sign(t, request, world, service, region, body)
		answer := httptest.NewRecorder()
		world.ServeHTTP(answer, request)
		if answer.Code >= http.StatusInternalServerError {
			t.Errorf("status %d: %s", answer.Code, answer.Body)
		}
	})
}
