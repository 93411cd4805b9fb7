// Command awssim serves a simulated AWS on loopback. It prints one line of JSON,
// {"endpoint": …, "access_keys": {account: {"id": …, "secret": …}}}, and serves
// until it gets SIGTERM or SIGINT.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "awssim:", err)
		os.Exit(1)
	}
}

type accessKey struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

func run(ctx context.Context) error {
	listen := flag.String("listen", "127.0.0.1:0", "address to serve on: loopback only")
	worldPath := flag.String("world", "", "world file; a small world of its own when empty")
	logPath := flag.String("log", "", "file for the journal, a line of JSON per call")
	resume := flag.Bool("resume", false, "start where the journal in -log ends, and append to it")
	flag.Parse()

	file := awssim.DefaultWorld()
	if *worldPath != "" {
		var err error
		if file, err = awssim.ReadWorldFile(*worldPath); err != nil {
			return err
		}
	}
	options, err := file.Physics.Options()
	if err != nil {
		return fmt.Errorf("reading the physics of the world: %w", err)
	}
	world, err := awssim.New(file, options)
	if err != nil {
		return err
	}
	if *logPath != "" {
		log, err := openJournal(world, *logPath, *resume)
		if err != nil {
			return err
		}
		defer func() { _ = log.Close() }() // every line is written when its call ends
	}
	return serve(ctx, world, file, *listen)
}

// openJournal opens the journal for writing. If resuming is requested, it first
// replays the journal.
func openJournal(world *awssim.World, path string, resume bool) (*os.File, error) {
	mode := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if resume {
		mode = os.O_CREATE | os.O_WRONLY | os.O_APPEND
		past, err := os.Open(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			err = errors.Join(world.Resume(past), past.Close())
			if err != nil {
				return nil, fmt.Errorf("resuming from %s (delete it to start afresh): %w", path, err)
			}
		}
	}
	log, err := os.OpenFile(path, mode, 0o644)
	if err == nil {
		world.JournalTo(log)
	}
	return log, err
}

func serve(ctx context.Context, world *awssim.World, file awssim.WorldFile, address string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return errors.Join(fmt.Errorf("%s is not a loopback address", listener.Addr()), listener.Close())
	}
	keys := map[string]accessKey{}
	for _, account := range file.Accounts {
		id, secret := world.AccessKey(account.ID)
		keys[account.ID] = accessKey{id, secret}
	}
	err = json.NewEncoder(os.Stdout).Encode(map[string]any{"endpoint": "http://" + listener.Addr().String(), "access_keys": keys})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: world, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close() // requests in progress no longer matter
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
