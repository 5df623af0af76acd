package vrrp

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// VirtualMAC is the Ethernet address of a virtual router (RFC 9568 §7.3).
func VirtualMAC(family Family, vrid uint8) net.HardwareAddr {
	kind := byte(1)
	if family == IPv6 {
		kind = 2
	}
	return net.HardwareAddr{0, 0, 0x5e, 0, kind, vrid}
}

// MACDevice is the name of the device with the virtual MAC of a router, as
// keepalived names it where prefix is "vrrp": "vrrp.51" for IPv4, "vrrp6.51"
// for IPv6.
func MACDevice(prefix string, family Family, vrid uint8) string {
	if family == IPv6 {
		prefix += "6"
	}
	return fmt.Sprintf("%s.%d", prefix, vrid)
}

// Home is the device that has the router's addresses while they are here: the
// one with its virtual MAC, or the interface itself.
func (r Router) Home() string {
	if r.Device != "" {
		return r.Device
	}
	return r.Interface
}

// speaksVirtually says whether an advert leaves with the virtual MAC: only
// that of a router that answers. A frame from an owner that has given way
// would turn the switches' tables back to it. Unicast peers are asked for by
// ARP and ND, which is the interface's own business.
func (r *router) speaksVirtually(dst netip.Addr) bool {
	return r.Device != "" && !r.PlainAdverts && r.answering && dst.IsMulticast()
}

// deviceOwner returns the router that has a device for its virtual MAC.
func deviceOwner(routers []Router, device string) (Router, bool) {
	i := slices.IndexFunc(routers, func(r Router) bool { return r.Device == device })
	if device == "" || i < 0 {
		return Router{}, false
	}
	return routers[i], true
}

// place says where a router is, for people.
func (r Router) place() string {
	if r.Device != "" {
		return r.Interface + " with virtual MAC"
	}
	return r.Interface
}
