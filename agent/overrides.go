package agent

import (
	"fmt"
	"slices"
	"time"

	"harmony/vrrp"
)

// Override is an operator's standing order about one virtual router. It holds
// until it is undone and survives restarts.
type Override string

// The orders of `harmony failover`.
const (
	// Yield: this node is the last to own the router.
	Yield Override = "yield"
	// Claim: this node is the first to own the router.
	Claim Override = "claim"
)

// Overrides are the orders in force, by the virtual router's name.
type Overrides map[string]Override

// allRouters is the name under which Overrides keep the order of `harmony
// drain`: Yield for every virtual router, those included that are still to
// come. No router has this name.
const allRouters = "*"

// Drained says that this node yields every router.
func (o Overrides) Drained() bool { return o[allRouters] == Yield }

const (
	// overrideDelta takes any priority to the end of the range.
	overrideDelta = 254
	// leaseTime is how long the elector trusts the last word of a worker
	// before it tells the network that this node serves only as a last resort.
	leaseTime = 10 * time.Second
	// leasePenalty is what a node loses whose worker is silent: below any
	// healthy peer whose priority is within 200 of ours.
	leasePenalty = 200
)

// compose is the election that the engine shall run: the worker's wish, with
// the operator's orders and the lease as priority terms. silent is how long
// the worker has said nothing; under the lease it has no effect. An address
// owner that is told to yield is none meanwhile: its 255 would not.
func compose(wish []vrrp.Router, orders Overrides, silent time.Duration) []vrrp.Router {
	out := slices.Clone(wish)
	for i := range out {
		r := &out[i]
		r.Priority.Terms = slices.Clone(r.Priority.Terms)
		yield := "" // why
		switch order := orders[r.Name]; {
		case orders.Drained():
			yield = "drained"
		case order == Yield:
			yield = "failover override"
		case order == Claim:
			r.Priority.Terms = append(r.Priority.Terms, vrrp.Term{Reason: "failover override", Delta: overrideDelta})
			r.Preempt = vrrp.PreemptAlways // an order is carried out even where preemption is off
		}
		if yield != "" {
			r.Priority.Base = min(r.Priority.Base, 254)
			r.Priority.Terms = append(r.Priority.Terms, vrrp.Term{Reason: yield, Delta: -overrideDelta})
		}
		if silent >= leaseTime {
			r.Priority.Terms = append(r.Priority.Terms, vrrp.Term{Reason: "worker silent", Delta: -leasePenalty})
		}
	}
	return out
}

// next says which node is expected to own router after self yields: the
// highest priority among the others, by name where equal. ok is false where
// nobody else is listed.
func next(nodes map[string]uint8, self string) (node string, ok bool) {
	for n, p := range nodes {
		if n == self {
			continue
		}
		if !ok || p > nodes[node] || p == nodes[node] && n < node {
			node, ok = n, true
		}
	}
	return node, ok
}

// describe says who owns a router that we do not: the address that advertises
// it, and the node which that must be, where only one has this priority.
func describe(owner vrrp.Peer, nodes map[string]uint8, self string) string {
	if !owner.Addr.IsValid() {
		return "not known"
	}
	var named []string
	for n, p := range nodes {
		if n != self && p == owner.Priority {
			named = append(named, n)
		}
	}
	if len(named) != 1 {
		return owner.Addr.String()
	}
	return fmt.Sprintf("%v, which advertises %d as %s does", owner.Addr, owner.Priority, named[0])
}

// checkTarget says why a hand-over from self cannot end at node to, or nil.
// VRRP has no way to name a successor: the highest priority takes over.
func checkTarget(router string, nodes map[string]uint8, self, to string) error {
	if to == "" {
		return nil
	}
	if _, known := nodes[to]; !known {
		return fmt.Errorf("virtual router %s lists no node %s", router, to)
	}
	if n, ok := next(nodes, self); ok && n != to {
		return fmt.Errorf("%s (priority %d) would take over, not %s (priority %d): run `harmony failover %s --to %s` on %s instead",
			n, nodes[n], to, nodes[to], router, to, to)
	}
	return nil
}
