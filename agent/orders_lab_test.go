package agent_test

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"harmony/agent"
	"harmony/bench/lab"
)

func TestLabFailover(t *testing.T) {
	net := lab.New(t)
	a, b := newHost(t, net, "a", "10.9.0.1/24", 150), newHost(t, net, "b", "10.9.0.2/24", 100)
	a.await("owns the addresses", a.owns)
	a.await("is ready", a.ready)
	b.await("is ready", b.ready)
	ask := func(h *host, r agent.Request) error {
		r.Command = "failover"
		_, err := agent.Ask(t.Context(), h.dir, r)
		return err
	}
	for _, tt := range []struct {
		name string
		h    *host
		req  agent.Request
		want string
	}{
		{"unknown router", a, agent.Request{Router: "none"}, `no virtual router "none" on this node; there is: edge`},
		{"not the owner", b, agent.Request{Router: "edge"}, "this node does not own edge: its owner is 10.9.0.1; run `harmony failover edge` there"},
		{"not the owner, and a node", b, agent.Request{Router: "edge", To: "c"}, "this node does not own edge: run `harmony failover edge --to c` on c"},
	} {
		var refused *agent.RefusedError
		if err := ask(tt.h, tt.req); !errors.As(err, &refused) || refused.Reason != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if err := ask(a, agent.Request{Router: "edge"}); err != nil {
		t.Fatal(err)
	}
	a.await("has handed over", func() bool { return b.owns() && a.clean() })
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-a.exited
	a.start()
	a.await("is ready", a.ready)
	if s, _ := a.status(); s.Election.Overrides["edge"] != agent.Yield || !b.owns() {
		t.Errorf("the order does not survive a restart: %v", s.Election.Overrides)
	}
	if err := ask(a, agent.Request{Router: "edge", Undo: true}); err != nil {
		t.Fatal(err)
	}
	a.await("has taken back", func() bool { return a.owns() && b.clean() })
	if err := ask(b, agent.Request{Router: "edge", To: "b"}); err != nil {
		t.Fatal(err)
	}
	b.await("has claimed", func() bool { return b.owns() && a.clean() })
}

func TestLabFailoverAloneIsRefused(t *testing.T) {
	h := newHost(t, lab.New(t), "a", "10.9.0.1/24", 150)
	h.await("owns the addresses", h.owns)
	h.await("is ready", h.ready)
	_, err := agent.Ask(t.Context(), h.dir, agent.Request{Command: "failover", Router: "edge"})
	if refused := (*agent.RefusedError)(nil); !errors.As(err, &refused) {
		t.Errorf("failover without a peer: %v", err)
	}
	if s, _ := h.status(); len(s.Election.Overrides) > 0 || !h.owns() {
		t.Errorf("a refused failover has changed something: %v", s.Election.Overrides)
	}
}

// second is a router beside "edge", on a host of one's choice.
func second(text string) string {
	return strings.NewReplacer("{name: edge}", "{name: second}", "vrid: 51", "vrid: 52", "10.9.0.100", "10.9.0.101", "fd09::100", "fd09::101").Replace(text)
}

func TestLabDrain(t *testing.T) {
	net := lab.New(t)
	a, b := newHost(t, net, "a", "10.9.0.1/24", 150), newHost(t, net, "b", "10.9.0.2/24", 100)
	a.await("owns the addresses", a.owns)
	a.await("is ready", a.ready)
	b.await("is ready", b.ready)
	ask := func(command, node string) (agent.Response, error) {
		return agent.Ask(t.Context(), a.dir, agent.Request{Command: command, Node: node})
	}
	var refused *agent.RefusedError
	if _, err := ask("drain", "b"); !errors.As(err, &refused) || refused.Reason != "this agent is node a: run `harmony drain b` on b" {
		t.Errorf("drain of another node: %v", err)
	}
	if resp, err := ask("drain", "a"); err != nil || len(resp.Left) > 0 {
		t.Fatalf("drain: %+v, %v", resp, err)
	}
	if !b.owns() {
		t.Error("drained, and the peer does not own the addresses")
	}
	a.await("has handed over", a.clean)

	// A router that is new on a drained node is the peer's too, and one that
	// only the drained node has is served all the same.
	a.write("second.yaml", second(router(200)))
	b.write("second.yaml", second(router(100)))
	has := func(h *host, addr string) bool {
		return strings.Contains(h.node.Run(t, "ip", "-o", "addr", "show", "dev", "eth0"), addr)
	}
	b.await("owns the new router", func() bool { return has(b, "10.9.0.101/24") && !has(a, "10.9.0.101") })
	a.write("third.yaml", strings.NewReplacer("{name: second}", "{name: third}", "52", "53", "101", "102").Replace(second(router(200))))
	a.await("serves what only it has", func() bool { return has(a, "10.9.0.102/24") && has(a, "fd09::102/64") })
	if resp, err := ask("drain", "a"); err != nil || !slices.Equal(resp.Left, []string{"third"}) || !has(a, "10.9.0.102/24") {
		t.Errorf("drain of a router without a peer: left %v, %v", resp.Left, err)
	}
	if _, err := agent.Ask(t.Context(), a.dir, agent.Request{Command: "failover", Router: "edge", To: "a"}); !errors.As(err, &refused) || !strings.Contains(refused.Reason, "harmony undrain a") {
		t.Errorf("claim on a drained node: %v", err)
	}

	a.signal(syscall.SIGTERM, a.cmd.Process.Pid)
	<-a.exited
	a.start()
	a.await("is ready", a.ready)
	if s, _ := a.status(); !s.Election.Drained || !b.owns() {
		t.Errorf("the drain does not survive a restart: %+v", s.Election.Overrides)
	}
	if _, err := ask("undrain", "a"); err != nil {
		t.Fatal(err)
	}
	a.await("has taken back", func() bool { return a.owns() && has(a, "10.9.0.101/24") && b.clean() })
	if s, _ := a.status(); s.Election.Drained || len(s.Election.Overrides) > 0 {
		t.Errorf("orders after undrain: %v", s.Election.Overrides)
	}
}
