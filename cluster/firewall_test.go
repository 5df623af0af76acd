package cluster

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/nft"
)

// site is an Ingress whose backend need not be there.
const site = "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: site, namespace: default}\n" +
	"spec: {rules: [{host: a.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: none, port: {number: 80}}}}]}}]}\n"

// TestFirewall: a guarded address takes what it is for.
func TestFirewall(t *testing.T) {
	tests := []struct {
		name, objects string
		want          string
		problems      []string
	}{
		{"open by default, as with keepalived", router("a", "") + service("s", ""), "[] []", nil},
		{"nothing behind it", router("a", "firewall: {mode: Services}"), "[10.0.0.100] []", nil},
		{"services on the address, and no others", router("a", "firewall: {mode: Services}") + service("s", "") + service("u", "protocol: UDP, port: 53") + service("v", "address: 10.0.0.101"),
			"[10.0.0.100] [10.0.0.100 6/7000 10.0.0.100 17/53]",
			[]string{"warning Unowned L4Service v spec.address: no VirtualRouter has the address 10.0.0.101: something else must bring it to a node"}},
		{"sites", router("a", "addresses: ['fd00::100/64', 10.0.0.100/24], firewall: {mode: Services}") + site,
			"[10.0.0.100 fd00::100] [10.0.0.100 6/80 10.0.0.100 6/443 fd00::100 6/80 fd00::100 6/443]",
			[]string{"error NotFound Ingress default/site spec.rules[0].http.paths[0].backend.service.name: there is no Service default/none: answers 503"}},
		{"more, and twice", router("a", "firewall: {mode: Services, allow: [{port: 22}, {protocol: UDP}, {port: 7000}]}") + service("s", ""),
			"[10.0.0.100] [10.0.0.100 6/22 10.0.0.100 6/7000 10.0.0.100 17/0]", nil},
		{"an owner's address is its own", router("a", "priority: 255, firewall: {mode: Services}"), "[] []", nil},
		{"beside an open one", router("a", "firewall: {mode: Services}") + router("b", "vrid: 52, addresses: [10.0.0.101/24]"), "[10.0.0.100] []", nil},
		{"ports without a guard", router("a", "firewall: {allow: [{port: 22}]}"), "[] []",
			[]string{"error Invalid VirtualRouter a spec.firewall.allow: belongs to mode Services: set spec.firewall.mode, or remove it"}},
		{"unknown mode", router("a", "firewall: {mode: Closed}"), "[] []",
			[]string{`error Invalid VirtualRouter a spec.firewall.mode: must be Open or Services, not "Closed"`}},
		{"unknown protocol, no port", router("a", "firewall: {mode: Services, allow: [{protocol: GRE}, {port: 0}]}"), "[] []",
			[]string{
				`error Invalid VirtualRouter a spec.firewall.allow[0].protocol: must be TCP, UDP or SCTP, not "GRE"`,
				"error OutOfRange VirtualRouter a spec.firewall.allow[1].port: must be from 1 to 65535, not 0",
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, problems := Translate(snapshot(t, tt.objects))
			plan, _ := Plan(state, Facts{Node: "n"})
			if diff := cmp.Diff(tt.want, guardText(plan.Firewall)); diff != "" {
				t.Errorf("guard (-want +got)\n%s", diff)
			}
			var texts []string
			for _, p := range problems {
				texts = append(texts, fmt.Sprintf("%s %s %s %s: %s", p.Severity, p.Code, p.Object, p.Field, p.Text))
			}
			if diff := cmp.Diff(tt.problems, texts); diff != "" {
				t.Errorf("problems (-want +got)\n%s", diff)
			}
		})
	}
}

func guardText(g nft.Guard) string {
	var open []string
	for _, e := range g.Open {
		open = append(open, fmt.Sprintf("%v %d/%d", e.Address, e.Protocol, e.Port))
	}
	return fmt.Sprintf("%v %v", g.Addresses, open)
}
