package cluster

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestVirtualMAC: devices are named and claimed, and what cannot be is refused.
func TestVirtualMAC(t *testing.T) {
	type device struct {
		Name  string
		Plain bool
	}
	tests := []struct {
		name, objects string
		want          []device
		problems      []string
	}{
		{"none", router("a", ""), []device{{}}, nil},
		{"one for each family", router("a", "addresses: [10.0.0.100/24, 'fd00::100/64'], virtualMAC: {enabled: true}"),
			[]device{{"vrrp.51", false}, {"vrrp6.51", false}}, nil},
		{"named, adverts from the interface", router("a", "virtualMAC: {enabled: true, prefix: wan, adverts: Interface}"), []device{{"wan.51", true}}, nil},
		{"unicast", router("a", "virtualMAC: {enabled: true}, transport: {mode: Unicast, peers: [10.0.0.2]}"), []device{{"vrrp.51", true}}, nil},
		{"unicast with the virtual MAC", router("a", "virtualMAC: {enabled: true, adverts: Virtual}, transport: {mode: Unicast, peers: [10.0.0.2]}"), nil,
			[]string{"error Invalid VirtualRouter a spec.virtualMAC.adverts: must be Interface with transport mode Unicast: peers are found by the interface's own MAC"}},
		{"not enabled", router("a", "virtualMAC: {prefix: wan}"), nil,
			[]string{"error Invalid VirtualRouter a spec.virtualMAC.prefix: belongs to a virtual MAC: set spec.virtualMAC.enabled, or remove it"}},
		{"too long a name", router("a", "virtualMAC: {enabled: true, prefix: abcdefghijk}"), nil,
			[]string{`error TooLarge VirtualRouter a spec.virtualMAC.prefix: "abcdefghijk" is longer than 10 bytes`}},
		{"no name of a device", router("a", "virtualMAC: {enabled: true, prefix: a/b}"), nil,
			[]string{`error Invalid VirtualRouter a spec.virtualMAC.prefix: "a/b" is not the name of a network interface`}},
		{"unknown adverts", router("a", "virtualMAC: {enabled: true, adverts: Both}"), nil,
			[]string{`error Invalid VirtualRouter a spec.virtualMAC.adverts: must be Virtual or Interface, not "Both"`}},
		{"the same device twice", router("a", "virtualMAC: {enabled: true}") + router("b", "interface: eth1, addresses: [10.0.1.100/24], virtualMAC: {enabled: true}"),
			[]device{{"vrrp.51", false}},
			[]string{"error Conflict VirtualRouter b spec.virtualMAC.prefix: device vrrp.51 belongs to VirtualRouter a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, problems := Translate(snapshot(t, tt.objects))
			var got []device
			for _, r := range state.Routers {
				got = append(got, device{r.Device, r.PlainAdverts})
			}
			var texts []string
			for _, p := range problems {
				texts = append(texts, fmt.Sprintf("%s %s %s %s: %s", p.Severity, p.Code, p.Object, p.Field, p.Text))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("devices (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.problems, texts); diff != "" {
				t.Errorf("problems (-want +got)\n%s", diff)
			}
		})
	}
}
