package existing

import (
	"context"
	"errors"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// provision returns a hook with one provisioner or none.
type provision func(context.Context, packersdk.Ui, packersdk.Communicator) error

func (p provision) Run(ctx context.Context, name string, ui packersdk.Ui, comm packersdk.Communicator, _ any) error {
	if p == nil || name != packersdk.HookProvision {
		return nil
	}
	return p(ctx, ui, comm)
}

func TestRefuseProvisioners(t *testing.T) {
	other := errors.New("other")
	tests := map[string]struct {
		hook provision
		want error
	}{
		"none": {nil, nil},
		"one that talks": {func(_ context.Context, ui packersdk.Ui, _ packersdk.Communicator) error {
			ui.Say("Running")
			return nil
		}, errProvisioners},
		"one that hides the refusal": {func(ctx context.Context, _ packersdk.Ui, comm packersdk.Communicator) error {
			_ = comm.Start(ctx, &packersdk.RemoteCmd{})
			return nil
		}, errProvisioners},
		"one that uploads": {func(_ context.Context, _ packersdk.Ui, comm packersdk.Communicator) error {
			return comm.Upload("/tmp/x", nil, nil)
		}, errProvisioners},
		"one that waits for its end": {func(ctx context.Context, ui packersdk.Ui, _ packersdk.Communicator) error {
			ui.Error("Starting")
			<-ctx.Done()
			return ctx.Err()
		}, errProvisioners},
		"one that fails in silence": {func(context.Context, packersdk.Ui, packersdk.Communicator) error { return other }, other},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := refuseProvisioners(t.Context(), &packersdk.MockUi{}, test.hook); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}
