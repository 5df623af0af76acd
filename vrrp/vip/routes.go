package vip

import (
	"maps"
	"slices"
	"strings"

	"harmony/vrrp"
)

// Routing are the routes and rules of one router.
type Routing struct {
	Routes []vrrp.Route `json:"routes,omitempty"`
	Rules  []vrrp.Rule  `json:"rules,omitempty"`
}

// routing knows which routes and rules shall be there, and which of ours are.
// It is a pure value without locks.
type routing struct {
	wanted  map[vrrp.Key]Routing
	next    map[vrrp.Key]Routing // what is to be wanted once the journal names it
	serving []vrrp.Key           // who owns addresses
	routes  map[vrrp.Route]bool  // ours in the kernel, as far as we know
	rules   map[vrrp.Rule]bool
}

// due are the routes and rules that shall be there now.
func (r *routing) due() (routes map[vrrp.Route]bool, rules map[vrrp.Rule]bool) {
	return of(r.wanted, r.serving)
}

// all are those that may be there at any time: what the journal has to name.
func (r *routing) all() Routing {
	routes, rules := of(r.wanted, slices.Collect(maps.Keys(r.wanted)))
	more, moreRules := of(r.next, slices.Collect(maps.Keys(r.next)))
	for _, m := range []map[vrrp.Route]bool{more, r.routes} {
		maps.Copy(routes, m)
	}
	for _, m := range []map[vrrp.Rule]bool{moreRules, r.rules} {
		maps.Copy(rules, m)
	}
	return Routing{
		Routes: slices.SortedFunc(maps.Keys(routes), func(a, b vrrp.Route) int { return strings.Compare(a.String(), b.String()) }),
		Rules:  slices.SortedFunc(maps.Keys(rules), compareRules),
	}
}

// of returns what those of wanted have that are named.
func of(wanted map[vrrp.Key]Routing, routers []vrrp.Key) (routes map[vrrp.Route]bool, rules map[vrrp.Rule]bool) {
	routes, rules = map[vrrp.Route]bool{}, map[vrrp.Rule]bool{}
	for _, key := range routers {
		for _, route := range wanted[key].Routes {
			routes[route] = true
		}
		for _, rule := range wanted[key].Rules {
			rules[rule] = true
		}
	}
	return routes, rules
}

func compareRules(a, b vrrp.Rule) int {
	if c := int(a.Family) - int(b.Family); c != 0 {
		return c
	}
	return strings.Compare(a.String(), b.String())
}

// missing returns the keys of a that are not in b.
func missing[K comparable](a, b map[K]bool) []K {
	var out []K
	for k := range a {
		if !b[k] {
			out = append(out, k)
		}
	}
	return out
}
