package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// L4Service is one layer 4 service: connections to an address and port are
// balanced over real servers by IPVS in the kernel. Every node is programmed;
// the node that owns the address takes the traffic.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=l4
// +kubebuilder:printcolumn:name="Protocol",type=string,JSONPath=`.spec.protocol`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.address`
// +kubebuilder:printcolumn:name="Port",type=integer,JSONPath=`.spec.port`
type L4Service struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec L4ServiceSpec `json:"spec"`
}

// L4ServiceSpec is what an L4Service shall be.
//
// +kubebuilder:validation:XValidation:rule="has(self.realServers) != has(self.service)",message="exactly one of realServers and service is needed"
// +kubebuilder:validation:XValidation:rule="has(self.address) != has(self.fwmark)",message="exactly one of address and fwmark is needed"
type L4ServiceSpec struct {
	// Address is the virtual address, without a prefix length; usually one
	// of a VirtualRouter. Exactly one of Address and FWMark is given.
	//
	// +optional
	Address string `json:"address,omitempty"`

	// Port is the port that clients connect to. With Address only, which
	// needs it.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// FWMark balances all packets that a firewall rule of yours has marked
	// with this number, instead of an address and a port. Real servers then
	// get the port that the client asked for, unless they have one.
	//
	// +optional
	FWMark *FWMark `json:"fwmark,omitempty"`

	// Protocol is TCP, UDP or SCTP. A firewall mark balances all of them.
	// Default: TCP.
	//
	// +optional
	Protocol Protocol `json:"protocol,omitempty"`

	// Scheduler is the kernel's name of the algorithm that picks a real
	// server: rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, nq, fo, ovf, mh or
	// twos. Default: wlc (weighted least connections).
	//
	// +optional
	Scheduler Scheduler `json:"scheduler,omitempty"`

	// SchedulerFlags change how sh and mh pick: Fallback sends clients of a
	// real server that takes no new connections to another one, and Port
	// hashes the client's port too. Default: none.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=2
	// +listType=set
	SchedulerFlags []SchedulerFlag `json:"schedulerFlags,omitempty"`

	// OnePacket picks a real server for each datagram anew, as for DNS. Only
	// with UDP or a firewall mark. Default: false.
	//
	// +optional
	OnePacket bool `json:"onePacket,omitempty"`

	// Forwarding is NAT (the packet's destination is rewritten), DR (the real
	// server, on the same link, has the virtual address itself and answers the
	// client directly) or TUN (the same, through a tunnel, from anywhere).
	// Default: NAT.
	//
	// +optional
	Forwarding Forwarding `json:"forwarding,omitempty"`

	// Tunnel is how packets travel with TUN.
	//
	// +optional
	Tunnel Tunnel `json:"tunnel,omitzero"`

	// Masquerade gives balanced connections the node's own source address,
	// so that real servers need no route back. With false, real servers see
	// the client's address and must route replies through the node that owns
	// the virtual address. Only with NAT and an address. Default: true there.
	//
	// +optional
	Masquerade *bool `json:"masquerade,omitempty"`

	// Persistence sends a client to the same real server again until it has
	// been silent for this long, in whole seconds, 1s to 744h. Default: none.
	//
	// +optional
	Persistence *metav1.Duration `json:"persistence,omitempty"`

	// PersistenceNetmask is the length of the prefix whose clients go to the
	// same real server, as keepalived's persistence_granularity. Only with
	// Persistence. Default: the whole address.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=128
	PersistenceNetmask *int32 `json:"persistenceNetmask,omitempty"`

	// PersistenceEngine says what makes connections belong together instead
	// of the client's address: sip, the Call-ID. Only with UDP and
	// Persistence. Default: none.
	//
	// +optional
	PersistenceEngine PersistenceEngine `json:"persistenceEngine,omitempty"`

	// RealServers are the backends. Exactly one of RealServers and Service
	// is given.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	// +listType=atomic
	RealServers []RealServer `json:"realServers,omitempty"`

	// Service takes the backends from the ready endpoints (EndpointSlices) of
	// a Service, each with weight 1.
	//
	// +optional
	Service *ServiceReference `json:"service,omitempty"`

	// Check says how real servers are probed; one whose check fails leaves
	// the table until it passes again.
	//
	// +optional
	Check Check `json:"check,omitzero"`
}

// FWMark is a firewall mark of one address family.
type FWMark struct {
	// Mark is the number, above 0.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	Mark int64 `json:"mark"`

	// Family is IPv4 or IPv6. Default: IPv4.
	//
	// +optional
	Family AddressFamily `json:"family,omitempty"`
}

// AddressFamily is a version of IP.
//
// +kubebuilder:validation:Enum=IPv4;IPv6
type AddressFamily string

// The address families.
const (
	FamilyIPv4 AddressFamily = "IPv4"
	FamilyIPv6 AddressFamily = "IPv6"
)

// SchedulerFlag changes how a hashing scheduler picks.
//
// +kubebuilder:validation:Enum=Fallback;Port
type SchedulerFlag string

// The scheduler flags.
const (
	SchedulerFallback SchedulerFlag = "Fallback" // sh-fallback, mh-fallback
	SchedulerPort     SchedulerFlag = "Port"     // sh-port, mh-port
)

// PersistenceEngine is the kernel's name of a persistence engine.
//
// +kubebuilder:validation:Enum=sip
type PersistenceEngine string

// TunnelType is an encapsulation.
//
// +kubebuilder:validation:Enum=IPIP;GUE;GRE
type TunnelType string

// The encapsulations.
const (
	TunnelIPIP TunnelType = "IPIP" // RFC 2003, RFC 2473
	TunnelGUE  TunnelType = "GUE"  // in UDP
	TunnelGRE  TunnelType = "GRE"  // RFC 2784
)

// TunnelChecksum is what protects an encapsulated packet.
//
// +kubebuilder:validation:Enum=None;Full;Remote
type TunnelChecksum string

// The checksums of tunnels.
const (
	TunnelChecksumNone   TunnelChecksum = "None"
	TunnelChecksumFull   TunnelChecksum = "Full"   // GUE and GRE
	TunnelChecksumRemote TunnelChecksum = "Remote" // GUE: remote checksum offload
)

// Tunnel is how packets travel to real servers with forwarding TUN.
type Tunnel struct {
	// Type is IPIP, GUE or GRE. Default: IPIP.
	//
	// +optional
	Type TunnelType `json:"type,omitempty"`

	// Port is the UDP port of GUE, which needs it.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`

	// Checksum is None, Full (with GUE and GRE) or Remote (with GUE).
	// Default: None.
	//
	// +optional
	Checksum TunnelChecksum `json:"checksum,omitempty"`
}

// Protocol is a transport protocol.
//
// +kubebuilder:validation:Enum=TCP;UDP;SCTP
type Protocol string

// The protocols.
const (
	ProtocolTCP  Protocol = "TCP"
	ProtocolUDP  Protocol = "UDP"
	ProtocolSCTP Protocol = "SCTP"
)

// Scheduler is the kernel's name of an IPVS scheduler.
//
// +kubebuilder:validation:Enum=rr;wrr;lc;wlc;lblc;lblcr;dh;sh;sed;nq;fo;ovf;mh;twos
type Scheduler string

// Schedulers returns every accepted Scheduler: those of the Linux kernel
// (net/netfilter/ipvs/ip_vs_*.c).
func Schedulers() []Scheduler {
	return []Scheduler{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"}
}

// Forwarding is how packets reach a real server.
//
// +kubebuilder:validation:Enum=NAT;DR;TUN
type Forwarding string

// The forwarding methods.
const (
	ForwardingNAT Forwarding = "NAT"
	ForwardingDR  Forwarding = "DR"
	ForwardingTUN Forwarding = "TUN"
)

// RealServer is one backend of an L4Service.
type RealServer struct {
	// Address is the real server's address, of the same family as the
	// service's, except with TUN and without persistence.
	Address string `json:"address"`

	// Port is the real server's port. DR and TUN cannot change ports, so there
	// it must be the service's. Default: the service's port.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`

	// Weight is this server's share; 0 takes no new connections. Default: 1.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	Weight *int32 `json:"weight,omitempty"`

	// UpperThreshold is the number of connections from which on it gets no new
	// ones. Default: none.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	UpperThreshold *int32 `json:"upperThreshold,omitempty"`

	// LowerThreshold is the number of connections below which it gets new ones
	// again, at most UpperThreshold, which it needs. Default: three quarters
	// of UpperThreshold.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	LowerThreshold *int32 `json:"lowerThreshold,omitempty"`
}

// ServiceReference names a port of a Kubernetes Service.
type ServiceReference struct {
	// Namespace of the Service. Default: default.
	//
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// Name of the Service.
	Name string `json:"name"`

	// Port is the Service's port, by number or by name.
	Port intstr.IntOrString `json:"port"`
}

// CheckType is how a real server is probed.
//
// +kubebuilder:validation:Enum=TCP;None
type CheckType string

// The check types.
const (
	CheckTCP  CheckType = "TCP"
	CheckNone CheckType = "None"
)

// Check says how each real server is probed, at its own address and port. A
// real server takes traffic until its check has failed.
type Check struct {
	// Type is TCP (a connection can be opened) or None. Default: TCP for TCP
	// services with an address, None for others.
	//
	// +optional
	Type CheckType `json:"type,omitempty"`

	// Port is probed instead of the real server's port, and needed where that
	// is none.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`

	// Interval is the time between the starts of two probes, 10ms to 1h.
	// Default: 2s.
	//
	// +optional
	Interval *metav1.Duration `json:"interval,omitempty"`

	// Timeout is how long one probe may take, at most Interval. Default: 1s,
	// or Interval if that is shorter.
	//
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// Rise is how many probes in a row must succeed until a real server that
	// is down is up. Default: 2.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Rise *int32 `json:"rise,omitempty"`

	// Fall is how many probes in a row must fail until a real server that is
	// up is down. Default: 3.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Fall *int32 `json:"fall,omitempty"`
}

// L4ServiceList is a list of L4Service objects.
//
// +kubebuilder:object:root=true
type L4ServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []L4Service `json:"items"`
}
