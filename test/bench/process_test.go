package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/publish"
	"github.com/orgami/packer-plugin-orgami/internal/record"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// simulatorBinary is test/awssim/cmd/awssim, as `make test` sets it.
const simulatorBinary = "ORGAMI_TEST_AWSSIM"

// publisherVariable makes this test binary the measured process: it holds the
// cell and where AWS is, as JSON.
const publisherVariable = "ORGAMI_BENCH_PUBLISH"

// profilesVariable names the folder for profiles of the measured processes, if any.
const profilesVariable = "ORGAMI_BENCH_PROFILES"

type publisherTask struct {
	Cell     Cell   `json:"cell"`
	Endpoint string `json:"endpoint"`
	Output   string `json:"output"` // folder for the documents
}

// TestPublisherProcess isn't a test. It is the process that TestProcess measures. It
// publishes as the plugin does, and writes the same files.
func TestPublisherProcess(t *testing.T) {
	text := os.Getenv(publisherVariable)
	if text == "" {
		t.Skip("TestProcess runs it")
	}
	var task publisherTask
	if err := json.Unmarshal([]byte(text), &task); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIASIMU"+awssim.PublishingAccount)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret-of-"+awssim.PublishingAccount)
	clients, err := awsclient.Load(t.Context(), awsclient.Config{Region: regionNames[0], EndpointURL: task.Endpoint})
	if err != nil {
		t.Fatal(err)
	}
	result, err := publish.Runner{Clients: clients, Reporter: silent, Lock: unlocked}.Run(t.Context(), specOf(task.Cell))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := record.Publication(task.Output, result); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(task.Output, peakFile), []byte(strconv.FormatInt(peakMemory(t), 10)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// peakFile is where the process writes its peak memory. The value that the parent gets
// for a child includes the parent's own peak before the child was executed.
const peakFile = "peak"

var peakLine = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peakMemory is the peak resident memory of this process in bytes. It is 0 where the
// system doesn't report it.
func peakMemory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	match := peakLine.FindSubmatch(status)
	if match == nil {
		return 0
	}
	kilobytes, err := strconv.ParseInt(string(match[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes * 1024
}

// TestProcess measures peak memory and CPU time of a publication by a process of
// its own, cold and warm, against a simulated AWS in another process that responds
// at once and throttles nothing.
func TestProcess(t *testing.T) {
	binary := os.Getenv(simulatorBinary)
	if binary == "" || testing.Short() {
		t.Skipf("%s is not set: 'make test' and 'make bench' build the simulator and set it", simulatorBinary)
	}
	cells := []Cell{{Regions: 3, Accounts: 100}}
	if os.Getenv(Variable) != "" {
		cells = []Cell{{Regions: 17, Accounts: 10}, {Regions: 17, Accounts: 1_000}, {Regions: 17, Accounts: 5_000}}
	}
	for _, cell := range cells {
		t.Run(fmt.Sprintf("%d grants", cell.Grants()), func(t *testing.T) {
			endpoint := startSimulator(t, binary, worldOf(cell))
			for _, run := range []string{"cold", "warm"} {
				p := publishInProcess(t, run, publisherTask{cell, endpoint, t.TempDir()})
				recordLine(t, Line{Process: &p})
				t.Logf("%s: %.0f MB, %v of user CPU, %v", run, float64(p.PeakRSS)/1e6, p.UserCPU, p.Wall)
				if limit := int64(100e6); !raceDetector && cell.Grants() <= 1_000 && p.PeakRSS > limit {
					t.Errorf("the %s run took %d bytes, more than %d", run, p.PeakRSS, limit)
				}
			}
		})
	}
}

func publishInProcess(t *testing.T, run string, task publisherTask) Process {
	t.Helper()
	text, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	arguments := []string{"-test.run=^TestPublisherProcess$", "-test.timeout=30m"}
	if folder := os.Getenv(profilesVariable); folder != "" {
		name := filepath.Join(folder, fmt.Sprintf("%d-%s", task.Cell.Grants(), run))
		arguments = append(arguments, "-test.cpuprofile="+name+".cpu", "-test.memprofile="+name+".heap", "-test.memprofilerate=65536")
	}
	command := exec.CommandContext(t.Context(), os.Args[0], arguments...)
	command.Env = append(os.Environ(), publisherVariable+"="+string(text))
	start := time.Now()
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("the publishing process: %v\n%s", err, output)
	}
	told, err := os.ReadFile(filepath.Join(task.Output, peakFile))
	if err != nil {
		t.Fatal(err)
	}
	peak, err := strconv.ParseInt(string(told), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if peak == 0 {
		t.Skip("this system does not report the memory of processes")
	}
	return Process{Cell: task.Cell, Run: run, PeakRSS: peak, UserCPU: command.ProcessState.UserTime(), Wall: time.Since(start)}
}

// startSimulator serves the world in a separate process and returns the
// endpoint.
func startSimulator(t *testing.T, binary string, world awssim.WorldFile) string {
	t.Helper()
	text, err := json.Marshal(world)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "world.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	command := exec.CommandContext(ctx, binary, "-world", path)
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = command.Wait() // it was killed
	})
	line, err := bufio.NewReaderSize(io.LimitReader(stdout, 16<<20), 1<<20).ReadString('\n')
	if err != nil {
		t.Fatalf("the simulator ended before it said where it listens: %v", err)
	}
	var said struct {
		Endpoint string `json:"endpoint"`
	}
	if err := json.NewDecoder(strings.NewReader(line)).Decode(&said); err != nil {
		t.Fatal(err)
	}
	return said.Endpoint
}
