package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VirtualRouter is a set of virtual IP addresses that always belong to exactly
// one node, elected with VRRP version 3 (RFC 9568) or 2 (RFC 3768). With
// addresses of both families it is one election per family, under the same VRID.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=vr
// +kubebuilder:printcolumn:name="VRID",type=integer,JSONPath=`.spec.vrid`
// +kubebuilder:printcolumn:name="Interface",type=string,JSONPath=`.spec.interface`
// +kubebuilder:printcolumn:name="Addresses",type=string,JSONPath=`.spec.addresses`
type VirtualRouter struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualRouterSpec `json:"spec"`
}

// VirtualRouterSpec is what a VirtualRouter shall be.
type VirtualRouterSpec struct {
	// VRID identifies the virtual router among all VRRP speakers on the
	// link, 1 to 255, or among all with transport mode Gossip, 1 to 65535. Two
	// routers may share it only on different interfaces, in different families,
	// or if one of them has mode Gossip and the other has not.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	VRID int32 `json:"vrid"`

	// Interface is the network interface that carries adverts and addresses,
	// the same name on every node.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=15
	Interface string `json:"interface"`

	// Addresses are the virtual addresses with their on-link prefix length,
	// such as 10.0.0.100/24 and fd00::100/64. Without a length an address is
	// a /32 or /128. Both families may be mixed. A link-local IPv6 address,
	// which may be on several interfaces, is advertised first. Adverts carry as
	// many as fit them, at most 255; the others move along with these.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4096
	// +listType=set
	Addresses []string `json:"addresses"`

	// Priority is this router's priority on every node that Priorities does
	// not list; the highest live one owns the addresses. 255 is the address
	// owner, who always preempts. Default: 100.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=255
	Priority *int32 `json:"priority,omitempty"`

	// Priorities gives single nodes another priority.
	//
	// +optional
	// +listType=map
	// +listMapKey=node
	Priorities []NodePriority `json:"priorities,omitempty"`

	// Version is the version of the protocol, the same on every node: 3, or 2
	// for IPv4 beside routers that know nothing newer. Default: 3.
	//
	// +optional
	// +kubebuilder:validation:Enum=2;3
	Version int32 `json:"version,omitempty"`

	// Checksum is what the checksum of our adverts of version 3 over IPv4
	// covers; adverts of others are accepted with either. Default:
	// PseudoHeader, as with keepalived.
	//
	// +optional
	Checksum Checksum `json:"checksum,omitempty"`

	// Authentication says how nodes know each other's adverts from a
	// stranger's.
	//
	// +optional
	Authentication Authentication `json:"authentication,omitzero"`

	// AdvertInterval is the time between the owner's adverts: 10ms to 40.95s
	// in whole centiseconds, the same on every node for a prompt take-over;
	// with version 2, 1s to 255s in whole seconds, and it must be the same: a
	// node does not listen to another interval. A dead owner is replaced after
	// about three of them. Default: 1s.
	//
	// +optional
	AdvertInterval *metav1.Duration `json:"advertInterval,omitempty"`

	// Preempt says when a node of higher priority takes the addresses from a
	// live owner of lower priority.
	//
	// +optional
	Preempt Preempt `json:"preempt,omitzero"`

	// Transport says how adverts travel.
	//
	// +optional
	Transport Transport `json:"transport,omitzero"`

	// DownTimerAdverts is how many adverts of the owner may be missing before
	// it counts as dead, as keepalived's down_timer_adverts. Default: 3.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	DownTimerAdverts *int32 `json:"downTimerAdverts,omitempty"`

	// StartupDelay is for how long at least a node listens before it takes
	// over, after its agent has started or the router was made, 0s to 1000s.
	// Default: 0s; about three adverts it listens in any case.
	//
	// +optional
	StartupDelay *metav1.Duration `json:"startupDelay,omitempty"`

	// LinkUpDelay is the same after the link was down: longer than a switch
	// port takes until it forwards (30s with spanning tree and without
	// portfast), or a node that hears nobody yet takes over. 0s to 1000s.
	// Default: 0s.
	//
	// +optional
	LinkUpDelay *metav1.Duration `json:"linkUpDelay,omitempty"`

	// SyncGroup names a group of virtual routers that are owned by a node all
	// together or not at all. They advertise the lowest priority among them on
	// the node. Default: none.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	SyncGroup string `json:"syncGroup,omitempty"`

	// Track is what this router depends on on each node: while it is down there,
	// the node's priority changes, or the node does not take part.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=map
	// +listMapKey=name
	Track []Track `json:"track,omitempty"`

	// Announce says how an owner announces the addresses to the network, by
	// gratuitous ARP and unsolicited neighbor advertisements.
	//
	// +optional
	Announce Announce `json:"announce,omitzero"`

	// VirtualMAC gives the addresses a MAC of their own.
	//
	// +optional
	VirtualMAC VirtualMAC `json:"virtualMAC,omitzero"`

	// Firewall says what the addresses take.
	//
	// +optional
	Firewall Firewall `json:"firewall,omitzero"`

	// Notify says which scripts are told what becomes of the router on a node.
	// NAME is the router's, with "/IPv4" or "/IPv6" after it if it has
	// addresses of both families: these are elected apart, and told apart.
	//
	// +optional
	Notify Notify `json:"notify,omitzero"`

	// Routes are routes that only the owner of the addresses has.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +listType=atomic
	Routes []Route `json:"routes,omitempty"`

	// Rules are policy routing rules that only the owner of the addresses has.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +listType=atomic
	Rules []RoutingRule `json:"rules,omitempty"`
}

// Announce says how often addresses are announced.
type Announce struct {
	// Repeat is the number of announcements of each address in a burst, 10ms
	// apart: at the take-over, and once more after Delay. Default: 5.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60
	Repeat *int32 `json:"repeat,omitempty"`

	// Delay is the time from the take-over to the second burst, 1s to 1h; 0s
	// means that there is none. Default: 5s.
	//
	// +optional
	Delay *metav1.Duration `json:"delay,omitempty"`

	// Refresh is the time between single announcements ever after, 1s to 24h;
	// 0s means that there are none. Default: 1m, since switches forget silent
	// addresses in 5 minutes.
	//
	// +optional
	Refresh *metav1.Duration `json:"refresh,omitempty"`
}

// NodePriority is the priority of one node.
type NodePriority struct {
	// Node is the node's name: --node of its agent, by default its host name.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node"`

	// Priority replaces spec.priority on this node.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=255
	Priority int32 `json:"priority"`
}

// PreemptMode says when a live owner is replaced.
//
// +kubebuilder:validation:Enum=Always;Never;Delay
type PreemptMode string

// The preempt modes.
const (
	PreemptAlways PreemptMode = "Always" // at once
	PreemptNever  PreemptMode = "Never"  // only when the owner is gone
	PreemptDelay  PreemptMode = "Delay"  // after Preempt.Delay
)

// Preempt says when a live owner is replaced.
//
// +kubebuilder:validation:XValidation:rule="has(self.delay) == (has(self.mode) && self.mode == 'Delay')",message="delay belongs to mode Delay, and mode Delay needs it"
type Preempt struct {
	// Mode is Always (at once), Never (not while the owner lives) or Delay
	// (after the owner has been of lower priority for Delay). Default: Always.
	//
	// +optional
	Mode PreemptMode `json:"mode,omitempty"`

	// Delay is how long a live owner of lower priority is left alone, above
	// 0s up to 1000s. Only with mode Delay, which needs it.
	//
	// +optional
	Delay *metav1.Duration `json:"delay,omitempty"`
}

// TransportMode says how adverts travel.
//
// +kubebuilder:validation:Enum=Multicast;Unicast;Gossip
type TransportMode string

// The transport modes.
const (
	TransportMulticast TransportMode = "Multicast" // 224.0.0.18 and ff02::12
	TransportUnicast   TransportMode = "Unicast"   // to Transport.Peers
	TransportGossip    TransportMode = "Gossip"    // to the nodes that Settings.spec.gossip finds
)

// Transport says how adverts travel.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minTTL) || (has(self.mode) && self.mode == 'Unicast')",message="minTTL belongs to mode Unicast"
// +kubebuilder:validation:XValidation:rule="has(self.peers) == (has(self.mode) && self.mode == 'Unicast')",message="peers belong to mode Unicast, and mode Unicast needs them"
type Transport struct {
	// Mode is Multicast (224.0.0.18 and ff02::12), Unicast (to Peers) or
	// Gossip: encrypted, over the router's interface, to the nodes that
	// Settings.spec.gossip finds. Gossip has no version 2, authentication
	// or virtual MAC. Default: Multicast.
	//
	// +optional
	Mode TransportMode `json:"mode,omitempty"`

	// Peers are the addresses of the other nodes on the interface, at least
	// one for each family that the router has addresses of. All nodes may be
	// listed, so that every node has the same object: a node does not listen
	// to itself. Only with mode Unicast, which needs it.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=255
	// +listType=set
	Peers []string `json:"peers,omitempty"`

	// MinTTL is the least TTL (IPv6: hop limit) with which an advert of a peer
	// is accepted; each router on the way takes one. 255 means that peers must
	// be on the link. Only with mode Unicast, where the default is 1, any, as
	// with keepalived, which sends IPv6 adverts with 64; Multicast is always
	// 255.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=255
	MinTTL *int32 `json:"minTTL,omitempty"`
}

// VirtualRouterList is a list of VirtualRouter objects.
//
// +kubebuilder:object:root=true
type VirtualRouterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []VirtualRouter `json:"items"`
}
