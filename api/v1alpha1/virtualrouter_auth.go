package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AuthenticationType says how adverts are authenticated.
//
// +kubebuilder:validation:Enum=None;Password;AH;HMAC
type AuthenticationType string

// The ways to authenticate adverts.
const (
	AuthenticationNone     AuthenticationType = "None"
	AuthenticationPassword AuthenticationType = "Password" // keepalived's auth_type PASS
	AuthenticationAH       AuthenticationType = "AH"       // keepalived's auth_type AH
	AuthenticationHMAC     AuthenticationType = "HMAC"     // keepalived's auth_hmac
)

// AuthenticationMode says what type HMAC makes of adverts without signature.
//
// +kubebuilder:validation:Enum=Enforce;Permissive;ReceiveOnly
type AuthenticationMode string

// The modes.
const (
	AuthenticationEnforce     AuthenticationMode = "Enforce"     // sign; accept nothing else
	AuthenticationPermissive  AuthenticationMode = "Permissive"  // sign; accept adverts without signature too
	AuthenticationReceiveOnly AuthenticationMode = "ReceiveOnly" // do not sign; accept adverts without signature too
)

// Authentication says how nodes know each other's adverts from a stranger's. It
// must be the same on all nodes: what is authenticated in another way is not
// listened to. The standards have had none since 2004; these are keepalived's.
//
// +kubebuilder:validation:XValidation:rule="has(self.password) == (has(self.type) && self.type in ['Password', 'AH'])",message="password belongs to types Password and AH, which need it"
// +kubebuilder:validation:XValidation:rule="has(self.keys) == (has(self.type) && self.type == 'HMAC')",message="keys belong to type HMAC, which needs them"
// +kubebuilder:validation:XValidation:rule="has(self.type) && self.type == 'HMAC' || !has(self.activeKey) && !has(self.mode) && !has(self.window)",message="activeKey, mode and window belong to type HMAC"
type Authentication struct {
	// Type is None; Password, up to 8 bytes that everybody on the link can
	// read, which protects from mistakes only; AH, an IP Authentication Header
	// whose key is such a password; or HMAC, keepalived's auth_hmac (since
	// 2.4), a signature with a time, which is the one to choose. Password and
	// AH are for version 2 only, HMAC is for both versions and families. AH
	// uses MD5 and exists for the sake of old peers only. Default: None.
	//
	// +optional
	Type AuthenticationType `json:"type,omitempty"`

	// Password is the password of types Password and AH: 1 to 8 printable
	// characters of ASCII. A longer one is refused, since keepalived would use
	// the first 8 characters of it: give those.
	//
	// +optional
	Password *SecretKeyReference `json:"password,omitempty"`

	// Keys are the keys of type HMAC. An advert signed with any of them is
	// believed. To change keys without an interruption, add the new key on
	// all nodes, then make it the active one, then remove the old one.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=id
	Keys []AuthenticationKey `json:"keys,omitempty"`

	// ActiveKey is the id of the key that signs. Default: that of the first
	// of Keys.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=255
	ActiveKey *int32 `json:"activeKey,omitempty"`

	// Mode of type HMAC is Enforce (sign, and accept nothing else), Permissive
	// (sign, and accept adverts without signature too) or ReceiveOnly (do not
	// sign, and accept both). A wrong signature is refused in all of them. To
	// begin signing without an interruption, take all nodes to ReceiveOnly,
	// then to Permissive, then to Enforce. Default: Enforce.
	//
	// +optional
	Mode AuthenticationMode `json:"mode,omitempty"`

	// Window of type HMAC is by how much the clocks of two nodes may differ,
	// 1s to 300s in whole seconds. Beyond it their adverts count as old ones
	// that somebody sends again. Default: three advert intervals, at least 5s.
	//
	// +optional
	Window *metav1.Duration `json:"window,omitempty"`
}

// AuthenticationKey is a key of type HMAC.
type AuthenticationKey struct {
	// ID is the number by which adverts name the key.
	//
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=255
	ID int32 `json:"id"`

	// Secret holds the key: 32 to 64 bytes, used as they are. Make one by
	// `head -c 32 /dev/urandom | base64` for the Secret's data.
	Secret SecretKeyReference `json:"secret"`
}

// SecretKeyReference names one entry of a Secret of Kubernetes.
type SecretKeyReference struct {
	// Namespace of the Secret. Default: default.
	//
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// Name of the Secret.
	//
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`

	// Key is the entry of the Secret's data.
	//
	// +kubebuilder:validation:MinLength=1
	Key string `json:"key"`
}
