package cluster

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRoutes: routes and rules reach the election of their family, and what
// cannot be is refused.
func TestRoutes(t *testing.T) {
	const both = "addresses: [10.0.0.100/24, 'fd00::100/64'], "
	refused := func(field, text string) []string {
		return []string{"error Invalid VirtualRouter a " + field + ": " + text}
	}
	tests := []struct {
		name, objects string
		want          []string
		problems      []string
	}{
		{"by family, with defaults", router("a", both+"routes: [{destination: 10.1.0.0/16, via: 10.0.0.9}, {destination: 'fd01::/64'}, {destination: 10.2.0.0/16, type: Blackhole, table: 254}], "+
			"rules: [{priority: 1000, from: 10.0.0.100/32, table: 100}, {priority: 1001, fwmark: 7, inputInterface: eth0, table: 100}]"),
			[]string{
				"a/IPv4 10.1.0.0/16 via 10.0.0.9", "a/IPv4 blackhole 10.2.0.0/16", "a/IPv4 1000: from 10.0.0.100/32 table 100", "a/IPv4 1001: from all fwmark 7 iif eth0 table 100",
				"a/IPv6 fd01::/64 dev eth0", "a/IPv6 1001: from all fwmark 7 iif eth0 table 100",
			}, nil},
		{"all that a route has", router("a", "routes: [{destination: 0.0.0.0/0, via: 10.0.0.9, interface: eth1, source: 10.0.0.100, table: 100, metric: 5}]"),
			[]string{"a/IPv4 0.0.0.0/0 via 10.0.0.9 dev eth1 src 10.0.0.100 table 100 metric 5"}, nil},
		{"no election in its family", router("a", "routes: [{destination: 'fd01::/64'}]"), nil,
			refused("spec.routes[0].destination", "fd01:: has no owner: spec.addresses has none of IPv6")},
		{"host bits", router("a", "routes: [{destination: 10.1.2.3/16}]"), nil,
			refused("spec.routes[0].destination", `"10.1.2.3/16" has bits behind its prefix length: the network is 10.1.0.0/16`)},
		{"no network", router("a", "rules: [{priority: 1, from: here, table: 1}]"), nil,
			refused("spec.rules[0].from", `"here" is not a network, such as 10.1.0.0/16`)},
		{"a gateway of the other family", router("a", both+"routes: [{destination: 10.1.0.0/16, via: 'fd00::9'}]"), nil,
			refused("spec.routes[0].via", `"fd00::9" is not of the destination's family`)},
		{"a way out of a black hole", router("a", "routes: [{destination: 10.1.0.0/16, type: Blackhole, via: 10.0.0.9}]"), nil,
			refused("spec.routes[0].type", "Blackhole leads nowhere: remove via, interface and source")},
		{"unknown type", router("a", "routes: [{destination: 10.1.0.0/16, type: Throw}]"), nil,
			refused("spec.routes[0].type", `must be Unicast, Blackhole, Unreachable or Prohibit, not "Throw"`)},
		{"the kernel's own table", router("a", "routes: [{destination: 10.1.0.0/16, table: 255}]"), nil,
			[]string{"error OutOfRange VirtualRouter a spec.routes[0].table: 255 is the kernel's own: take another"}},
		{"twice", router("a", "routes: [{destination: 10.1.0.0/16}, {destination: 10.1.0.0/16, via: 10.0.0.9}]"), nil,
			[]string{"error Duplicate VirtualRouter a spec.routes[1].destination: the route 10.1.0.0/16 is there already"}},
		{"of two routers", router("a", "routes: [{destination: 10.1.0.0/16}]") + router("b", "vrid: 52, addresses: [10.0.0.101/24], routes: [{destination: 10.1.0.0/16, via: 10.0.0.9}]"),
			[]string{"a/IPv4 10.1.0.0/16 dev eth0"},
			[]string{"error Conflict VirtualRouter b spec.routes[0].destination: the route 10.1.0.0/16 belongs to VirtualRouter a"}},
		{"another metric is another route", router("a", "routes: [{destination: 10.1.0.0/16}, {destination: 10.1.0.0/16, metric: 9}]"),
			[]string{"a/IPv4 10.1.0.0/16 dev eth0", "a/IPv4 10.1.0.0/16 dev eth0 metric 9"}, nil},
		{"a rule for everything", router("a", "rules: [{priority: 1, table: 1}]"), nil,
			[]string{"error Required VirtualRouter a spec.rules[0]: one of from, to, fwmark and inputInterface is needed: a rule without them is for all packets"}},
		{"a rule of two families", router("a", both+"rules: [{priority: 1, from: 10.0.0.0/8, to: 'fd00::/8', table: 1}]"), nil,
			refused("spec.rules[0].to", "fd00::/8 is not of the same family as from, 10.0.0.0/8")},
		{"a mask of nothing, a priority of the kernel", router("a", "rules: [{priority: 32766, from: 10.0.0.0/8, fwmarkMask: 1, table: 1}]"), nil,
			[]string{
				"error Invalid VirtualRouter a spec.rules[0].fwmarkMask: belongs to fwmark: set it, or remove the mask",
				"error OutOfRange VirtualRouter a spec.rules[0].priority: must be from 1 to 32765, not 32766",
			}},
		{"no table", router("a", "rules: [{priority: 1, from: 10.0.0.0/8, table: 0}]"), nil,
			[]string{"error OutOfRange VirtualRouter a spec.rules[0].table: must be from 1 to 4294967295, not 0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, problems := Translate(snapshot(t, tt.objects))
			var got, texts []string
			for _, r := range state.Routers {
				for _, route := range r.Routes {
					got = append(got, r.Key.String()+" "+route.String())
				}
				for _, rule := range r.Rules {
					got = append(got, r.Key.String()+" "+rule.String())
				}
			}
			for _, p := range problems {
				texts = append(texts, fmt.Sprintf("%s %s %s %s: %s", p.Severity, p.Code, p.Object, p.Field, p.Text))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.problems, texts); diff != "" {
				t.Errorf("problems (-want +got)\n%s", diff)
			}
		})
	}
}
