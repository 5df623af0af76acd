package cluster

import (
	"harmony/api/v1alpha1"
	"harmony/source"
	"harmony/vrrp"
)

// deviceClaim is the name of a device on every node.
type deviceClaim struct{ name string }

// virtualMAC gives a router its device, and returns what it claims by that.
func virtualMAC(to *Router, spec v1alpha1.VirtualRouterSpec) []claim {
	m := spec.VirtualMAC
	if !m.Enabled {
		return nil
	}
	to.Device = vrrp.MACDevice(m.Prefix, to.Family, to.VRID)
	to.PlainAdverts = m.Adverts == v1alpha1.AdvertsInterface
	return []claim{{what: deviceClaim{to.Device}, field: "spec.virtualMAC.prefix", name: "device " + to.Device}}
}

// checkVirtualMAC refuses what no router can have.
func checkVirtualMAC(r *source.Report, spec v1alpha1.VirtualRouterSpec) {
	m := spec.VirtualMAC
	switch {
	case !m.Enabled && m.Prefix != "":
		r.Refuse("spec.virtualMAC.prefix", source.CodeInvalid, "belongs to a virtual MAC: set spec.virtualMAC.enabled, or remove it")
	case !m.Enabled && m.Adverts != "":
		r.Refuse("spec.virtualMAC.adverts", source.CodeInvalid, "belongs to a virtual MAC: set spec.virtualMAC.enabled, or remove it")
	}
	if !m.Enabled {
		return
	}
	interfaceName(r, "spec.virtualMAC.prefix", m.Prefix)
	if len(m.Prefix) > 10 {
		r.Refuse("spec.virtualMAC.prefix", source.CodeTooLarge, "%s is longer than 10 bytes", source.Quote(m.Prefix))
	}
	switch m.Adverts {
	case v1alpha1.AdvertsVirtual:
		if spec.Transport.Mode == v1alpha1.TransportUnicast {
			r.Refuse("spec.virtualMAC.adverts", source.CodeInvalid, "must be Interface with transport mode Unicast: peers are found by the interface's own MAC")
		}
	case v1alpha1.AdvertsInterface:
	default:
		r.Refuse("spec.virtualMAC.adverts", source.CodeInvalid, "must be Virtual or Interface, not %s", source.Quote(string(m.Adverts)))
	}
}
