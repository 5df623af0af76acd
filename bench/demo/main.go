// Command demo runs the main job end to end on one machine: three edge nodes,
// a client and six backends, each in a network namespace, on real parts; then
// it breaks them one by one under load and measures what the client sees. It
// ends with 0 when all of it held.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"harmony/bench/lab"
	"harmony/bench/probe"
)

func main() {
	if probe.Main() {
		return
	}
	os.Exit(run())
}

func run() int {
	bin := flag.String("harmony", "bin/harmony", "the harmony binary")
	config := flag.String("config", "docs/examples/cafe", "the folder that the agents serve")
	slack := flag.Duration("slack", 150*time.Millisecond, "allowed above the protocol's own time to take over")
	flag.Parse()
	isolated, code, err := lab.Isolate()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	if !isolated {
		return code // of the isolated run
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := newPaper(os.Stdout)
	d, err := newDemo(ctx, *bin, *config, *slack, out)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	defer d.close()
	if err := d.play(ctx); err != nil {
		if ctx.Err() != nil {
			return 1 // interrupted: there is nothing to tell
		}
		out.failure(err)
	}
	if len(out.failed) > 0 {
		d.tails()
	}
	held := out.summary()
	if os.Getenv("KEEP") == "1" {
		d.keep(ctx)
	}
	if !held {
		return 1
	}
	return 0
}

// newDemo checks what it was given before anything is built.
func newDemo(ctx context.Context, bin, config string, slack time.Duration, out *paper) (*demo, error) {
	var err error
	d := &demo{out: out, slack: slack, scratch: lab.Scratch}
	if d.harmony, err = filepath.Abs(bin); err != nil {
		return nil, err
	}
	if _, err := os.Stat(d.harmony); err != nil {
		return nil, fmt.Errorf("%w (build it with `make build`)", err)
	}
	if d.config, err = copyConfig(config, filepath.Join(d.scratch, "cafe")); err != nil {
		return nil, err
	}
	if d.sw, err = lab.Open(); err != nil {
		return nil, err
	}
	return d, nil
}

// play is the whole piece.
func (d *demo) play(ctx context.Context) error {
	for _, act := range []func(context.Context) error{
		d.build, d.introduce, d.showRequests, d.startLoad,
		d.plannedHandOver, d.killWorker, d.killElector, d.killAgent, d.cutLink, d.backendDies,
	} {
		if err := act(ctx); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
