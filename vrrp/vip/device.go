package vip

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"harmony/vrrp"
)

// Device is a virtual MAC: a macvlan in private mode on an interface, with the
// MAC of a virtual router (RFC 9568 §7.3), which has the router's addresses.
//
// It is up only while they answer. A backup's device is down, so what reaches
// it by flooding is discarded (RFC 9568 §6.4.2), and nothing leaves with the
// virtual MAC that would turn the switches' tables away from the owner.
type Device struct {
	Name   string   `json:"name"`
	Parent string   `json:"parent"`
	Router vrrp.Key `json:"router"`
	VRID   uint8    `json:"vrid"`
}

// MAC is the device's Ethernet address.
func (d Device) MAC() net.HardwareAddr { return vrrp.VirtualMAC(d.Router.Family, d.VRID) }

// alias marks the device as ours, for us and for people. One of ours without
// it was made by a life that ended in the middle.
func (d Device) alias() string {
	alias := "harmony " + d.Router.String()
	return alias[:min(len(alias), 255)] // IFALIASZ of linux/if.h, without the zero
}

// DeviceError says that a virtual MAC cannot be had, and what to do.
type DeviceError struct {
	Device Device
	Err    error
}

// Error names the object and its field.
func (e *DeviceError) Error() string {
	return fmt.Sprintf("VirtualRouter %s spec.virtualMAC: device %s on %s: %v", e.Device.Router.Name, e.Device.Name, e.Device.Parent, e.Err)
}

// Unwrap returns the cause.
func (e *DeviceError) Unwrap() error { return e.Err }

// Why a virtual MAC cannot be had.
var (
	errForeignDevice = errors.New("there is a device of this name that is not ours: remove it, or set another spec.virtualMAC.prefix")
	errTaken         = errors.New("the interface has another device with this MAC: remove it, or set another spec.vrid")
	errCannot        = errors.New("the interface cannot carry a macvlan: set another spec.interface, or remove spec.virtualMAC")
	errNoMacvlan     = errors.New("the kernel has no macvlan (CONFIG_MACVLAN): load the module, or remove spec.virtualMAC")
)

// errPort says that the interface belongs to another one.
func errPort(kind, master string) error {
	return fmt.Errorf("the interface is a port of %s %s, and a port cannot carry a macvlan: set spec.interface to %s, or remove spec.virtualMAC", kind, master, master)
}

// setting is a kernel setting of an interface that we changed.
type setting struct {
	Interface string `json:"interface"`
	Name      string `json:"name"` // below net.ipv4.conf.IFACE
	Old       uint32 `json:"old"`
	Ours      uint32 `json:"ours"`
}

// devconf are settings below net.ipv4.conf by their number in linux/ip.h.
var devconf = map[string]int{
	"rp_filter": 8, "promote_secondaries": 20, "arp_filter": 13,
	"arp_announce": 18, "arp_ignore": 19, "accept_local": 23,
}

// parentSettings are what an interface with IPv4 virtual MACs needs: it must
// not answer ARP for their addresses (arp_ignore), as it would since they are
// this host's, nor for one that it would not use (arp_filter), nor name them
// when it asks for others (arp_announce), which teaches others its own MAC for
// them. keepalived sets the first two. What is stricter already stays.
func parentSettings(parent string, have map[string]uint32) []setting {
	var out []setting
	for _, w := range []struct {
		name string
		want uint32
	}{{"arp_ignore", 1}, {"arp_filter", 1}, {"arp_announce", 2}} {
		if have[w.name] < w.want {
			out = append(out, setting{Interface: parent, Name: w.name, Old: have[w.name], Ours: w.want})
		}
	}
	return out
}

// deviceSettings are those of a virtual MAC, as keepalived has them. The
// stricter of a device's rp_filter and that of "all" counts, except that 2,
// loose, wins: the way back to a client is by the interface.
func deviceSettings(allRPFilter uint32) map[string]uint32 {
	rp := uint32(0)
	if allRPFilter != 0 {
		rp = 2
	}
	return map[string]uint32{"accept_local": 1, "arp_ignore": 1, "rp_filter": rp, "promote_secondaries": 1}
}

// devices are the virtual MACs that are wanted, and those that are there and
// ours, by name, with the settings that they made us change.
type devices struct {
	wanted, ours map[string]Device
	changed      []setting
}

// remember adds settings that were changed just now. What was there before the
// first of our changes is what is restored.
func (d *devices) remember(fresh []setting) {
	for _, f := range fresh {
		if !slices.ContainsFunc(d.changed, func(c setting) bool { return c.Interface == f.Interface && c.Name == f.Name }) {
			d.changed = append(d.changed, f)
		}
	}
}

// settled takes out the settings of parents that have no IPv4 device of ours
// any more, for the caller to restore.
func (d *devices) settled() []setting {
	restore, keep := []setting(nil), []setting(nil)
	for _, s := range d.changed {
		if d.needs(s.Interface) {
			keep = append(keep, s)
		} else {
			restore = append(restore, s)
		}
	}
	d.changed = keep
	return restore
}

// needs says whether the interface has, or shall have, an IPv4 device.
func (d *devices) needs(parent string) bool {
	for _, set := range []map[string]Device{d.ours, d.wanted} {
		for _, dev := range set {
			if dev.Parent == parent && dev.Router.Family == vrrp.IPv4 {
				return true
			}
		}
	}
	return false
}

// claims are all devices that are or will be ours, sorted.
func (d *devices) claims() []Device {
	all := maps.Clone(d.ours)
	if all == nil {
		all = map[string]Device{}
	}
	for name, w := range d.wanted {
		if _, there := all[name]; !there {
			all[name] = w
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b Device) int { return strings.Compare(a.Name, b.Name) })
}
