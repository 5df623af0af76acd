package vrrp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"harmony/bench/lab"
	"harmony/vrrp"
)

// TestLabOurselves: two of our nodes, one router of both families, hand over
// to each other and stop.
func TestLabOurselves(t *testing.T) {
	lab.Require(t, "root")
	n := lab.New(t)
	nodes := map[string]*lab.Node{"a": n.Node("a", "10.0.0.1/24"), "b": n.Node("b", "10.0.0.2/24")}
	engines := map[string]*vrrp.Engine{}
	var routers []vrrp.Router
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		r := cell{family: f}.router(100)
		r.Preempt = vrrp.PreemptNever // or the higher address might take back what it has given
		routers = append(routers, r)
	}
	for name, nd := range nodes {
		engines[name] = startEngine(t, nd)
	}
	owner := func(name string) {
		t.Helper()
		lab.Poll(t, patience, name+" alone owns both families", func() bool {
			for other, e := range engines {
				want := map[bool]vrrp.State{true: vrrp.Master, false: vrrp.Backup}[other == name]
				for _, s := range e.Status() {
					if s.State != want {
						return false
					}
				}
				shown := nodes[other].Run(t, "ip", "-o", "addr", "show", "dev", "eth0")
				for _, r := range routers {
					if strings.Contains(shown, r.Addresses[0].String()) != (other == name) {
						return false
					}
				}
			}
			return true
		})
	}
	if err := engines["a"].Set(routers); err != nil {
		t.Fatal(err)
	}
	lab.Poll(t, patience, "a is master", func() bool {
		s := engines["a"].Status()
		return s[0].State == vrrp.Master && s[1].State == vrrp.Master
	})
	if err := engines["b"].Set(routers); err != nil {
		t.Fatal(err)
	}
	owner("a")
	for range 3 {
		for _, from := range []string{"a", "b"} {
			if err := engines[from].HandOver(t.Context(), "web"); err != nil {
				t.Fatal(err)
			}
			owner(map[string]string{"a": "b", "b": "a"}[from])
		}
	}
	for name, e := range engines {
		for _, s := range e.Status() {
			if s.Problem != "" || len(s.Counters.Dropped) > 0 || s.Counters.Received == 0 || s.Counters.Sent == 0 {
				t.Errorf("%s: %+v", name, s)
			}
		}
	}
	if err := engines["a"].Stop(t.Context()); err != nil {
		t.Error(err)
	}
	delete(engines, "a")
	owner("b")
}

// TestLabInterfaces: a router waits for its interface, and follows it when it
// is deleted and made anew.
func TestLabInterfaces(t *testing.T) {
	lab.Require(t, "root")
	nd := lab.New(t).Node("a", "10.0.0.1/24")
	e := startEngine(t, nd)
	late := cell{family: vrrp.IPv4}.router(200)
	late.Interface = "late0"
	late.Addresses = []netip.Prefix{netip.MustParsePrefix("10.9.0.100/24")}
	other := cell{family: vrrp.IPv4}.router(200)
	other.Name, other.VRID = "other", 52
	if err := e.Set([]vrrp.Router{late, other}); err != nil {
		t.Fatal(err)
	}
	expect := func(what string, state vrrp.State) vrrp.RouterStatus {
		t.Helper()
		var s vrrp.RouterStatus
		lab.Poll(t, patience, what, func() bool {
			s = e.Status()[1]
			return s.State == state
		})
		return s
	}
	if s := expect("waits for its interface", vrrp.Fault); s.Cause != vrrp.Startup {
		t.Errorf("want cause %v, got %v", vrrp.Startup, s.Cause)
	}
	for range 2 {
		nd.Run(t, "ip", "link", "add", "late0", "type", "veth", "peer", "name", "far0")
		nd.Run(t, "ip", "link", "set", "far0", "up")
		nd.Run(t, "ip", "link", "set", "late0", "up")
		nd.Run(t, "ip", "addr", "add", "10.9.0.1/24", "dev", "late0")
		sent := expect("comes up", vrrp.Master).Counters.Sent
		lab.Poll(t, patience, "adverts on the new interface", func() bool {
			s := e.Status()[1]
			return s.Counters.Sent > sent+5 && s.Problem == ""
		})
		nd.Run(t, "ip", "addr", "del", "10.9.0.1/24", "dev", "late0")
		if s := expect("has no source", vrrp.Fault); s.Cause != vrrp.NoSource {
			t.Errorf("want cause %v, got %v", vrrp.NoSource, s.Cause)
		}
		nd.Run(t, "ip", "addr", "add", "10.9.0.1/24", "dev", "late0")
		expect("comes back", vrrp.Master)
		nd.Run(t, "ip", "link", "del", "late0")
		if s := expect("misses its interface", vrrp.Fault); s.Cause != vrrp.LinkDown {
			t.Errorf("want cause %v, got %v", vrrp.LinkDown, s.Cause)
		}
	}
	if s := e.Status()[0]; s.State != vrrp.Master || s.Counters.Transitions != 2 {
		t.Errorf("the router beside it was disturbed: %+v", s)
	}
}

// TestLabEngine: what callers rely on, without a network.
func TestLabEngine(t *testing.T) {
	lab.Require(t, "root")
	e := startEngine(t, lab.New(t).Node("a", "10.0.0.1/24"))
	good, bad := cell{family: vrrp.IPv4}.router(200), cell{family: vrrp.IPv4}.router(0)
	bad.Name = "bad"
	err := e.Set([]vrrp.Router{bad, good})
	if err == nil || !strings.Contains(err.Error(), "router bad/IPv4: priority 0") {
		t.Errorf("want an error for the bad router, got %v", err)
	}
	lab.Poll(t, patience, "the good one runs", func() bool { return status(t, e).State == vrrp.Master })

	before := e.Status()
	text, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	var after []vrrp.RouterStatus
	if err := json.Unmarshal(text, &after); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateApproxTime(time.Millisecond)); diff != "" {
		t.Errorf("status by way of JSON (-before +after):\n%s", diff)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.HandOver(ctx, "web"); !errors.Is(err, context.Canceled) {
		t.Errorf("hand-over without time: %v", err)
	}
	if err := e.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := e.Stop(t.Context()); err != nil {
		t.Errorf("stopped twice: %v", err)
	}
	if err := e.Set(nil); !errors.Is(err, vrrp.ErrStopped) {
		t.Errorf("after the end: %v", err)
	}
	if err := e.HandOver(t.Context(), "web"); !errors.Is(err, vrrp.ErrStopped) {
		t.Errorf("after the end: %v", err)
	}
	if s := e.Status(); s != nil {
		t.Errorf("after the end: %v", fmt.Sprint(s))
	}
}
