// Package cluster decides: Translate turns a Snapshot into the wanted State of
// the whole edge, and Plan turns State and this node's Facts into the NodePlan
// that the actuators apply. Both are pure: same input, same output. Settle is
// Translate for a running daemon: what is refused keeps its last good version.
package cluster

import (
	"maps"
	"net/netip"
	"slices"

	"harmony/check"
	"harmony/ipvs"
	"harmony/nft"
	"harmony/nginxconf"
	"harmony/notify"
	"harmony/script"
	"harmony/source"
	"harmony/vrrp"
)

// Facts is what a node knows that the objects do not say.
type Facts struct {
	Node string // this node's name, as objects refer to it
	// Down holds the checks whose verdict is down. A check that is absent is
	// up: a real server takes traffic until its check has failed.
	Down map[check.Spec]bool
	// Tracked holds what is known of what routers track, and Active the routers
	// that take part in the election now: neither stopped nor in FAULT.
	Tracked map[check.Spec]check.Verdict
	Active  map[vrrp.Key]bool
}

// NodePlan is the whole desired state of one node. Every actuator takes its
// part whole; slices are sorted, so equal decisions are equal bytes.
type NodePlan struct {
	Routers    []vrrp.Router    `json:"routers"`
	Services   []ipvs.Service   `json:"services"`
	Masquerade []nft.Endpoint   `json:"masquerade"`
	Firewall   nft.Guard        `json:"firewall,omitzero"`
	Checks     []check.Spec     `json:"checks"`
	Scripts    []script.Script  `json:"scripts"` // that checks may name
	NGINX      nginxconf.Config `json:"nginx"`
	Notify     notify.Config    `json:"notify"`
	Gossip     *Gossip          `json:"gossip,omitempty"`
}

// Plan returns what a node shall be. A real server whose check is down is not in
// it, even if none is left, as with keepalived; the Problems are those that only
// a node can see.
func Plan(s State, f Facts) (NodePlan, []source.Problem) {
	p := NodePlan{Gossip: s.Gossip, NGINX: s.NGINX, Scripts: s.Scripts, Notify: notifications(s)}
	checks := make(map[check.Spec]bool)
	for _, r := range s.Routers {
		own := r.Router
		own.Priority = vrrp.Priority{Base: r.Priority}
		if base, ok := r.Priorities[f.Node]; ok {
			own.Priority.Base = base
		}
		r.follow(&own, f)
		for _, t := range r.Trackers {
			checks[t.Check] = true
		}
		p.Routers = append(p.Routers, own)
	}
	var problems []source.Problem
	for _, svc := range s.Services {
		up := svc.Service
		up.Destinations = nil
		for _, d := range svc.Destinations {
			spec, checked := svc.check(d)
			if checked {
				checks[spec] = true
			}
			if !f.Down[spec] {
				up.Destinations = append(up.Destinations, d)
			}
		}
		if len(up.Destinations) == 0 && len(svc.Destinations) > 0 {
			r := source.Report{Object: svc.Object}
			r.Warn("", source.CodeAllDown, "all %d real servers are down: connections to %s are refused", len(svc.Destinations), svc.Key)
			problems = append(problems, r.Problems...)
		}
		p.Services = append(p.Services, up)
		if svc.Masquerade {
			p.Masquerade = append(p.Masquerade, nft.Endpoint{Address: svc.Address, Port: svc.Port, Protocol: uint8(svc.Protocol)})
		}
	}
	p.Firewall = guard(s, p)
	p.Checks = slices.SortedFunc(maps.Keys(checks), check.Spec.Compare)
	return p, problems
}

func addrPort(d ipvs.Destination) netip.AddrPort { return netip.AddrPortFrom(d.Address, d.Port) }
