package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"harmony/bench/lab"
)

// setup is how a speaker is to be started.
type setup struct {
	cell
	node      *lab.Node
	folder    string // the speaker's own, in lab.Scratch
	priority  int
	nopreempt bool
}

// speaker is a speaker of VRRP on a node. Its methods are called by one
// goroutine.
type speaker interface {
	// start runs it; it may be started again after stop or kill.
	start(ctx context.Context) error
	// stop asks it to end, and does not wait.
	stop() error
	// kill kills all its processes at once.
	kill() error
	// pause stops the process that elects, and resume lets it go on.
	pause() error
	resume() error
	setPriority(p int) error
	// ready says that it listens.
	ready(ctx context.Context) bool
	// complaints are what it has found wrong with the other.
	complaints(ctx context.Context) []string
	// log is all that it has printed.
	log() string
}

// output collects what processes print.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// process is a running program of a speaker.
type process struct {
	cmd *exec.Cmd
	end chan struct{} // closed when it has ended
}

// launch starts a program on the node with its output in o.
func launch(nd *lab.Node, o *output, name string, args ...string) (*process, error) {
	cmd := nd.Command(context.Background(), name, args...)
	cmd.Stdout, cmd.Stderr = o, o
	if err := nd.Start(cmd); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, end: make(chan struct{})}
	go func() { // ends with the process, at the latest with the node
		defer close(p.end)
		_ = cmd.Wait() // it is stopped or killed
	}()
	return p, nil
}

// signal reaches the process, or with its children the whole group.
func (p *process) signal(s syscall.Signal, group bool) error {
	pid := p.cmd.Process.Pid
	if group {
		pid = -pid
	}
	if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %v: %w", s, err)
	}
	return nil
}

// wait waits until the process has ended.
func (p *process) wait(limit time.Duration) error {
	select {
	case <-p.end:
		return nil
	case <-time.After(limit):
		return fmt.Errorf("%s does not end", p.cmd.Path)
	}
}

// faults are words by which tcpdump and peers object to adverts.
var faults = regexp.MustCompile(`(?i)\bbad\b|invalid|malformed|truncated|checksum|incorrect|mismatch|bogus|discard.*length|\[\||unexpected`)

// objections are the lines of a text that find fault.
func objections(text string, except ...string) (out []string) {
	for line := range strings.Lines(text) {
		excepted := false
		for _, e := range except {
			excepted = excepted || strings.Contains(line, e)
		}
		if faults.MatchString(line) && !excepted {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}
