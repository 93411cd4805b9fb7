package awssim_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// Accounts of [awssim.DefaultWorld] that the contract tests use.
const (
	contractManagement = awssim.ManagementAccount
	contractPublisher  = awssim.PublishingAccount
	contractMember     = "222222222222"
)

// TestContractBoto3 drives a listening simulator with boto3. The script checks
// every response's bytes against botocore's model of AWS, and what boto3 reads from
// them.
func TestContractBoto3(t *testing.T) {
	python := contractTool(t, "python3")
	if err := exec.Command(python, "-c", "import boto3").Run(); err != nil {
		t.Skip("boto3 is not on this machine: the wire format is not checked with it")
	}
	endpoint, keys := contractServer(t)
	encoded, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, filepath.Join("testdata", "contract", "contract.py"))
	cmd.Env = append(contractEnvironment(t),
		"PYTHONDONTWRITEBYTECODE=1",
		"CONTRACT_ENDPOINT="+endpoint,
		"CONTRACT_KEYS="+string(encoded),
		"CONTRACT_PUBLISHER="+contractPublisher,
		"CONTRACT_MANAGEMENT="+contractManagement,
		"CONTRACT_MEMBER="+contractMember,
	)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("running the script: %v\n%s", err, stderr.Bytes())
	}
	tests := 0
	for lines := bufio.NewScanner(bytes.NewReader(output)); lines.Scan(); tests++ {
		var result struct{ Test, Error string }
		if err := json.Unmarshal(lines.Bytes(), &result); err != nil {
			t.Fatalf("reading %q: %v", lines.Text(), err)
		}
		t.Run(result.Test, func(t *testing.T) {
			if result.Error != "" {
				t.Error(result.Error)
			}
		})
	}
	if tests == 0 {
		t.Error("the script ran no test")
	}
}

// contractKey is an access key in the form that the script reads.
type contractKey struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// contractServer starts a simulator on the loopback interface.
func contractServer(t *testing.T) (endpoint string, keys map[string]contractKey) {
	t.Helper()
	w, err := awssim.New(awssim.DefaultWorld(), awssim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	keys = map[string]contractKey{}
	for _, account := range []string{contractManagement, contractPublisher, contractMember} {
		id, secret := w.AccessKey(account)
		keys[account] = contractKey{id, secret}
	}
	return server.URL, keys
}

// contractTool returns the path of a program, or skips the test.
func contractTool(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("the contract tests start other programs, which -short leaves out")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not on this machine: the wire format is not checked with it", name)
	}
	return path
}

// contractEnvironment is an environment in which AWS clients use only the given
// settings. It has no user configuration and no access outside the machine.
func contractEnvironment(t *testing.T) []string {
	t.Helper()
	nothing := filepath.Join(t.TempDir(), "none")
	const deadProxy = "http://127.0.0.1:9"
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + t.TempDir(),
		"AWS_CONFIG_FILE=" + nothing,
		"AWS_SHARED_CREDENTIALS_FILE=" + nothing,
		"AWS_EC2_METADATA_DISABLED=true",
		"HTTP_PROXY=" + deadProxy, "HTTPS_PROXY=" + deadProxy, "NO_PROXY=127.0.0.1",
	}
}
