package agent

import (
	"slices"
	"testing"

	"harmony/vrrp"
)

func TestRecovered(t *testing.T) {
	status := func(name, iface string, s vrrp.State) vrrp.RouterStatus {
		return vrrp.RouterStatus{Router: vrrp.Router{Key: vrrp.Key{Name: name, Family: vrrp.IPv4}, Interface: iface}, State: s}
	}
	before := []vrrp.RouterStatus{status("a", "eth0", vrrp.Fault), status("b", "eth1", vrrp.Fault), status("c", "eth2", vrrp.Backup), status("d", "eth3", vrrp.Fault)}
	now := []vrrp.RouterStatus{status("a", "eth0", vrrp.Backup), status("b", "eth1", vrrp.Fault), status("c", "eth2", vrrp.Master), status("e", "eth4", vrrp.Master)}
	if got := recovered(before, now); !slices.Equal(got, []string{"eth0"}) {
		t.Errorf("recovered %v, want eth0", got)
	}
}
