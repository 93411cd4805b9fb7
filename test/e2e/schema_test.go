package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
	"github.com/orgami/packer-plugin-orgami/test/schema"
)

// Another implementation of JSON Schema (ajv, in its strict mode) accepts the schemas
// and the files of a plan, a publication and a failure.
func TestConsumerSchemas(t *testing.T) {
	t.Parallel()
	modules := os.Getenv("ORGAMI_TEST_NODE_MODULES")
	if modules == "" {
		t.Skip("ORGAMI_TEST_NODE_MODULES is not set: run 'make test-consumers'")
	}
	validate := func(name string, files ...string) (string, error) {
		command := exec.CommandContext(t.Context(), "node", append([]string{filepath.Join("..", "consumers", "node", "validate.cjs"), filepath.Join(schema.Folder(), name)}, files...)...)
		command.Env = append(os.Environ(), "NODE_PATH="+modules)
		output, err := command.CombinedOutput()
		return string(output), err
	}
	sim := newAWSWith(t, withGolden(), awssim.Options{})
	p := newPacker(t, sim.environment...)
	folder := template(t, fromExisting, keep, emittingWith(""))
	plan := template(t, fromExisting, keep, emittingWith("\n  plan_only = true"))
	p.mustBuild(plan)
	sim.Inject(denied)
	if output, err := p.build(folder); err == nil {
		t.Fatalf("the build succeeded:\n%s", output)
	}
	failed := filepath.Join(t.TempDir(), manifest.FailureFile)
	if err := os.Rename(filepath.Join(folder, "orgami", manifest.FailureFile), failed); err != nil {
		t.Fatal(err)
	}
	p.mustBuild(folder)
	for name, files := range map[string][]string{
		"orgami.schema.json":         {filepath.Join(plan, "orgami", manifest.PlanFile), filepath.Join(folder, "orgami", manifest.File)},
		"orgami-failure.schema.json": {failed},
		"kms-grants.schema.json":     {filepath.Join(folder, "orgami", manifest.GrantsFile)},
	} {
		if output, err := validate(name, files...); err != nil {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
	}
	if output, err := validate("orgami.schema.json", failed); err == nil {
		t.Errorf("a failure is accepted as a manifest: %s", output)
	}
}
