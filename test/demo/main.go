// Command demo is `make demo`: a publication end to end on a simulated AWS.
//
// It starts the simulator with an organization whose accounts have EBS
// encryption by default enabled. It runs real Packer with the real amazon-ebs
// builder and this plugin, and attaches the emitted policy to a Karpenter role
// in every account. Then it launches in every account and Region, as Karpenter
// does and as the service-linked roles do: first from the AMI that amazon-ebs
// created, then from the published one. Finally an account changes a setting that
// would make launches fail. The next publication finds it before it shares the
// image, and a run after that finishes it with the copies that were kept.
//
// The simulated world is kept between two runs, so that the second run shows that
// nothing is repeated.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var tools tools
	flag.StringVar(&tools.packer, "packer", "", "packer binary")
	flag.StringVar(&tools.amazon, "amazon", "", "packer-plugin-amazon binary")
	flag.StringVar(&tools.plugin, "plugin", "", "packer-plugin-orgami binary")
	flag.StringVar(&tools.awssim, "awssim", "", "awssim binary")
	example := flag.String("example", "example/demo", "folder of the template and the world")
	auditExample := flag.String("audit", "", "folder of the template of an audit, which is then shown instead")
	work := flag.String("work", "build/demo", "folder for everything that the demo makes")
	flag.Parse()
	if err := tools.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(*work, 0o755); err != nil {
		return err
	}
	aws, err := startSimulator(ctx, tools.awssim, filepath.Join(*example, "world.json"), *work)
	if err != nil {
		return err
	}
	defer aws.stop()
	packer, err := installPacker(ctx, tools, *work, *example, aws.environment())
	if err != nil {
		return err
	}
	if *auditExample != "" {
		auditor := packer
		auditor.template = *auditExample
		return audit(ctx, aws, packer, auditor, *work)
	}
	return story(ctx, aws, packer, *work)
}
