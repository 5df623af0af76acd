package agent

import (
	"harmony/vrrp"
	"harmony/vrrp/vip"
)

// devices are the virtual MACs of routers.
func devices(routers []vrrp.Router) []vip.Device {
	var out []vip.Device
	for _, r := range routers {
		if r.Device != "" {
			out = append(out, vip.Device{Name: r.Device, Parent: r.Interface, Router: r.Key, VRID: r.VRID})
		}
	}
	return out
}

// withoutDevice puts the routers at fault whose virtual MAC cannot be had: with
// another MAC they would be somebody else to the network.
func withoutDevice(routers []vrrp.Router, failed map[string]error) {
	for i := range routers {
		if r := &routers[i]; failed[r.Device] != nil && r.Fault == "" {
			r.Fault = failed[r.Device].Error()
		}
	}
}

// routesOf are the routes and rules of routers.
func routesOf(routers []vrrp.Router) map[vrrp.Key]vip.Routing {
	out := map[vrrp.Key]vip.Routing{}
	for _, r := range routers {
		if len(r.Routes)+len(r.Rules) > 0 {
			out[r.Key] = vip.Routing{Routes: r.Routes, Rules: r.Rules}
		}
	}
	return out
}
