// Command karpenter runs Karpenter's own code on what the plugin writes:
//
//	karpenter check CLASS.json [PATCH]       validate an EC2NodeClass as its CRD does
//	karpenter launch CLASS.json              select the AMI and launch an instance
//
// check applies the merge patch, which is JSON or YAML, and prints the class that a cluster would store. launch
// uses the AWS credentials, Region and endpoint of the environment, and prints the
// class's status and the instance.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) < 2 {
		return fmt.Errorf("usage: karpenter check CLASS.json [PATCH] | karpenter launch CLASS.json")
	}
	content, err := os.ReadFile(arguments[1])
	if err != nil {
		return err
	}
	var result any
	switch arguments[0] {
	case "check":
		patch := ""
		if len(arguments) > 2 {
			patch = arguments[2]
		}
		result, err = check(ctx, content, patch)
	case "launch":
		result, err = launch(ctx, content)
	default:
		err = fmt.Errorf("unknown command %q", arguments[0])
	}
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}

// check validates the class, and the class after the merge patch in the file, if there
// is one. It returns the last of them.
func check(ctx context.Context, content []byte, patchFile string) (map[string]any, error) {
	crd, err := newCRD()
	if err != nil {
		return nil, err
	}
	class, err := crd.validate(ctx, content, nil)
	if err != nil {
		return nil, fmt.Errorf("before the patch: %w", err)
	}
	if patchFile == "" {
		return class, nil
	}
	patch, err := os.ReadFile(patchFile)
	if err != nil {
		return nil, err
	}
	stored, err := json.Marshal(class)
	if err != nil {
		return nil, err
	}
	if patch, err = yaml.YAMLToJSON(patch); err != nil {
		return nil, err
	}
	if content, err = jsonpatch.MergePatch(stored, patch); err != nil {
		return nil, err
	}
	return crd.validate(ctx, content, class)
}
