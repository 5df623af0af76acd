package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// labTests are the tests that need root, namespaces or real peers.
	labTests = "^TestLab"
	// longTests are the tests that take long, and that the race detector would
	// make much longer.
	longTests = "^TestLong"
	// programTimeout bounds one test program.
	programTimeout = "10m"
)

// runner runs test programs and collects what comes of them.
type runner struct {
	work    string
	vm      string
	raw     io.Writer // the events, as go test -json prints them
	results *results

	mu sync.Mutex // guards raw, results and the order of printed lines
}

// unit runs the tests that need nothing, several packages at a time.
func (r *runner) unit(ctx context.Context, programs []program) {
	slots := make(chan struct{}, runtime.NumCPU())
	var all sync.WaitGroup
	for _, p := range programs {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			r.run(ctx, "unit", p.pkg, nil, r.command(p, "-test.skip="+labTests+"|"+longTests))
		})
	}
	all.Wait()
}

// lab runs the tests that need the lab, where a test that can run in the
// machine only is left for it.
func (r *runner) lab(ctx context.Context, programs []program) {
	env := []string{"HARMONY_LAB=required", "HARMONY_LAB_LATER=ip_vs"}
	for _, p := range programs {
		if has, err := hasTests(ctx, p, labTests); err != nil || !has {
			r.results.fault(p.pkg, err)
			continue
		}
		r.run(ctx, "lab", p.pkg, env, asRoot(env, r.command(p, "-test.run="+labTests)))
	}
}

// long runs the tests that take long, in programs without the race detector.
func (r *runner) long(ctx context.Context, programs []program) {
	for _, p := range programs {
		if has, err := hasTests(ctx, p, longTests); err != nil || !has {
			r.results.fault(p.pkg, err)
			continue
		}
		p.path += ".plain"
		if err := run(ctx, "go", "test", "-c", "-o", p.path, p.pkg); err != nil {
			r.results.fault(p.pkg, err)
			continue
		}
		r.run(ctx, "long", p.pkg, []string{"HARMONY_LONG=required"}, r.command(p, "-test.run="+longTests))
	}
}

// hasTests says whether a program has tests of that kind.
func hasTests(ctx context.Context, p program, kind string) (bool, error) {
	cmd := exec.CommandContext(ctx, p.path, "-test.list="+kind)
	cmd.Dir, cmd.Stderr = p.dir, os.Stderr
	out, err := cmd.Output()
	return strings.HasPrefix(string(out), "Test"), err
}

// machine runs the tests that were left for it.
func (r *runner) machine(ctx context.Context, programs []program) error {
	var jobs []job
	for _, p := range programs {
		tests := r.results.later(p.pkg)
		if len(tests) == 0 {
			continue
		}
		args := r.command(p, "-test.run=^("+strings.Join(tests, "|")+")$").Args
		jobs = append(jobs, job{Dir: p.dir, Args: args})
	}
	if len(jobs) == 0 {
		return nil
	}
	text, err := json.Marshal(jobs)
	if err != nil {
		return err
	}
	plan := filepath.Join(r.work, "machine.json")
	if err := os.WriteFile(plan, text, 0o600); err != nil {
		return err
	}
	suite := filepath.Join(r.work, "suite")
	if err := buildStatic(ctx, suite, "harmony/bench/suite"); err != nil {
		return err
	}
	// Compiling takes minutes in there.
	binary := filepath.Join(r.work, "harmony")
	if err := buildStatic(ctx, binary, "harmony/cmd/harmony"); err != nil {
		return err
	}
	r.run(ctx, "vm", "", []string{"HARMONY_LAB=required", "HARMONY_BINARY=" + binary}, exec.CommandContext(ctx, r.vm, suite, "-inside", plan))
	return nil
}

// command is a test program whose output is events.
func (r *runner) command(p program, args ...string) *exec.Cmd {
	args = append([]string{
		"-t", "-p", p.pkg, p.path,
		"-test.v=test2json", "-test.paniconexit0", "-test.timeout=" + programTimeout,
	}, args...)
	cmd := exec.Command(test2json(r.work), args...)
	cmd.Dir = p.dir
	return cmd
}

// asRoot lets a user who is not root run the command by sudo, which keeps
// nothing of the environment by itself.
func asRoot(env []string, cmd *exec.Cmd) *exec.Cmd {
	if os.Geteuid() == 0 {
		return cmd
	}
	args := append([]string{"env"}, env...)
	for _, key := range []string{"PATH", "HOME", "TMPDIR", "HARMONY_VM_CACHE"} {
		if value, ok := os.LookupEnv(key); ok {
			args = append(args, key+"="+value)
		}
	}
	root := exec.Command("sudo", append(args, cmd.Args...)...)
	root.Dir = cmd.Dir
	return root
}

// run runs a command that prints events and records them. pkg is "" when
// several packages are in them.
func (r *runner) run(ctx context.Context, phase, pkg string, env []string, cmd *exec.Cmd) {
	if ctx.Err() != nil {
		return
	}
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	start := time.Now()
	err := r.follow(ctx, cmd, phase)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && !r.results.failed(pkg) {
		r.results.fault(pkg, err)
		fmt.Printf("FAIL\t%s\t%.1fs\t%s: %v\n", pkg, time.Since(start).Seconds(), phase, err)
	}
}

// follow starts the command and reads its events to the end.
func (r *runner) follow(ctx context.Context, cmd *exec.Cmd, phase string) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	// A group of its own, since test2json does not pass signals on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) })
	defer stop()
	d := json.NewDecoder(out)
	for {
		var e event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return errors.Join(fmt.Errorf("read events: %w", err), cmd.Process.Kill(), cmd.Wait())
		}
		if err := r.record(e, phase); err != nil {
			return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
		}
	}
	return cmd.Wait()
}

// record keeps an event, and prints a line when a package has ended.
func (r *runner) record(e event, phase string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := json.NewEncoder(r.raw).Encode(e); err != nil {
		return err
	}
	for _, line := range r.results.add(e) {
		fmt.Println(strings.TrimRight(line, "\n"))
	}
	if e.Test != "" {
		return nil
	}
	switch e.Action {
	case "pass", "skip":
		fmt.Printf("ok  \t%s\t%.3fs\t%s\n", e.Package, e.Elapsed, phase)
	case "fail":
		fmt.Printf("FAIL\t%s\t%.3fs\t%s\n", e.Package, e.Elapsed, phase)
	}
	return nil
}
