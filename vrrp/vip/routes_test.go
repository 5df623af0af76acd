package vip

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/vrrp"
)

// TestRouting: the journal names what may be there before it is, and what is
// there as long as it is; due is what owners have.
func TestRouting(t *testing.T) {
	route := func(s string) vrrp.Route { return vrrp.Route{Destination: netip.MustParsePrefix(s)} }
	one, two, three, left := route("10.1.0.0/16"), route("10.2.0.0/16"), route("10.3.0.0/16"), route("10.4.0.0/16")
	rule := vrrp.Rule{Family: vrrp.IPv6, Priority: 7, Mark: 1, Table: 9}
	a, b := vrrp.Key{Name: "a", Family: vrrp.IPv4}, vrrp.Key{Name: "b", Family: vrrp.IPv6}
	r := routing{
		wanted:  map[vrrp.Key]Routing{a: {Routes: []vrrp.Route{one}}, b: {Routes: []vrrp.Route{two}, Rules: []vrrp.Rule{rule}}},
		next:    map[vrrp.Key]Routing{a: {Routes: []vrrp.Route{three}}},
		serving: []vrrp.Key{b},
		routes:  map[vrrp.Route]bool{left: true},
	}
	want := Routing{Routes: []vrrp.Route{one, two, three, left}, Rules: []vrrp.Rule{rule}}
	compare := cmp.Options{comparePrefixes, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })}
	if diff := cmp.Diff(want, r.all(), compare); diff != "" {
		t.Errorf("named (-want +got):\n%s", diff)
	}
	routes, rules := r.due()
	if len(routes) != 1 || !routes[two] || len(rules) != 1 || !rules[rule] {
		t.Errorf("due are %v, %v", routes, rules)
	}
	data, err := json.Marshal(journal{Version: journalVersion, Boot: "this", Routing: r.all()})
	if err != nil {
		t.Fatal(err)
	}
	j, err := parseJournal(data, "this")
	if diff := cmp.Diff(want, j.Routing, compare); diff != "" || err != nil {
		t.Errorf("journal (-want +got): %v\n%s", err, diff)
	}
	again := j.Routing.routing()
	if diff := cmp.Diff(want, again.all(), compare); diff != "" {
		t.Errorf("next life (-want +got):\n%s", diff)
	}
}
