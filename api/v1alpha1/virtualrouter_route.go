package v1alpha1

// RouteType says what a route does with a packet.
//
// +kubebuilder:validation:Enum=Unicast;Blackhole;Unreachable;Prohibit
type RouteType string

// The route types, as ip-route(8) has them.
const (
	RouteUnicast     RouteType = "Unicast"
	RouteBlackhole   RouteType = "Blackhole"
	RouteUnreachable RouteType = "Unreachable"
	RouteProhibit    RouteType = "Prohibit"
)

// Route is a route that the owner of the addresses has, and nobody else. Those
// of IPv4 follow the election of the IPv4 addresses, those of IPv6 that of the
// others. Our routes have the protocol number 112; a route to the same place
// that others have made is left alone, and ours is reported as missing.
type Route struct {
	// Type is Unicast, Blackhole, Unreachable or Prohibit. Default: Unicast.
	//
	// +optional
	Type RouteType `json:"type,omitempty"`

	// Destination is the network, such as 10.1.0.0/16; 0.0.0.0/0 and ::/0 are
	// the default routes.
	//
	// +kubebuilder:validation:MinLength=1
	Destination string `json:"destination"`

	// Via is the gateway. Default: the destination is on the link.
	//
	// +optional
	Via string `json:"via,omitempty"`

	// Interface is where the packets leave. Default: where the gateway is, or
	// without one spec.interface.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=15
	Interface string `json:"interface,omitempty"`

	// Source is the address that this node's own packets have, such as one of
	// spec.addresses. Default: the kernel's choice.
	//
	// +optional
	Source string `json:"source,omitempty"`

	// Table is the number of the routing table. Default: 254, main.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	Table *int64 `json:"table,omitempty"`

	// Metric orders routes to the same place, the lowest first. Default: the
	// kernel's, 0 for IPv4 and 1024 for IPv6.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	Metric *int64 `json:"metric,omitempty"`
}

// RoutingRule is a policy routing rule that the owner of the addresses has, and
// nobody else. It needs at least one of from, to, fwmark and inputInterface.
// Without from and to it is a rule for each family that the router has.
type RoutingRule struct {
	// Priority orders rules, the lowest first.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32765
	Priority int32 `json:"priority"`

	// From is the network of the packets' source. Default: all.
	//
	// +optional
	From string `json:"from,omitempty"`

	// To is the network of their destination. Default: all.
	//
	// +optional
	To string `json:"to,omitempty"`

	// Fwmark is their firewall mark. Default: any.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	Fwmark *int64 `json:"fwmark,omitempty"`

	// FwmarkMask says which bits of the mark count. Default: all.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	FwmarkMask *int64 `json:"fwmarkMask,omitempty"`

	// InputInterface is where they came in. Default: any.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=15
	InputInterface string `json:"inputInterface,omitempty"`

	// Table is the number of the routing table to look into.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	Table int64 `json:"table"`
}
