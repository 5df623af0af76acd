// Package probe measures what a client sees while addresses move: how long an
// address was dark and how many requests were lost. The demo and the
// benchmarks share it.
//
// The probes are processes of their own, so that they live in a client's
// network namespace: a program that uses the package starts itself again with
// Command and calls Main first thing in its main function.
package probe

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// Result is the fate of one request.
type Result struct {
	Kind  string        `json:"k"`           // "udp" or "http" or "tcp"
	Start time.Time     `json:"t"`           // when it was sent
	Took  time.Duration `json:"d"`           // until it was answered; meaningless when lost
	By    string        `json:"b,omitempty"` // who answered
	Err   string        `json:"e,omitempty"` // why it was lost; "" means answered

	Client int `json:"c,omitempty"` // who asked, of Spec.Clients
}

// Window summarises the requests of a span of time.
type Window struct {
	Sent, Lost int
	// Dark is the longest time without service: from the first lost request
	// of a run of them until the next one that was answered was sent.
	Dark time.Duration
	By   map[string]int // answers by who gave them
	Errs map[string]int // losses by reason
}

// Summarise looks at the results of one kind that were sent in [from, to), in
// any order.
func Summarise(results []Result, kind string, from, to time.Time) Window {
	w := Window{By: map[string]int{}, Errs: map[string]int{}}
	var in []Result
	for _, r := range results {
		if r.Kind == kind && !r.Start.Before(from) && r.Start.Before(to) {
			in = append(in, r)
		}
	}
	slices.SortFunc(in, func(a, b Result) int { return a.Start.Compare(b.Start) })
	var dark time.Time // since when; zero while there is service
	for _, r := range in {
		w.Sent++
		if r.Err == "" {
			w.By[r.By]++
			if !dark.IsZero() {
				w.Dark = max(w.Dark, r.Start.Sub(dark))
				dark = time.Time{}
			}
			continue
		}
		w.Lost++
		w.Errs[r.Err]++
		if dark.IsZero() {
			dark = r.Start
		}
	}
	if !dark.IsZero() {
		w.Dark = max(w.Dark, to.Sub(dark))
	}
	return w
}

// Starter starts a command where the client is; *lab.Node is one.
type Starter interface {
	Command(ctx context.Context, name string, args ...string) *exec.Cmd
	Start(cmd *exec.Cmd) error
}

// Load is a running probe. Its goroutine ends with the process.
type Load struct {
	cancel context.CancelFunc
	done   chan struct{}

	clients int

	mu      sync.Mutex // guards results
	results []Result
}

// Start runs the probe spec at a client. ctx or Stop ends it.
func Start(ctx context.Context, at Starter, spec Spec) (*Load, error) {
	cmd, cancel, err := command(ctx, at, spec)
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("probe: %w", err)
	}
	if err := at.Start(cmd); err != nil {
		cancel()
		return nil, fmt.Errorf("probe: %w", err)
	}
	l := &Load{cancel: cancel, done: make(chan struct{}), clients: spec.Clients}
	go func() {
		defer close(l.done)
		l.read(out)
		_ = cmd.Wait() // ended by the cancelled context
	}()
	return l, nil
}

func (l *Load) read(out io.Reader) {
	dec := json.NewDecoder(bufio.NewReader(out))
	for {
		var r Result
		if dec.Decode(&r) != nil {
			return
		}
		l.mu.Lock()
		l.results = append(l.results, r)
		l.mu.Unlock()
	}
}

// Window summarises what has come in so far of one kind. Of UDP, ask for a span
// that ended longer ago than Spec.Timeout; of others, for one that is Settled.
func (l *Load) Window(kind string, from, to time.Time) Window {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Summarise(l.results, kind, from, to)
}

// Settled says whether the fate of all that was sent before t is known: each
// client, which asks one thing after the other, has asked since.
func (l *Load) Settled(t time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	later := map[int]bool{}
	for _, r := range l.results {
		if !r.Start.Before(t) {
			later[r.Client] = true
		}
	}
	return len(later) >= max(1, l.clients)
}

// Results returns a copy of everything so far, for raw logs.
func (l *Load) Results() []Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.results)
}

// Stop ends the probe and waits for it.
func (l *Load) Stop() {
	l.cancel()
	<-l.done
}

// Serve runs a responder (Spec.Role "echo" or "backend") at a node until ctx
// ends or the returned process is killed.
func Serve(ctx context.Context, at Starter, spec Spec) (*exec.Cmd, error) {
	cmd, _, err := command(ctx, at, spec)
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	return cmd, at.Start(cmd)
}

// childArg marks a process that Main shall run as a probe.
const childArg = "probe-child"

func command(ctx context.Context, at Starter, spec Spec) (*exec.Cmd, context.CancelFunc, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("probe: %w", err)
	}
	arg, err := json.Marshal(spec)
	if err != nil {
		return nil, nil, fmt.Errorf("probe: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	return at.Command(ctx, self, childArg, string(arg)), cancel, nil
}

// Main runs the probe if this process is one, and says so; the caller then
// returns.
func Main() bool {
	if len(os.Args) != 3 || os.Args[1] != childArg {
		return false
	}
	var spec Spec
	err := json.Unmarshal([]byte(os.Args[2]), &spec)
	if err == nil {
		err = spec.run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
	}
	return true
}
