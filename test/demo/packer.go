package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// tools are the binaries that the demo runs.
type tools struct{ packer, amazon, plugin, awssim string }

func (t tools) check() error {
	var missing []error
	for name, path := range map[string]string{"packer": t.packer, "amazon": t.amazon, "plugin": t.plugin, "awssim": t.awssim} {
		if _, err := os.Stat(path); err != nil {
			missing = append(missing, fmt.Errorf("-%s %q: %w ('make demo' builds it)", name, path, err))
		}
	}
	return errors.Join(missing...)
}

// packer runs Packer with separate configuration, plugins and cache, and
// without the user's environment variables that could lead out of the demo.
type packer struct {
	binary      string
	template    string
	environment []string
}

// installPacker copies both plugins to the folder in which Packer looks for them.
func installPacker(ctx context.Context, t tools, work, template string, aws []string) (packer, error) {
	absolute, err := filepath.Abs(work)
	if err != nil {
		return packer{}, err
	}
	p := packer{binary: t.packer, template: template, environment: append(cleanEnvironment(), aws...)}
	p.environment = append(p.environment,
		"CHECKPOINT_DISABLE=1",
		"PACKER_CONFIG_DIR="+filepath.Join(absolute, "packer"),
		"PACKER_PLUGIN_PATH="+filepath.Join(absolute, "packer", "plugins"),
		"PACKER_CACHE_DIR="+filepath.Join(absolute, "packer", "cache"),
		// Nothing may leave the machine, so the proxy doesn't exist.
		"HTTP_PROXY=http://127.0.0.1:9", "HTTPS_PROXY=http://127.0.0.1:9", "NO_PROXY=127.0.0.1,localhost",
		// The simulated AWS is fast, so amazon-ebs doesn't have to wait 15 s between
		// reads.
		"AWS_POLL_DELAY_SECONDS=1", "AWS_MAX_ATTEMPTS=600",
	)
	for source, binary := range map[string]string{"github.com/hashicorp/amazon": t.amazon, "github.com/orgami/orgami": t.plugin} {
		if output, err := p.command(ctx, "plugins", "install", "--path", binary, source).CombinedOutput(); err != nil {
			return packer{}, fmt.Errorf("installing %s: %w\n%s", binary, err, output)
		}
	}
	return p, nil
}

// cleanEnvironment is the user's environment without the variables of AWS clients,
// Packer and proxies.
func cleanEnvironment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(strings.ToUpper(variable), "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "PACKER_") || strings.HasPrefix(name, "PKR_VAR_") || strings.HasSuffix(name, "_PROXY") {
			continue
		}
		kept = append(kept, variable)
	}
	return kept
}

func (p packer) command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, p.binary, arguments...)
	command.Env = p.environment
	// Packer cleans up after a signal, but not when it is killed.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	return command
}

// verbose reports whether all output of Packer and the calls that changed something
// are shown.
func verbose() bool { return os.Getenv("VERBOSE") == "1" }

// build runs `packer build` on one source of the template. Without VERBOSE=1, only what
// orgami-publish prints is shown.
func (p packer) build(ctx context.Context, only string, variables map[string]string) error {
	arguments := []string{"build", "-color=false", "-only=" + only}
	for name, value := range variables {
		arguments = append(arguments, "-var", name+"="+value)
	}
	command := p.command(ctx, append(arguments, p.template)...)
	shown := &output{verbose: verbose()}
	command.Stdout, command.Stderr = shown, shown
	if err := command.Run(); err != nil {
		return fmt.Errorf("packer build -only=%s: %w\n%s", only, err, strings.Join(shown.lines[max(0, len(shown.lines)-30):], "\n"))
	}
	return nil
}

// output shows Packer's output, indented.
type output struct {
	verbose bool
	lines   []string
	rest    string // an incomplete line
}

var fromPublish = regexp.MustCompile(`^==> [^ ]+ \(orgami-publish\): `)

func (o *output) Write(text []byte) (int, error) {
	o.rest += string(text)
	for {
		line, rest, complete := strings.Cut(o.rest, "\n")
		if !complete {
			return len(text), nil
		}
		o.rest, o.lines = rest, append(o.lines, line)
		if ours := fromPublish.FindString(line); o.verbose {
			fmt.Println("  | " + line)
		} else if ours != "" {
			fmt.Println("  | " + strings.TrimPrefix(line, ours))
		}
	}
}
