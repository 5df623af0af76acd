package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"harmony/agent"
	"harmony/bench/lab"
	"harmony/bench/probe"
	"harmony/vrrp"
)

// The addresses of docs/examples/cafe.
var (
	vip4 = netip.MustParseAddr("10.90.0.100")
	vip6 = netip.MustParseAddr("fd90::100")
)

const (
	host     = "cafe.example.com"
	router   = "edge"
	echoPort = 9 // discard's port: nothing else answers there
	tcpPort  = 7000
)

// demo is the cast and the stage.
type demo struct {
	out     *paper
	harmony string // the binary
	config  string // the folder that the agents serve, a copy
	scratch string // vanishes with the demo
	slack   time.Duration

	sw       *lab.Switch
	client   *lab.Node
	edges    []*edge
	backends map[string]*backend
	loads    map[string]*probe.Load // "udp4", "udp6", "https", "tcp"
}

// edge is a node that runs the agent and NGINX.
type edge struct {
	name   string
	node   *lab.Node
	runDir string
	agent  *exec.Cmd
}

// backend is a node that runs a real HTTP server.
type backend struct {
	node *lab.Node
	spec probe.Spec
	proc *exec.Cmd
}

// copyConfig makes a copy that the demo may edit.
func copyConfig(from, to string) (string, error) {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(from, "*.yaml"))
	if err != nil {
		return "", err
	}
	if len(files) == 0 {
		return "", fmt.Errorf("no YAML in %s", from)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(f)), data, 0o600); err != nil {
			return "", err
		}
	}
	return to, nil
}

// build makes the network and starts everything.
func (d *demo) build(ctx context.Context) (err error) {
	d.out.title("The network")
	d.out.print(picture)
	if d.client, err = d.sw.Attach(ctx, "client", "10.90.0.2/24", "fd90::2/64"); err != nil {
		return err
	}
	d.backends = map[string]*backend{}
	for i, name := range []string{"tea-1", "tea-2", "tea-3", "coffee-1", "coffee-2", "coffee-3"} {
		n := []int{11, 12, 13, 21, 22, 23}[i]
		if err := d.addBackend(ctx, name, n); err != nil {
			return err
		}
	}
	for i := 1; i <= 3; i++ {
		if err := d.addEdge(ctx, fmt.Sprintf("edge-%d", i), i+3); err != nil {
			return err
		}
	}
	start := time.Now()
	if err := d.settle(ctx, 60*time.Second); err != nil {
		return err
	}
	d.out.print("3 agents, 3 NGINX, 6 backends are up; an owner after %s\n", round(time.Since(start)))
	return nil
}

func (d *demo) addBackend(ctx context.Context, name string, n int) error {
	node, err := d.sw.Attach(ctx, name, fmt.Sprintf("10.90.0.%d/24", n), fmt.Sprintf("fd90::%d/64", n))
	if err != nil {
		return err
	}
	b := &backend{node: node, spec: probe.Spec{Role: "backend", Name: name,
		Target: fmt.Sprintf("10.90.0.%d:8080", n), TCP: fmt.Sprintf("10.90.0.%d:%d", n, tcpPort)}}
	d.backends[name] = b
	b.proc, err = probe.Serve(ctx, node, b.spec)
	return err
}

func (d *demo) addEdge(ctx context.Context, name string, n int) error {
	node, err := d.sw.Attach(ctx, name, fmt.Sprintf("10.90.0.%d/24", n), fmt.Sprintf("fd90::%d/64", n))
	if err != nil {
		return err
	}
	e := &edge{name: name, node: node, runDir: filepath.Join(d.scratch, name)}
	d.edges = append(d.edges, e)
	for _, vip := range []netip.Addr{vip4, vip6} {
		spec := probe.Spec{Role: "echo", Name: name, Target: netip.AddrPortFrom(vip, echoPort).String()}
		if _, err := probe.Serve(ctx, node, spec); err != nil {
			return err
		}
	}
	if _, err := d.start(ctx, e, "nginx", "--run-dir", e.runDir); err != nil {
		return err
	}
	return d.startAgent(ctx, e)
}

func (d *demo) startAgent(ctx context.Context, e *edge) (err error) {
	e.agent, err = d.start(ctx, e, "agent", "--from", d.config, "--node", e.name, "--run-dir", e.runDir)
	return err
}

// start runs harmony on an edge with its output in a log file, and reaps it.
func (d *demo) start(ctx context.Context, e *edge, args ...string) (*exec.Cmd, error) {
	log, err := os.OpenFile(filepath.Join(d.scratch, e.name+"-"+args[0]+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := e.node.Command(ctx, d.harmony, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := e.node.Start(cmd); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait() }() // ends with the process; how it ended is in its log
	return cmd, nil
}

// close ends every process and gives the namespaces up.
func (d *demo) close() {
	for _, l := range d.loads {
		l.Stop()
	}
	if err := d.sw.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
}

// holders are the edges that have an address on an interface: the kernel's
// word, not the agents'.
func (d *demo) holders(vip netip.Addr) (names []string) {
	for _, e := range d.edges {
		_ = e.node.Do(func() error {
			addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
			for _, a := range addrs {
				if ip, ok := netip.AddrFromSlice(a.IP); ok && ip.Unmap() == vip {
					names = append(names, e.name)
				}
			}
			return err
		})
	}
	return names
}

// owner is the one edge that has both addresses, or nil.
func (d *demo) owner() *edge {
	h4, h6 := d.holders(vip4), d.holders(vip6)
	if len(h4) != 1 || len(h6) != 1 || h4[0] != h6[0] {
		return nil
	}
	for _, e := range d.edges {
		if e.name == h4[0] {
			return e
		}
	}
	return nil
}

func (d *demo) status(ctx context.Context, e *edge) (agent.Status, error) {
	resp, err := agent.Ask(ctx, agent.RunDir(e.runDir), agent.Request{Command: "status"})
	if err != nil {
		return agent.Status{}, err
	}
	return *resp.Status, nil
}

// settle waits until every agent is ready, every NGINX serves what is wanted,
// and the preferred node owns both addresses.
func (d *demo) settle(ctx context.Context, limit time.Duration) error {
	var why string
	err := d.poll(ctx, limit, func() bool {
		if why = d.unsettled(ctx); why == "" && d.owner() != d.edges[0] {
			why = d.edges[0].name + ", which has the highest priority, does not own the addresses"
		}
		return why == ""
	})
	if err != nil {
		return fmt.Errorf("the edge does not settle: %s", why)
	}
	return nil
}

// unsettled says what is not yet as it shall be, or "".
func (d *demo) unsettled(ctx context.Context) string {
	if d.owner() == nil { // asked first: asking the agents costs them more
		return fmt.Sprintf("%s is on %v, %s is on %v", vip4, d.holders(vip4), vip6, d.holders(vip6))
	}
	for _, e := range d.edges {
		s, err := d.status(ctx, e)
		switch {
		case err != nil:
			return e.name + ": " + err.Error()
		case !s.Worker.Ready:
			return e.name + " is not ready: " + strings.Join(s.Worker.NotReady, "; ")
		case s.Worker.NGINX.Served == "" || s.Worker.NGINX.Served != s.Worker.NGINX.Wanted || len(s.Worker.Sites) == 0:
			return e.name + ": NGINX does not serve what is wanted " + s.Worker.NGINX.Error
		}
		for _, r := range s.Election.Routers {
			if r.State != vrrp.Master && r.State != vrrp.Backup {
				return e.name + ": " + r.Why
			}
		}
	}
	return ""
}

// poll asks ok every 50 ms until it is true, limit has passed or ctx ends.
func (d *demo) poll(ctx context.Context, limit time.Duration, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !ok() {
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// pause waits, but not beyond ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// kill sends SIGKILL to processes and waits until they are gone.
func (d *demo) kill(ctx context.Context, pids ...int) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("killing %d: %w", pid, err)
		}
	}
	return d.poll(ctx, 5*time.Second, func() bool {
		for _, pid := range pids {
			if !gone(pid) {
				return false
			}
		}
		return true
	})
}

// gone says whether a process has ended; one that waits to be reaped has.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z")
}

// tails shows the end of every log, after a failure.
func (d *demo) tails() {
	logs, _ := filepath.Glob(filepath.Join(d.scratch, "*.log"))
	for _, path := range logs {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		if info, err := f.Stat(); err == nil && info.Size() > 3000 {
			_, _ = f.Seek(-3000, io.SeekEnd)
		}
		data, _ := io.ReadAll(f)
		f.Close()
		d.out.print("\n── %s\n%s", filepath.Base(path), data)
	}
}
