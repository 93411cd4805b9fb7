package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// binary is the path of a binary that the test needs.
func binary(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path != "" {
		return path
	}
	const why = "%s is not set: run 'make test', which builds the binaries and sets it"
	if os.Getenv("CI") == "true" {
		t.Fatalf(why, variable)
	}
	t.Skipf(why, variable)
	return ""
}

// packer is a Packer for one test, with configuration, plugins and cache in a temporary
// folder, and without access to other machines.
type packer struct {
	t           *testing.T
	binary      string
	home        string
	environment []string
	user        int // the user that runs it, 0 for the test's own user
}

func newPacker(t *testing.T, environment ...string) packer {
	t.Helper()
	if testing.Short() {
		t.Skip("runs Packer")
	}
	p := packer{t: t, binary: binary(t, "ORGAMI_TEST_PACKER")}
	plugins := map[string]string{
		"github.com/hashicorp/amazon": binary(t, "ORGAMI_TEST_AMAZON_PLUGIN"),
		"github.com/orgami/orgami":    binary(t, "ORGAMI_TEST_PLUGIN"),
	}
	home := t.TempDir()
	p.home = home
	p.environment = append(cleanEnvironment(),
		"HOME="+home,
		"CHECKPOINT_DISABLE=1",
		"PACKER_CONFIG_DIR="+home,
		"PACKER_PLUGIN_PATH="+filepath.Join(home, "plugins"),
		"PACKER_CACHE_DIR="+filepath.Join(home, "cache"),
		// Every connection to another machine fails.
		"HTTP_PROXY=http://127.0.0.1:9", "HTTPS_PROXY=http://127.0.0.1:9", "NO_PROXY=127.0.0.1,localhost",
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		// The simulated AWS is fast, so amazon-ebs doesn't have to wait 15 s between
		// reads.
		"AWS_POLL_DELAY_SECONDS=1", "AWS_MAX_ATTEMPTS=300",
	)
	p.environment = append(p.environment, environment...)
	for source, path := range plugins {
		p.install(source, path)
	}
	return p
}

// install copies a plugin to the folder in which this Packer looks for it. The file's
// name must be the plugin's.
func (p packer) install(source, path string) {
	p.t.Helper()
	if output, err := p.run("", "plugins", "install", "--path", path, source); err != nil {
		p.t.Fatalf("installing %s: %v\n%s", path, err, output)
	}
}

// command is a run of Packer in a folder; its output is in Stdout.
func (p packer) command(folder string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(p.t.Context(), p.binary, arguments...)
	command.Dir = folder
	command.Env = p.environment
	p.runAs(command)
	output := new(bytes.Buffer)
	command.Stdout, command.Stderr = output, output
	return command
}

// run runs Packer in a folder and returns its output.
func (p packer) run(folder string, arguments ...string) (string, error) {
	command := p.command(folder, arguments...)
	err := command.Run()
	return fmt.Sprint(command.Stdout), err
}

// cleanEnvironment is the environment without the variables of AWS clients, Packer and
// proxies.
func cleanEnvironment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(strings.ToUpper(variable), "=")
		if name == "HOME" || strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "PACKER_") ||
			strings.HasPrefix(name, "PKR_VAR_") || strings.HasSuffix(name, "_PROXY") {
			continue
		}
		kept = append(kept, variable)
	}
	return kept
}
