package existing

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

var errProvisioners = errors.New("orgami-existing can't run provisioners, because it starts no instance. Remove the provisioner blocks from the build, or build with amazon-ebs")

// refuseProvisioners fails when the template has provisioners. A builder can't list
// provisioners; it can only run them. They get a communicator that rejects everything
// and a user interface that stops the provisioner at its first output. A provisioner
// that uses neither isn't detected.
func refuseProvisioners(ctx context.Context, ui packersdk.Ui, hook packersdk.Hook) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wire := &tripwire{Ui: ui, trip: cancel}
	err := hook.Run(ctx, packersdk.HookProvision, wire, noMachine{wire}, map[string]any{})
	if wire.tripped.Load() {
		return errProvisioners
	}
	return err
}

// tripwire is a user interface that records whether it was used.
type tripwire struct {
	packersdk.Ui

	trip    func()
	tripped atomic.Bool
}

func (t *tripwire) touch() error {
	t.tripped.Store(true)
	t.trip()
	return errProvisioners
}

func (t *tripwire) Say(string)                          { _ = t.touch() }
func (t *tripwire) Sayf(string, ...any)                 { _ = t.touch() }
func (t *tripwire) Message(string)                      { _ = t.touch() }
func (t *tripwire) Error(string)                        { _ = t.touch() }
func (t *tripwire) Errorf(string, ...any)               { _ = t.touch() }
func (t *tripwire) Machine(string, ...string)           { _ = t.touch() }
func (t *tripwire) Ask(string) (string, error)          { return "", t.touch() }
func (t *tripwire) Askf(string, ...any) (string, error) { return "", t.touch() }

func (t *tripwire) TrackProgress(_ string, _, _ int64, stream io.ReadCloser) io.ReadCloser {
	_ = t.touch()
	return stream
}

// noMachine is a communicator without a machine.
type noMachine struct{ wire *tripwire }

func (n noMachine) Start(context.Context, *packersdk.RemoteCmd) error { return n.wire.touch() }

func (n noMachine) Upload(string, io.Reader, *os.FileInfo) error { return n.wire.touch() }

func (n noMachine) UploadDir(string, string, []string) error { return n.wire.touch() }

func (n noMachine) Download(string, io.Writer) error { return n.wire.touch() }

func (n noMachine) DownloadDir(string, string, []string) error { return n.wire.touch() }
