package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// simulator is a running awssim.
type simulator struct {
	Endpoint   string               `json:"endpoint"`
	AccessKeys map[string]accessKey `json:"access_keys"` // by account
	process    *exec.Cmd
}

type accessKey struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// publisher is the account that builds and publishes.
const publisher = "111111111111"

// startSimulator starts the simulator in the state of the last demo, or with a fresh
// world.
func startSimulator(ctx context.Context, binary, world, work string) (*simulator, error) {
	command := exec.CommandContext(ctx, binary, "-listen", "127.0.0.1:0", "-world", world, "-log", filepath.Join(work, "journal.jsonl"), "-resume")
	command.Stderr = os.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting the simulator: %w", err)
	}
	s := &simulator{process: command}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("the simulator ended before it said where it listens: %w", err)
	}
	if err := json.Unmarshal(line, s); err != nil {
		s.stop()
		return nil, fmt.Errorf("reading where the simulator listens from %q: %w", line, err)
	}
	return s, nil
}

func (s *simulator) stop() {
	_ = s.process.Process.Signal(syscall.SIGTERM) // it may have ended already
	_ = s.process.Wait()
}

// environment lets unmodified programs use the simulator as the publisher.
func (s *simulator) environment() []string {
	key := s.AccessKeys[publisher]
	return []string{
		"AWS_ENDPOINT_URL=" + s.Endpoint,
		"AWS_ACCESS_KEY_ID=" + key.ID,
		"AWS_SECRET_ACCESS_KEY=" + key.Secret,
		"AWS_REGION=us-east-1",
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
}

// config is an SDK configuration for the account's administrator.
func (s *simulator) config(account, region string) aws.Config {
	key := s.AccessKeys[account]
	return aws.Config{
		Region:       region,
		BaseEndpoint: &s.Endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	}
}

// journalEntry has the fields of a journal entry that the demo needs.
type journalEntry struct {
	Service   string `json:"service"`
	Operation string `json:"operation"`
	Region    string `json:"region"`
	Mutating  bool   `json:"mutating"`
	Error     string `json:"error"`
}

// journal returns all calls so far.
func (s *simulator) journal(ctx context.Context) ([]journalEntry, error) {
	var entries []journalEntry
	return entries, s.control(ctx, http.MethodGet, "journal", nil, &entries)
}

// launchResult is how a launch by a service-linked role ended.
type launchResult struct {
	InstanceID string `json:"instance_id"`
	State      string `json:"state"`
	Reason     string `json:"reason"`
	Diagnosis  string `json:"diagnosis"`
}

// control calls the simulator's own, non-AWS interface.
func (s *simulator) control(ctx context.Context, method, path string, request, answer any) (err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	call, err := http.NewRequestWithContext(ctx, method, s.Endpoint+"/_awssim/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(call)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		return fmt.Errorf("the simulator answered %s to %s: %s", response.Status, path, text)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}
