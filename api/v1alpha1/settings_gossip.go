package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// GossipEncryption says whether gossip is encrypted.
//
// +kubebuilder:validation:Enum=Required;None
type GossipEncryption string

// Whether gossip is encrypted.
const (
	GossipRequired GossipEncryption = "Required"
	GossipNone     GossipEncryption = "None" // who reaches the port takes part
)

// Gossip is how nodes find each other for routers with transport mode Gossip.
// It must be the same on all nodes.
type Gossip struct {
	// Port is the UDP and TCP port of memberlist on the interfaces of the
	// routers. It changes with the next start of the agent only. Default: 7946.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`

	// Join are addresses or names of nodes, with :PORT if it is another one.
	// One of them that is there is enough to find all others. All nodes may be
	// listed, so that every node has the same object. Without any, a node waits
	// to be found.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	Join []string `json:"join,omitempty"`

	// Keys are the keys: 32 bytes each, used as they are. The first encrypts,
	// all are read. Make one by `head -c 32 /dev/urandom | base64` for the
	// Secret's data. A new first key is given to all nodes before any of them
	// encrypts with it, as by `harmony keys rotate`, whose keys come before
	// those here until the Secret changes.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	Keys []SecretKeyReference `json:"keys,omitempty"`

	// Encryption is Required, or None, which lets everybody take part who
	// reaches the port. It changes with the next start of the agent only.
	// Default: Required.
	//
	// +optional
	Encryption GossipEncryption `json:"encryption,omitempty"`
}

func (g *Gossip) setDefaults() {
	if g == nil {
		return
	}
	setDefault(&g.Port, ptr.To[int32](7946))
	setDefault(&g.Encryption, GossipRequired)
	for i := range g.Keys {
		setDefault(&g.Keys[i].Namespace, metav1.NamespaceDefault)
	}
}
