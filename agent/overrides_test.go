package agent

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"harmony/vrrp"
)

func TestCompose(t *testing.T) {
	wish := []vrrp.Router{
		{Key: vrrp.Key{Name: "edge", Family: vrrp.IPv4}, Priority: vrrp.Priority{Base: 150}, Preempt: vrrp.PreemptNever},
		{Key: vrrp.Key{Name: "owner", Family: vrrp.IPv4}, Priority: vrrp.Priority{Base: 255}},
	}
	for _, tt := range []struct {
		name    string
		orders  Overrides
		silent  time.Duration
		edge    uint8
		owner   uint8
		preempt vrrp.PreemptMode
	}{
		{"as wished", nil, 0, 150, 255, vrrp.PreemptNever},
		{"within the lease", nil, leaseTime - 1, 150, 255, vrrp.PreemptNever},
		{"lease run out", nil, leaseTime, 1, 255, vrrp.PreemptNever},
		{"yield", Overrides{"edge": Yield}, 0, 1, 255, vrrp.PreemptNever},
		{"claim takes even without preemption", Overrides{"edge": Claim}, 0, 254, 255, vrrp.PreemptAlways},
		{"claim by a node whose worker is silent", Overrides{"edge": Claim}, leaseTime, 204, 255, vrrp.PreemptAlways},
		{"drained", Overrides{allRouters: Yield}, 0, 1, 1, vrrp.PreemptNever},
		{"drained, in spite of a claim", Overrides{allRouters: Yield, "edge": Claim}, 0, 1, 1, vrrp.PreemptNever},
		{"an address owner yields", Overrides{"owner": Yield}, 0, 150, 1, vrrp.PreemptNever},
		{"order for another router", Overrides{"other": Yield}, 0, 150, 255, vrrp.PreemptNever},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := compose(wish, tt.orders, tt.silent)
			if p := got[0].Priority.Effective(); p != tt.edge {
				t.Errorf("edge: priority %d, want %d", p, tt.edge)
			}
			if p := got[1].Priority.Effective(); p != tt.owner {
				t.Errorf("owner: priority %d, want %d", p, tt.owner)
			}
			if got[0].Preempt != tt.preempt {
				t.Errorf("preempt %v, want %v", got[0].Preempt, tt.preempt)
			}
			if len(wish[0].Priority.Terms) > 0 || wish[0].Preempt != vrrp.PreemptNever {
				t.Error("compose changed its input")
			}
		})
	}
}

func TestCheckTarget(t *testing.T) {
	nodes := map[string]uint8{"edge-1": 150, "edge-2": 140, "edge-3": 130, "edge-4": 130}
	for _, tt := range []struct {
		name, self, to, want string
	}{
		{"anyone", "edge-1", "", ""},
		{"next in line", "edge-1", "edge-2", ""},
		{"first from the middle", "edge-2", "edge-1", ""},
		{"not the next", "edge-1", "edge-3", "edge-2 (priority 140) would take over, not edge-3 (priority 130): run `harmony failover edge --to edge-3` on edge-3 instead"},
		{"unknown", "edge-1", "edge-9", "virtual router edge lists no node edge-9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := checkTarget("edge", nodes, tt.self, tt.to); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	nodes := map[string]uint8{"a": 150, "b": 150, "c": 100}
	peer := func(priority uint8) vrrp.Peer {
		return vrrp.Peer{Addr: netip.MustParseAddr("10.0.0.3"), Priority: priority}
	}
	for _, tt := range []struct {
		name, self string
		owner      vrrp.Peer
		want       string
	}{
		{"nobody heard", "a", vrrp.Peer{}, "not known"},
		{"the only one with this priority", "a", peer(100), "10.0.0.3, which advertises 100 as c does"},
		{"we have it too", "a", peer(150), "10.0.0.3, which advertises 150 as b does"},
		{"two have it", "c", peer(150), "10.0.0.3"},
		{"nobody has it", "a", peer(99), "10.0.0.3"},
	} {
		if got := describe(tt.owner, nodes, tt.self); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
