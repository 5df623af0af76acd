package v1alpha1

// FirewallMode says what the addresses of a router take.
//
// +kubebuilder:validation:Enum=Open;Services
type FirewallMode string

// The firewall modes.
const (
	FirewallOpen     FirewallMode = "Open"     // what the node takes
	FirewallServices FirewallMode = "Services" // what they are for
)

// Firewall says what the virtual addresses take on the node that has them.
// Without it they expose every port of the node: its sshd, its kubelet.
//
// +kubebuilder:validation:XValidation:rule="!has(self.allow) || (has(self.mode) && self.mode == 'Services')",message="allow belongs to mode Services"
type Firewall struct {
	// Mode is Open: whatever the node takes on its own addresses, as with
	// keepalived without no_accept; or Services: the ports of L4Services on the
	// addresses, NGINX's ports if there are sites, what Allow lists, ping, and
	// what connections and the network need (replies, ICMP errors, neighbor
	// discovery, VRRP). The rest is dropped. What is routed through the node,
	// and what comes from it, passes. An address owner (priority 255) is not
	// guarded, since the address is the node's own. Default: Open, so that
	// nobody who moves from keepalived is cut off.
	//
	// +optional
	Mode FirewallMode `json:"mode,omitempty"`

	// Allow are more ports to take packets for. Only with mode Services.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	Allow []FirewallPort `json:"allow,omitempty"`
}

// FirewallPort is a port that takes packets.
type FirewallPort struct {
	// Protocol is TCP, UDP or SCTP. Default: TCP.
	//
	// +optional
	Protocol Protocol `json:"protocol,omitempty"`

	// Port is the port. Default: all ports of the protocol.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
}

// withDefaults fills in what a firewall leaves out.
func (f *Firewall) withDefaults() {
	setDefault(&f.Mode, FirewallOpen)
	for i := range f.Allow {
		setDefault(&f.Allow[i].Protocol, ProtocolTCP)
	}
}
