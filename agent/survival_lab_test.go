package agent_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"harmony/bench/lab"
	"harmony/nginxconf"
	"harmony/vrrp"
)

// event is a row of the table "what survives what" of docs/operate.md: what
// happens to the owner of a router that has a peer, and what becomes of it.
type event struct {
	name    string
	prepare func(*host) // before it is started
	do      func(*host)
	moves   bool        // the peer owns the addresses then
	silent  bool        // they are still here, but do not answer
	removed bool        // IPVS and nft are
	undo    func(*host) // then this node owns them again
}

var events = []event{
	{name: "reload", do: (*host).reload},
	{name: "worker crash", do: (*host).crashWorker},
	{name: "worker upgrade", prepare: (*host).ownBinary, do: (*host).upgradeWorker},
	{name: "elector crash", do: (*host).crashElector, moves: true, undo: (*host).start},
	{name: "stop", do: (*host).stop, moves: true, removed: true, undo: (*host).start},
	{name: "stop --keep", prepare: (*host).keep, do: (*host).stop, moves: true, undo: (*host).start},
	{name: "upgrade of the whole", do: (*host).restart, moves: true, undo: (*host).start},
	{name: "SIGKILL of the whole cgroup", prepare: (*host).enterCgroup, do: (*host).killCgroup, moves: true, silent: true, undo: (*host).start},
	{name: "stall of the elector", do: (*host).stallElector, moves: true, silent: true, undo: (*host).resume},
	{name: "stall of the worker", do: (*host).stallWorker, moves: true, undo: (*host).resume},
}

// TestLabSurvival goes through the table with NGINX beside the agent.
func TestLabSurvival(t *testing.T) {
	lab.Require(t, "root", "ip", "nft", "nginx")
	for _, e := range events {
		t.Run(e.name, func(t *testing.T) { e.happen(t, false) })
	}
}

// TestLabSurvivalOfIPVS goes through it where there is IPVS.
func TestLabSurvivalOfIPVS(t *testing.T) {
	lab.Require(t, "root", "ip", "nft", "nginx", "ip_vs", "ipvsadm")
	for _, e := range events {
		t.Run(e.name, func(t *testing.T) { e.happen(t, true) })
	}
}

const service = `apiVersion: kaas.harmony/v1alpha1
kind: L4Service
metadata: {name: brew}
spec:
  address: 10.9.0.100
  port: 7000
  realServers: [{address: 10.9.0.21}]
`

// pace is how fast the nodes of a test live, and what may be added to bounds.
type pace struct{ advert, slack time.Duration }

var (
	brisk = pace{advert, slack}
	// emulated is for a processor that is emulated, where a second of not
	// running is nothing special.
	emulated = pace{time.Second, time.Second}
)

// down is the down interval of the host with priority 100.
func (p pace) down() time.Duration { return 3*p.advert + (256-100)*p.advert/256 }

func (p pace) router(priority int) string {
	return strings.Replace(router(priority), advert.String(), p.advert.String(), 1)
}

func (e event) happen(t *testing.T, balanced bool) {
	n, p := lab.New(t), brisk
	a, b := prepareHost(t, n, "a", "10.9.0.1/24", 150), prepareHost(t, n, "b", "10.9.0.2/24", 100)
	if balanced {
		a.write("service.yaml", service)
		p = emulated
	}
	a.write("router.yaml", p.router(150))
	b.write("router.yaml", p.router(100))
	b.start()
	if e.prepare != nil {
		e.prepare(a)
	}
	if !balanced { // each of both takes long where the other is
		a.serveNGINX()
	}
	a.start()
	// The first of all may have to load IPVS, which takes time where the
	// processor is emulated.
	lab.Poll(t, time.Minute, "a owns the addresses", func() bool { return a.owns() && b.clean() })
	a.await("is ready", a.ready)
	b.await("is ready", b.ready)
	before, _ := a.status()
	left := a.leftovers(balanced)

	o := observe(t, n, "10.9.0.9", "10.9.0.100")
	o.awaits(a, time.Now())
	begin := time.Now()
	e.do(a)
	if e.moves {
		e.moved(t, o, a, b, begin, p)
	} else {
		passes(t, 2*p.down())
		after, err := a.status()
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range after.Election.Routers {
			if r.State != vrrp.Master || r.Since != before.Election.Routers[i].Since {
				t.Errorf("%v moved: %v since %v", r.Router.Key, r.State, r.Since)
			}
		}
		o.quiet(b, begin, time.Now(), "nothing shall move")
	}
	if now := a.leftovers(balanced); (now == "") != (balanced && e.removed) || now != "" && now != left {
		t.Errorf("programmed: %q, before %q, to be removed: %v", now, left, e.removed)
	}
	if e.undo == nil {
		return
	}

	begin = time.Now()
	e.undo(a)
	a.await("owns the addresses again", func() bool { return a.owns() && b.clean() })
	o.awaits(a, begin)
	passes(t, 4*p.advert)
	if d := o.overlap(b, a, begin); d > p.advert+p.slack {
		t.Errorf("on return two nodes answered for %v", d)
	}
	a.await("is ready again", a.ready)
	if now := a.leftovers(balanced); now != left {
		t.Errorf("programmed again: %q, before %q", now, left)
	}
}

// leftovers is what outlives processes: the service in the kernel with its
// masquerading, or the NGINX that serves. "" where it is removed.
func (h *host) leftovers(balanced bool) string {
	h.t.Helper()
	if !balanced {
		return fmt.Sprint("NGINX ", h.nginx())
	}
	var found []string
	for line := range strings.Lines(h.node.Run(h.t, "ipvsadm", "-Sn") + h.node.Run(h.t, "nft", "list", "tables")) {
		if strings.HasPrefix(line, "-A -t 10.9.0.100:7000") || line == "table ip harmony\n" {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return strings.Join(found, ", ")
}

// moved checks that the addresses have moved, with two nodes answering for no
// longer than a peer needs to see that one is gone.
func (e event) moved(t *testing.T, o *observer, a, b *host, begin time.Time, p pace) {
	taken := o.awaits(b, begin)
	b.await("owns the addresses", b.owns)
	switch {
	case !e.silent:
		a.await("has none of them", a.clean)
	case !a.owns():
		t.Error("the addresses are gone")
	}
	passes(t, p.down())
	overlap := o.overlap(a, b, begin)
	t.Logf("the peer answers after %v; both did for %v", taken.Sub(begin).Round(time.Millisecond), max(overlap, 0))
	if overlap > p.down() {
		t.Errorf("two nodes answered for %v", overlap)
	}
}

// serveNGINX runs NGINX's supervisor beside the agent.
func (h *host) serveNGINX() {
	path, err := harmony()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := h.node.Command(h.t.Context(), path, "nginx", "--run-dir", string(h.dir))
	cmd.Stderr = h.t.Output()
	if err := h.node.Start(cmd); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // before the folders go
		_ = cmd.Wait()
	})
}

// nginx is the process of NGINX that serves what the agent wants.
func (h *host) nginx() (pid int) {
	h.t.Helper()
	h.await("has its NGINX", func() bool {
		s, err := nginxconf.ReadStatus(string(h.dir))
		pid = s.PID
		return err == nil && s.Served != "" && s.Served == s.Wanted && syscall.Kill(pid, 0) == nil
	})
	return pid
}

func (h *host) reload() {
	before, _ := h.status()
	h.signal(syscall.SIGHUP, h.cmd.Process.Pid)
	h.await("has reloaded", func() bool {
		s, err := h.status()
		return err == nil && s.Worker.Source.Reloads > before.Worker.Source.Reloads
	})
}

func (h *host) crashWorker() {
	before, _ := h.status()
	h.kill(before.Worker.PID)
	h.await("has a new worker", func() bool {
		s, err := h.status()
		return err == nil && s.Worker.Ready && s.Worker.PID != before.Worker.PID
	})
}

// ownBinary gives the host a copy of the program that can be replaced.
func (h *host) ownBinary() {
	h.binary = filepath.Join(h.t.TempDir(), "harmony")
	h.replaceBinary()
}

func (h *host) replaceBinary() {
	h.t.Helper()
	path, err := harmony()
	if err != nil {
		h.t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err := errors.Join(err, os.WriteFile(h.binary+".new", data, 0o755), os.Rename(h.binary+".new", h.binary)); err != nil {
		h.t.Fatal(err)
	}
}

// upgradeWorker replaces the program under the agent, which goes on, and
// gives it a worker of the new one.
func (h *host) upgradeWorker() {
	h.replaceBinary()
	h.crashWorker()
	s, _ := h.status()
	for pid, replaced := range map[int]bool{s.Election.PID: true, s.Worker.PID: false} {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil || strings.HasSuffix(exe, " (deleted)") != replaced {
			h.t.Errorf("process %d runs %s, %v", pid, exe, err)
		}
	}
}

func (h *host) crashElector() {
	s, _ := h.status()
	h.kill(s.Election.PID)
	<-h.exited
	lab.Poll(h.t, 5*time.Second, "the worker has ended", func() bool {
		return errors.Is(syscall.Kill(s.Worker.PID, 0), syscall.ESRCH)
	})
}

func (h *host) stop() {
	h.signal(syscall.SIGTERM, h.cmd.Process.Pid)
	if <-h.exited; h.err != nil {
		h.t.Errorf("exit: %v", h.err)
	}
}

func (h *host) keep() { h.args = append(h.args, "--keep") }

// enterCgroup gives the agent a control group (v2) of its own, if one can be
// made here.
func (h *host) enterCgroup() {
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		dir := filepath.Join(root, fmt.Sprintf("harmony-test-%d", os.Getpid()))
		if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil || os.Mkdir(dir, 0o755) != nil {
			continue
		}
		file, err := os.Open(dir)
		if err != nil {
			h.t.Fatal(err)
		}
		h.cgroup = file
		h.t.Cleanup(func() {
			_ = file.Close()
			lab.Poll(h.t, 5*time.Second, "the control group is empty", func() bool {
				err := os.Remove(dir)
				return err == nil || errors.Is(err, fs.ErrNotExist)
			})
		})
		return
	}
}

// killCgroup kills elector and worker at once; nothing else is in the group.
func (h *host) killCgroup() {
	s, _ := h.status()
	err := fs.ErrNotExist
	if h.cgroup != nil {
		err = os.WriteFile(filepath.Join(h.cgroup.Name(), "cgroup.kill"), []byte("1"), 0)
	}
	if err != nil {
		h.t.Logf("no cgroup.kill (%v): two signals instead", err)
		h.kill(s.Worker.PID, s.Election.PID)
	}
	<-h.exited
	h.cgroup = nil
}

func (h *host) stallElector() {
	s, _ := h.status()
	h.stalled = s.Election.PID
	h.signal(syscall.SIGSTOP, h.stalled)
}

func (h *host) stallWorker() {
	s, _ := h.status()
	h.stalled = s.Worker.PID
	h.signal(syscall.SIGSTOP, h.stalled)
}

func (h *host) resume() { h.signal(syscall.SIGCONT, h.stalled) }
