package downstream_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/orgami/packer-plugin-orgami/internal/policy"
	"github.com/orgami/packer-plugin-orgami/internal/record/downstream"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/golden"
)

const keyID = "mrk-0123456789abcdef0123456789abcdef"

func publication(grants ...manifest.Grant) downstream.Publication {
	wildcard := policy.WildcardKeyARN("aws", "111111111111", keyID)
	m := manifest.Manifest{
		Complete: true, Partition: "aws", Account: "111111111111", Organization: &manifest.Organization{ID: "o-exampleorgid"},
		Key:    manifest.Key{ID: keyID, WildcardARN: wildcard, Regions: map[string]manifest.RegionalKey{}},
		Images: map[string]manifest.Image{}, Parameters: map[string]manifest.Parameter{},
	}
	for region, image := range map[string]string{"us-east-1": "ami-0123456789abcdef0", "eu-west-1": "ami-0fedcba9876543210"} {
		m.Images[region] = manifest.Image{ImageID: image, KMSKeyARN: policy.KeyARN("aws", region, "111111111111", keyID)}
		m.Parameters[region] = manifest.Parameter{Name: "/golden", ARN: "arn:aws:ssm:" + region + ":111111111111:parameter/golden"}
		m.Key.Regions[region] = manifest.RegionalKey{ARN: policy.KeyARN("aws", region, "111111111111", keyID)}
	}
	return downstream.Publication{
		Manifest: m, Policy: policy.Karpenter("aws", wildcard), Grants: slices.Values(grants),
		Canary:     &downstream.Canary{Account: "222222222222", Role: "platform/orgami-canary", AutoScaling: true},
		MemberRole: "platform/orgami-grants", GrantRoles: []string{"aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling", "Launcher"},
		GrantOperations: []string{"Decrypt", "CreateGrant"},
		Devices: map[string][]downstream.Device{
			"us-east-1": {{Name: "/dev/xvda", Size: 8}},
			"eu-west-1": {{Name: "/dev/xvda", Size: 8}, {Name: "/dev/sdb", Size: 100}},
		},
		NodeClass: downstream.NodeClass{AMIFamily: "AL2023", BlockDevices: true, EncryptWithKey: true},
	}
}

func grants() []manifest.Grant {
	return []manifest.Grant{{
		Account: "222222222222", Role: "arn:aws:iam::222222222222:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
		Region: "eu-west-1", KeyARN: policy.KeyARN("aws", "eu-west-1", "111111111111", keyID), Name: "orgami-222222222222-AWSServiceRoleForAutoScaling",
		Operations: []string{"Decrypt", "CreateGrant"},
	}}
}

func TestDocuments(t *testing.T) {
	documents, err := downstream.Documents(publication(grants()...), downstream.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ec2nodeclass-eu-west-1.json", "ec2nodeclass-us-east-1.json", downstream.CloudFormationFile, downstream.TerraformFile}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(documents))); diff != "" {
		t.Error(diff)
	}
	for name, document := range documents {
		content, err := manifest.Encode(document)
		if err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, name, content)
	}
	if documents, err := downstream.Documents(publication(), nil); err != nil || len(documents) > 0 {
		t.Errorf("nothing was asked for: %v, %v", documents, err)
	}
	if _, err := downstream.Documents(publication(), []downstream.Kind{"pulumi"}); err == nil || !strings.Contains(err.Error(), "pulumi") {
		t.Errorf("an unknown output: %v", err)
	}
}

// TestTerraformModules checks that the values have the type that the example
// modules declare, with nothing missing and nothing extra.
func TestTerraformModules(t *testing.T) {
	for name, list := range map[string][]manifest.Grant{"with grants": grants(), "without": nil} {
		documents, err := downstream.Documents(publication(list...), []downstream.Kind{downstream.Terraform})
		if err != nil {
			t.Fatal(err)
		}
		content, err := manifest.Encode(documents[downstream.TerraformFile])
		if err != nil {
			t.Fatal(err)
		}
		var values map[string]json.RawMessage
		if err := json.Unmarshal(content, &values); err != nil {
			t.Fatal(err)
		}
		for _, module := range []string{"karpenter", "grants", "member"} {
			declared := variableType(t, filepath.Join("..", "..", "..", "example", "downstream", "terraform", module, "main.tf"))
			value, err := ctyjson.Unmarshal(values["orgami"], declared)
			if err != nil {
				t.Errorf("%s, %s: %v", name, module, err)
				continue
			}
			var fields map[string]json.RawMessage
			if err := json.Unmarshal(values["orgami"], &fields); err != nil {
				t.Fatal(err)
			}
			for field := range fields {
				if !declared.HasAttribute(field) {
					t.Errorf("%s does not declare %s", module, field)
				}
			}
			if got := value.GetAttr("grants").LengthInt(); got != len(list) {
				t.Errorf("%s, %s: %d grants", name, module, got)
			}
		}
	}
}

// variableType is the type of the variable "orgami" in a Terraform file.
func variableType(t *testing.T, path string) cty.Type {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, diagnostics := hclparse.NewParser().ParseHCL(source, path)
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	content, _, diagnostics := file.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "variable", LabelNames: []string{"name"}}}})
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	for _, block := range content.Blocks {
		if block.Labels[0] != "orgami" {
			continue
		}
		attributes, diagnostics := block.Body.JustAttributes()
		if diagnostics.HasErrors() {
			t.Fatal(diagnostics)
		}
		declared, diagnostics := typeexpr.TypeConstraint(attributes["type"].Expr)
		if diagnostics.HasErrors() {
			t.Fatal(diagnostics)
		}
		return declared
	}
	t.Fatalf("%s declares no variable orgami", path)
	return cty.NilType
}

// TestRoleWithSuffix checks that an Auto Scaling role of the user's own is created with
// its suffix. ECS's role has an underscore, too, and no suffix.
func TestRoleWithSuffix(t *testing.T) {
	p := publication()
	p.GrantRoles = []string{
		"aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_web",
		"aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
	}
	documents, err := downstream.Documents(p, []downstream.Kind{downstream.CloudFormation})
	if err != nil {
		t.Fatal(err)
	}
	content, err := manifest.Encode(documents[downstream.CloudFormationFile])
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct{ Properties map[string]any }
	}
	if err := json.Unmarshal(content, &template); err != nil {
		t.Fatal(err)
	}
	for id, suffix := range map[string]any{"AWSServiceRoleForAutoScalingweb": "web", "AWSServiceRoleForApplicationAutoScalingECSService": nil} {
		if got := template.Resources[id].Properties; got["CustomSuffix"] != suffix || got["AWSServiceName"] == nil {
			t.Errorf("%s has the properties %v", id, got)
		}
	}
}

// TestCloudFormationRefers checks that every Ref and condition of the template is
// declared in it, and the policy is Karpenter's, word for word.
func TestCloudFormationRefers(t *testing.T) {
	documents, err := downstream.Documents(publication(), []downstream.Kind{downstream.CloudFormation})
	if err != nil {
		t.Fatal(err)
	}
	content, err := manifest.Encode(documents[downstream.CloudFormationFile])
	if err != nil {
		t.Fatal(err)
	}
	var template map[string]any
	if err := json.Unmarshal(content, &template); err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{"AWS::NoValue": true, "AWS::AccountId": true}
	for _, section := range []string{"Parameters", "Resources"} {
		for name := range template[section].(map[string]any) {
			declared[name] = true
		}
	}
	conditions := template["Conditions"].(map[string]any)
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			if name, isRef := value["Ref"].(string); isRef && !declared[name] {
				t.Errorf("Ref to %s, which is not declared", name)
			}
			if list, isIf := value["Fn::If"].([]any); isIf && conditions[list[0].(string)] == nil {
				t.Errorf("Fn::If of %v, which is not declared", list[0])
			}
			for _, v := range value {
				walk(v)
			}
		case []any:
			for _, v := range value {
				walk(v)
			}
		}
	}
	walk(template)
	document := template["Resources"].(map[string]any)["KarpenterKMSPolicy"].(map[string]any)["Properties"].(map[string]any)["PolicyDocument"]
	var want any
	if err := json.Unmarshal([]byte(publication().Policy.String()), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, document); diff != "" {
		t.Errorf("the policy is not Karpenter's:\n%s", diff)
	}
	for name, condition := range conditions {
		if !strings.Contains(string(content), `"`+name+`"`) || condition == nil {
			t.Errorf("condition %s", name)
		}
	}
}
