package vip

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/vrrp"
)

// TestDevices is the life of the settings of an interface: what was there
// before our first change comes back with the last device, and not earlier.
func TestDevices(t *testing.T) {
	one := Device{Name: "vrrp.1", Parent: "eth0", Router: vrrp.Key{Name: "a", Family: vrrp.IPv4}, VRID: 1}
	two := Device{Name: "vrrp.2", Parent: "eth0", Router: vrrp.Key{Name: "b", Family: vrrp.IPv4}, VRID: 2}
	six := Device{Name: "vrrp6.1", Parent: "eth0", Router: vrrp.Key{Name: "a", Family: vrrp.IPv6}, VRID: 1}
	d := devices{ours: map[string]Device{}, wanted: map[string]Device{one.Name: one}}
	first := parentSettings("eth0", map[string]uint32{"arp_ignore": 0, "arp_announce": 1})
	d.remember(first)
	d.remember([]setting{{Interface: "eth0", Name: "arp_ignore", Old: 7, Ours: 1}}) // somebody has changed it since
	want := []setting{
		{Interface: "eth0", Name: "arp_ignore", Old: 0, Ours: 1},
		{Interface: "eth0", Name: "arp_filter", Old: 0, Ours: 1},
		{Interface: "eth0", Name: "arp_announce", Old: 1, Ours: 2},
	}
	if diff := cmp.Diff(want, d.changed); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	for _, stage := range []struct{ wanted, ours []Device }{
		{[]Device{one}, nil}, {[]Device{two}, []Device{one}}, {nil, []Device{two, six}},
	} {
		d.wanted, d.ours = byName(stage.wanted), byName(stage.ours)
		if got := d.settled(); got != nil {
			t.Errorf("restored with wanted %v, ours %v: %v", stage.wanted, stage.ours, got)
		}
	}
	d.wanted, d.ours = nil, byName([]Device{six}) // IPv6 needs none of them
	if diff := cmp.Diff(want, d.settled()); diff != "" || d.changed != nil {
		t.Errorf("restored (-want +got):\n%s; left: %v", diff, d.changed)
	}
}

func byName(list []Device) map[string]Device {
	out := make(map[string]Device)
	for _, d := range list {
		out[d.Name] = d
	}
	return out
}

// What is to be made is in the journal before it is made, and what is there
// stays in it while it is there.
func TestDevicesInTheJournal(t *testing.T) {
	old := Device{Name: "vrrp.1", Parent: "eth0", Router: vrrp.Key{Name: "a", Family: vrrp.IPv4}, VRID: 1}
	moved, fresh := old, old
	moved.Parent, fresh.Name, fresh.VRID = "eth1", "vrrp.2", 2
	d := devices{ours: byName([]Device{old}), wanted: byName([]Device{moved, fresh})}
	if diff := cmp.Diff([]Device{old, fresh}, d.claims()); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	var none devices
	if got := none.claims(); len(got) > 0 {
		t.Errorf("claims of none: %v", got)
	}
}

// A setting that is stricter than what we need stays as it is.
func TestParentSettings(t *testing.T) {
	if got := parentSettings("eth0", map[string]uint32{"arp_ignore": 2, "arp_filter": 1, "arp_announce": 2}); got != nil {
		t.Errorf("changes %v", got)
	}
	for all, want := range map[uint32]uint32{0: 0, 1: 2, 2: 2} {
		if got := deviceSettings(all)["rp_filter"]; got != want {
			t.Errorf("rp_filter %d beside %d for all, want %d", got, all, want)
		}
	}
}
