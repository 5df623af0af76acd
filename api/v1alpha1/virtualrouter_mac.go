package v1alpha1

// VirtualMACAdverts says which MAC adverts leave with.
//
// +kubebuilder:validation:Enum=Virtual;Interface
type VirtualMACAdverts string

// The source addresses of adverts.
const (
	AdvertsVirtual   VirtualMACAdverts = "Virtual"   // the virtual MAC (RFC 9568 §7.2)
	AdvertsInterface VirtualMACAdverts = "Interface" // that of the interface, as keepalived's vmac_xmit_base
)

// VirtualMAC gives the addresses a MAC of their own, 00:00:5e:00:01:VRID for
// IPv4 and 00:00:5e:00:02:VRID for IPv6 (RFC 9568 §7.3), which moves with them:
// neighbors keep their ARP and ND entries, and only switches learn anew. It is
// a macvlan on the interface, as with keepalived's use_vmac, one for each
// family. While the router runs, the interface has arp_ignore at least 1,
// arp_filter 1 and arp_announce 2.
//
// +kubebuilder:validation:XValidation:rule="has(self.enabled) && self.enabled || !has(self.prefix) && !has(self.adverts)",message="prefix and adverts belong to enabled: true"
type VirtualMAC struct {
	// Enabled turns it on. The interface must be able to carry a macvlan: not
	// a port of a bridge or bond, and not lo. A change is a change of owner: the
	// router gives its addresses up and is elected anew.
	//
	// +optional
	Enabled bool `json:"enabled,omitempty"`

	// Prefix begins the name of the devices: PREFIX.VRID for IPv4 and
	// PREFIX6.VRID for IPv6. Routers with the same VRID on different interfaces
	// need different ones. A device of that name that is not ours is never
	// touched: the router is then in FAULT. Default: vrrp.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=10
	Prefix string `json:"prefix,omitempty"`

	// Adverts leave with the Virtual MAC, as the RFC wants it, or with that of
	// the Interface. Whichever it is, adverts of both kinds are heard. Beside
	// a keepalived with vmac_xmit_base it must be Interface: such a keepalived
	// does not hear the others. By unicast it is always Interface. Default:
	// Virtual by multicast.
	//
	// +optional
	Adverts VirtualMACAdverts `json:"adverts,omitempty"`
}

// withDefaults fills in what an enabled virtual MAC leaves out.
func (m *VirtualMAC) withDefaults(transport TransportMode) {
	if !m.Enabled {
		return
	}
	setDefault(&m.Prefix, "vrrp")
	adverts := AdvertsVirtual
	if transport == TransportUnicast {
		adverts = AdvertsInterface
	}
	setDefault(&m.Adverts, adverts)
}
