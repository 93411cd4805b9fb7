package awssim_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// A managed policy works like an inline one once it's attached. It can't be deleted
// before it's detached, nor can the role. Fact: IAM-POLICY-1 to IAM-POLICY-3.
func TestManagedPolicies(t *testing.T) {
	t.Parallel()
	w, err := awssim.New(awssim.DefaultWorld(), awssim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	client := iam.NewFromConfig(config(w, factMember, "us-east-1"))
	code := func(err error) string {
		if problem, ok := errors.AsType[smithy.APIError](err); ok {
			return problem.ErrorCode()
		}
		return ""
	}
	role := aws.String("Reader")
	trust := aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sts:AssumeRole"}}`)
	if _, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: role, AssumeRolePolicyDocument: trust}); err != nil {
		t.Fatal(err)
	}
	document := aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:GetRole","Resource":"*"}}`)
	policy, err := client.CreatePolicy(t.Context(), &iam.CreatePolicyInput{PolicyName: aws.String("read"), PolicyDocument: document})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CreatePolicy(t.Context(), &iam.CreatePolicyInput{PolicyName: aws.String("read"), PolicyDocument: document})
	if got := code(err); got != "EntityAlreadyExists" {
		t.Errorf("a second policy of the name: %v", err)
	}
	assumed := config(w, factMember, "us-east-1")
	assumed.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(assumed), "arn:aws:iam::222222222222:role/Reader"))
	reader := iam.NewFromConfig(assumed)
	reads := func(want bool) {
		t.Helper()
		if _, err := reader.GetRole(t.Context(), &iam.GetRoleInput{RoleName: role}); (err == nil) != want {
			t.Errorf("the role reads: %v, want %v", err, want)
		}
	}
	reads(false)
	for range 2 { // attaching again changes nothing
		if _, err := client.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: policy.Policy.Arn}); err != nil {
			t.Fatal(err)
		}
	}
	reads(true)
	listed, err := client.ListAttachedRolePolicies(t.Context(), &iam.ListAttachedRolePoliciesInput{RoleName: role})
	if err != nil || len(listed.AttachedPolicies) != 1 || aws.ToString(listed.AttachedPolicies[0].PolicyArn) != aws.ToString(policy.Policy.Arn) {
		t.Errorf("attached: %+v, %v", listed, err)
	}
	if _, err := client.DeletePolicy(t.Context(), &iam.DeletePolicyInput{PolicyArn: policy.Policy.Arn}); code(err) != "DeleteConflict" {
		t.Errorf("deleting an attached policy: %v", err)
	}
	if _, err := client.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: role}); code(err) != "DeleteConflict" {
		t.Errorf("deleting a role with a policy: %v", err)
	}
	detach := &iam.DetachRolePolicyInput{RoleName: role, PolicyArn: policy.Policy.Arn}
	if _, err := client.DetachRolePolicy(t.Context(), detach); err != nil {
		t.Fatal(err)
	}
	reads(false)
	if _, err := client.DetachRolePolicy(t.Context(), detach); code(err) != "NoSuchEntity" {
		t.Errorf("detaching again: %v", err)
	}
	if _, err := client.DeletePolicy(t.Context(), &iam.DeletePolicyInput{PolicyArn: policy.Policy.Arn}); err != nil {
		t.Error(err)
	}
	if _, err := client.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: role}); err != nil {
		t.Error(err)
	}
}
