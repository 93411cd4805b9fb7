package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/karpenter-provider-aws/pkg/apis"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// crd validates as the API server does with Karpenter's EC2NodeClass: the structural
// schema, the CEL rules, and no unknown field, as kubectl asks by default.
type crd struct {
	structural *schema.Structural
	openAPI    validation.SchemaValidator
	rules      *cel.Validator
}

func newCRD() (crd, error) {
	var definition apiextensions.CustomResourceDefinition
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(apis.CRDs[0], &definition, nil); err != nil {
		return crd{}, err
	}
	properties := definition.Spec.Validation
	if properties == nil {
		for _, version := range definition.Spec.Versions {
			if version.Storage {
				properties = version.Schema
			}
		}
	}
	if properties == nil {
		return crd{}, fmt.Errorf("the CRD %s has no schema", definition.Name)
	}
	structural, err := schema.NewStructural(properties.OpenAPIV3Schema)
	if err != nil {
		return crd{}, err
	}
	openAPI, _, err := validation.NewSchemaValidator(properties.OpenAPIV3Schema)
	if err != nil {
		return crd{}, err
	}
	return crd{structural, openAPI, cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
}

// validate returns the object with defaults. old is the stored object of an update.
func (c crd) validate(ctx context.Context, content []byte, old map[string]any) (map[string]any, error) {
	var object map[string]any
	if err := json.Unmarshal(content, &object); err != nil {
		return nil, err
	}
	unknown := pruning.PruneWithOptions(object, c.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	if len(unknown) > 0 {
		return nil, fmt.Errorf("unknown fields: %v", unknown)
	}
	defaulting.Default(object, c.structural)
	var problems field.ErrorList
	if old == nil {
		problems = validation.ValidateCustomResource(nil, object, c.openAPI)
	} else {
		problems = validation.ValidateCustomResourceUpdate(nil, object, old, c.openAPI)
	}
	var before any
	if old != nil {
		before = old
	}
	broken, _ := c.rules.Validate(ctx, nil, c.structural, object, before, celconfig.RuntimeCELCostBudget)
	return object, append(problems, broken...).ToAggregate()
}
