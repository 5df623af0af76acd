package agent_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"harmony/agent"
	"harmony/bench/lab"
	"harmony/bench/probe"
	"harmony/vrrp"
)

// restart asks an agent to end for the next one, and waits until it has.
func (h *host) restart() {
	h.t.Helper()
	if _, err := agent.Ask(h.t.Context(), h.dir, agent.Request{Command: "restart"}); err != nil {
		h.t.Fatal(err)
	}
	if <-h.exited; h.err != nil {
		h.t.Errorf("exit: %v", h.err)
	}
}

// master says whether the host owns the router in both families.
func (h *host) master() bool {
	s, err := h.status()
	if err != nil || len(s.Election.Routers) != 2 {
		return false
	}
	return s.Election.Routers[0].State == vrrp.Master && s.Election.Routers[1].State == vrrp.Master
}

// ask loads the address with UDP from a client of its own; hosts answer.
func ask(t *testing.T, n *lab.Net, hosts ...*host) *probe.Load {
	t.Helper()
	const target = "10.9.0.100:7777"
	for _, h := range hosts {
		if _, err := probe.Serve(t.Context(), h.node, probe.Spec{Role: "echo", Target: target, Name: h.node.Name()}); err != nil {
			t.Fatal(err)
		}
	}
	load, err := probe.Start(t.Context(), n.Node("client", "10.9.0.8/24"), probe.Spec{
		Role: "udp", Target: target, Interval: time.Millisecond, Timeout: 500 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(load.Stop)
	lab.Poll(t, 10*time.Second, "the client is served", func() bool {
		w := load.Window("udp", time.Now().Add(-300*time.Millisecond), time.Now())
		return w.Sent > 50 && w.Lost == 0
	})
	return load
}

// Alone in the network a restart costs nothing to those who know the way, and
// the address contests nobody's ownership meanwhile.
func TestLabRestartAloneInheritsTheAddresses(t *testing.T) {
	lab.Require(t, "root", "ip", "nft")
	n := lab.New(t)
	a := newHost(t, n, "a", "10.9.0.1/24", 150)
	a.await("owns the addresses", a.owns)
	a.await("is ready", a.ready)
	load, o := ask(t, n, a), observe(t, n, "10.9.0.9", "10.9.0.100")
	begin := time.Now()
	o.awaits(a, begin)
	a.restart()
	ended := time.Now()
	if !a.owns() {
		t.Error("the addresses have left the interface")
	}
	if out := a.node.Run(t, "ip", "-o", "addr", "show", "dev", "eth0"); strings.Count(out, "sec preferred_lft") < 2 {
		t.Errorf("what is left would stay for ever:\n%s", out)
	}
	passes(t, 200*time.Millisecond)
	a.start()
	o.quiet(a, ended.Add(askEvery), time.Now(), "between two lives")
	back := o.awaits(a, ended.Add(askEvery))
	a.await("is master", a.master)
	a.await("is ready", a.ready)
	end := time.Now()
	lab.Poll(t, 5*time.Second, "all probes are settled", func() bool { return load.Settled(end) })
	w := load.Window("udp", begin, end)
	t.Logf("%d of %d datagrams lost over a restart; silent for %v", w.Lost, w.Sent, back.Sub(ended))
	if w.Lost > 0 {
		t.Errorf("%d of %d datagrams lost, dark for %v", w.Lost, w.Sent, w.Dark)
	}
	if out := a.node.Run(t, "ip", "-o", "addr", "show", "dev", "eth0"); strings.Contains(out, "sec preferred_lft") {
		t.Errorf("an address that is owned ends:\n%s", out)
	}
	a.signal(syscall.SIGTERM, a.cmd.Process.Pid)
	<-a.exited
	if !a.clean() {
		t.Error("a stop leaves addresses behind")
	}
	if out := a.node.Run(t, "nft", "list", "tables"); strings.Contains(out, "harmony") {
		t.Errorf("a stop leaves tables behind:\n%s", out)
	}
}

// Whoever has become the owner between two lives stays it.
func TestLabRestartContestsNobody(t *testing.T) {
	lab.Require(t, "root", "ip", "nft")
	n := lab.New(t)
	a := newHost(t, n, "a", "10.9.0.1/24", 150)
	a.await("owns the addresses", a.owns)
	a.await("is ready", a.ready)
	a.restart()
	ended := time.Now()
	o := observe(t, n, "10.9.0.9", "10.9.0.100")
	b := newHost(t, n, "b", "10.9.0.2/24", 100)
	b.await("owns the addresses", b.owns)
	a.write("router.yaml", router(50))
	a.start()
	a.await("has given up what it had left", a.clean)
	a.await("is ready", a.ready)
	o.quiet(a, ended, time.Now(), "another node is the owner")
	if !b.owns() {
		t.Error("the owner has changed")
	}
}

// With a peer a restart is two planned hand-overs, and loses nothing.
func TestLabRestartHandsOverFirst(t *testing.T) {
	a, b, o := pair(t)
	load := ask(t, o.net, a, b)
	begin := time.Now()
	a.restart()
	if !a.clean() || !b.owns() {
		t.Error("after a restart's end the peer must have the addresses, and only it")
	}
	a.start()
	a.await("has taken back", func() bool { return a.owns() && b.clean() })
	end := time.Now()
	lab.Poll(t, 5*time.Second, "all probes are settled", func() bool { return load.Settled(end) })
	if w := load.Window("udp", begin, end); w.Lost > 0 {
		t.Errorf("%d of %d datagrams lost, dark for %v", w.Lost, w.Sent, w.Dark)
	}
}

// The fence silences the addresses of a killed elector; so they can stay until
// the peer has taken over, for those who know the way.
func TestLabKilledLosesNothing(t *testing.T) {
	for _, tt := range []struct {
		name string
		pids func(agent.Status) []int
	}{
		{"the elector", func(s agent.Status) []int { return []int{s.Election.PID} }},
		{"worker and elector", func(s agent.Status) []int { return []int{s.Worker.PID, s.Election.PID} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b, o := pair(t)
			load := ask(t, o.net, a, b)
			s, _ := a.status()
			begin := time.Now()
			a.kill(tt.pids(s)...)
			taken := o.awaits(b, begin)
			passes(t, 500*time.Millisecond)
			end := time.Now()
			lab.Poll(t, 5*time.Second, "all probes are settled", func() bool { return load.Settled(end) })
			w := load.Window("udp", begin, end)
			t.Logf("taken over after %v; %d of %d datagrams lost", taken.Sub(begin), w.Lost, w.Sent)
			if w.Lost > 0 {
				t.Errorf("dark for %v", w.Dark)
			}
			if d := o.overlap(a, b, begin); d > 0 {
				t.Errorf("both answered for %v", d)
			}
		})
	}
}
