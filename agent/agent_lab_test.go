package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"harmony/agent"
	"harmony/bench/lab"
	"harmony/bench/probe"
	"harmony/vrrp"
)

// harmony builds harmony once for all tests, unless HARMONY_BINARY names it.
var harmony = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("HARMONY_BINARY"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "harmony-test")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "harmony")
	out, err := exec.Command("go", "build", "-o", path, "harmony/cmd/harmony").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	if probe.Main() {
		return
	}
	code := m.Run()
	if path, err := harmony(); err == nil && os.Getenv("HARMONY_BINARY") == "" {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// host is a node with an agent on it.
type host struct {
	t       *testing.T
	node    *lab.Node
	dir     agent.RunDir
	from    string
	mac     string
	binary  string // to run instead of the one of all tests
	args    []string
	cgroup  *os.File // to run in
	log     *os.File // to write to instead of the test's
	stalled int      // process
	cmd     *exec.Cmd
	exited  chan struct{} // closed when cmd has ended with err
	err     error
}

// newHost starts an agent with a virtual router of the given priority.
func newHost(t *testing.T, net *lab.Net, name, addr string, priority int) *host {
	h := prepareHost(t, net, name, addr, priority)
	h.start()
	return h
}

// prepareHost is newHost without the start.
func prepareHost(t *testing.T, net *lab.Net, name, addr string, priority int) *host {
	h := &host{t: t, node: net.Node(name, addr), dir: agent.RunDir(t.TempDir()), from: t.TempDir()}
	h.mac = linkAddress(t, h.node)
	h.write("router.yaml", router(priority))
	t.Cleanup(func() { // before the folders go
		if h.cmd != nil {
			_ = h.cmd.Process.Kill() // it may have ended
			<-h.exited
		}
	})
	return h
}

func router(priority int) string {
	return fmt.Sprintf(`apiVersion: kaas.harmony/v1alpha1
kind: VirtualRouter
metadata: {name: edge}
spec:
  vrid: 51
  interface: eth0
  addresses: [10.9.0.100/24, "fd09::100/64"]
  priority: %d
  advertInterval: 50ms
`, priority)
}

func (h *host) write(file, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.from, file), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) start() {
	h.t.Helper()
	path, err := harmony()
	if err != nil {
		h.t.Fatal(err)
	}
	if h.binary != "" {
		path = h.binary
	}
	h.cmd = h.node.Command(context.Background(), path, append([]string{
		"agent", "--from", h.from, "--node", h.node.Name(), "--run-dir", string(h.dir), "--http", "127.0.0.1:9650",
	}, h.args...)...)
	h.cmd.Stderr = h.t.Output()
	if h.log != nil {
		h.cmd.Stderr = h.log
	}
	if h.cgroup != nil {
		h.cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(h.cgroup.Fd())}
	}
	if err := h.node.Start(h.cmd); err != nil {
		h.t.Fatal(err)
	}
	cmd, exited := h.cmd, make(chan struct{})
	h.exited = exited
	go func() { // ends with the process
		defer close(exited)
		h.err = cmd.Wait()
	}()
}

func (h *host) status() (agent.Status, error) {
	resp, err := agent.Ask(h.t.Context(), h.dir, agent.Request{Command: "status"})
	if err != nil {
		return agent.Status{}, err
	}
	return *resp.Status, nil
}

// owns says whether the kernel has both addresses there.
func (h *host) owns() bool {
	out := h.node.Run(h.t, "ip", "-o", "addr", "show", "dev", "eth0")
	return strings.Contains(out, "10.9.0.100/24") && strings.Contains(out, "fd09::100/64")
}

// clean says whether the kernel has neither.
func (h *host) clean() bool {
	out := h.node.Run(h.t, "ip", "-o", "addr", "show", "dev", "eth0")
	return !strings.Contains(out, "10.9.0.100") && !strings.Contains(out, "fd09::100")
}

func (h *host) await(what string, ok func() bool) {
	h.t.Helper()
	lab.Poll(h.t, 15*time.Second, h.node.Name()+" "+what, ok)
}

func (h *host) ready() bool {
	s, err := h.status()
	return err == nil && s.Worker.Ready
}

func (h *host) kill(pids ...int) {
	h.t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestLabWorkerKilledMovesNothing(t *testing.T) {
	h := newHost(t, lab.New(t), "a", "10.9.0.1/24", 150)
	h.await("owns the addresses", h.owns)
	h.await("is ready", h.ready)
	before, _ := h.status()
	h.kill(before.Worker.PID)
	h.await("has a new worker", func() bool {
		s, err := h.status()
		return err == nil && s.Worker.Ready && s.Worker.PID != before.Worker.PID
	})
	after, _ := h.status()
	for i, r := range after.Election.Routers {
		if r.State != vrrp.Master || r.Since != before.Election.Routers[i].Since {
			t.Errorf("%v moved: %v since %v", r.Router.Key, r.State, r.Since)
		}
	}
	if after.Election.Restarts != 1 {
		t.Errorf("restarts: %d", after.Election.Restarts)
	}
	if !h.owns() {
		t.Error("the addresses are gone")
	}
}

func TestLabElectorKilledIsSurrendered(t *testing.T) {
	net := lab.New(t)
	a, b := newHost(t, net, "a", "10.9.0.1/24", 150), newHost(t, net, "b", "10.9.0.2/24", 100)
	a.await("owns the addresses", a.owns)
	a.await("is ready", a.ready)
	b.await("is ready", b.ready)
	s, _ := a.status()
	a.kill(s.Election.PID)
	b.await("took over", b.owns)
	a.await("has surrendered", a.clean)
	lab.Poll(t, 5*time.Second, "the worker has ended", func() bool {
		return errors.Is(syscall.Kill(s.Worker.PID, 0), syscall.ESRCH)
	})
	a.start()
	a.await("took the addresses back", func() bool { return a.owns() && b.clean() })
}

func TestLabAgentKilledIsCleanedUpAtTheNextStart(t *testing.T) {
	net := lab.New(t)
	a, b := newHost(t, net, "a", "10.9.0.1/24", 150), newHost(t, net, "b", "10.9.0.2/24", 100)
	a.await("owns the addresses", a.owns)
	a.await("is ready", a.ready)
	b.await("is ready", b.ready)
	s, _ := a.status()
	a.kill(s.Election.PID, s.Worker.PID)
	<-a.exited
	b.await("took over", b.owns)
	a.write("router.yaml", router(50)) // it returns as a backup
	a.start()
	a.await("has removed its addresses", a.clean)
	a.await("is ready", a.ready)
	if !b.owns() || !a.clean() {
		t.Error("an address is on two nodes, or on none")
	}
}

func TestLabStopHandsOver(t *testing.T) {
	net := lab.New(t)
	a, b := newHost(t, net, "a", "10.9.0.1/24", 150), newHost(t, net, "b", "10.9.0.2/24", 100)
	a.await("owns the addresses", a.owns)
	b.await("is ready", b.ready)
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if <-a.exited; a.err != nil {
		t.Errorf("exit: %v", a.err)
	}
	if !b.owns() || !a.clean() {
		t.Error("after a stop the peer must have the addresses, and only it")
	}
	if _, err := a.status(); !errors.Is(err, agent.ErrNoAgent) {
		t.Errorf("control socket after the stop: %v", err)
	}
}

// A log that nobody reads ends neither process, nor the surrender.
func TestLabBrokenLogChangesNothing(t *testing.T) {
	lab.Require(t, "root", "ip")
	h := prepareHost(t, lab.New(t), "a", "10.9.0.1/24", 150)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	reader.Close()
	h.log = writer
	h.start()
	h.await("owns the addresses", h.owns)
	h.await("is ready", h.ready)
	h.reload()
	s, _ := h.status()
	h.kill(s.Election.PID)
	h.await("has surrendered", h.clean)
}

func TestLabBadInputChangesNothing(t *testing.T) {
	h := newHost(t, lab.New(t), "a", "10.9.0.1/24", 150)
	h.await("owns the addresses", h.owns)
	h.await("is ready", h.ready)
	before, _ := h.status()
	for _, tt := range []struct{ name, text, want string }{
		{"broken YAML", "kind: [", "router.yaml:1: "},
		{"out of range", strings.Replace(router(150), "vrid: 51", "vrid: 300", 1), "router.yaml:5: VirtualRouter edge spec.vrid: "},
		{"unknown field", router(150) + "  colour: blue\n", "router.yaml:10: VirtualRouter edge spec.colour: "},
	} {
		h.write("router.yaml", tt.text)
		h.await("reports "+tt.name, func() bool {
			s, err := h.status()
			return err == nil && len(s.Worker.Source.Problems) == 1 && strings.Contains(s.Worker.Source.Problems[0].String(), tt.want)
		})
		h.write("router.yaml", router(150))
		h.await("is well after "+tt.name, func() bool {
			s, err := h.status()
			return err == nil && len(s.Worker.Source.Problems) == 0
		})
	}
	// The last good state survives a restart beside a broken file.
	h.write("router.yaml", "kind: [")
	h.await("reports it", func() bool { s, err := h.status(); return err == nil && len(s.Worker.Source.Problems) == 1 })
	h.kill(before.Worker.PID)
	h.await("has a new worker", func() bool {
		s, err := h.status()
		return err == nil && s.Worker.PID != before.Worker.PID && s.Worker.Ready
	})
	after, _ := h.status()
	if n := len(after.Election.Routers); n != 2 {
		t.Fatalf("%d routers left", n)
	}
	for i, r := range after.Election.Routers {
		if r.State != vrrp.Master || r.Since != before.Election.Routers[i].Since {
			t.Errorf("%v moved: %v since %v", r.Router.Key, r.State, r.Since)
		}
	}
}

func TestLabHTTP(t *testing.T) {
	h := newHost(t, lab.New(t), "a", "10.9.0.1/24", 150)
	h.await("owns the addresses", h.owns)
	h.await("is ready", h.ready)
	client := http.Client{Transport: &http.Transport{DialContext: h.node.Dial}, Timeout: 5 * time.Second}
	get := func(path string) (int, string) {
		resp, err := client.Get("http://127.0.0.1:9650" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ready",
		"/metrics": `harmony_vrrp_master{family="IPv4",router="edge"} 1`,
	} {
		if code, body := get(path); code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	_, body := get("/status")
	var s agent.Status
	if err := json.Unmarshal([]byte(body), &s); err != nil || s.Node != "a" || len(s.Election.Routers) != 2 {
		t.Errorf("/status: %v: %s", err, body)
	}
	if resp, err := client.Post("http://127.0.0.1:9650/status", "", nil); err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v, %v", resp, err)
	}
}

func TestLabTakenPortHarmsNothingElse(t *testing.T) {
	net := lab.New(t)
	a := newHost(t, net, "a", "10.9.0.1/24", 150)
	a.await("is ready", a.ready)
	second := &host{t: t, node: a.node, dir: agent.RunDir(t.TempDir()), from: t.TempDir()}
	second.write("router.yaml", strings.NewReplacer("vrid: 51", "vrid: 52", "10.9.0.100", "10.9.0.101", "fd09::100", "fd09::101").Replace(router(150)))
	second.start()
	t.Cleanup(func() {
		_ = second.cmd.Process.Kill() // it may have ended
		<-second.exited
	})
	second.await("says that the port is taken", func() bool {
		s, err := second.status()
		return err == nil && len(s.Worker.NotReady) == 1 && strings.Contains(s.Worker.NotReady[0], "address already in use")
	})
	second.await("owns its router all the same", func() bool {
		s, err := second.status()
		return err == nil && len(s.Election.Routers) == 2 && s.Election.Routers[0].State == vrrp.Master
	})
}
