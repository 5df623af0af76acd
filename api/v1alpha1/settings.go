package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SettingsName is the only name that a Settings object may have.
const SettingsName = "default"

// Settings are the settings of every node. There is at most one object, named
// default.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=settings,singular=settings
// +kubebuilder:validation:XValidation:rule="self.metadata.name == 'default'",message="the only Settings object is named default"
type Settings struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec SettingsSpec `json:"spec"`
}

// SettingsSpec is what Settings say. The two ports must differ.
type SettingsSpec struct {
	// HTTPPort is where NGINX listens for HTTP. Default: 80.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	HTTPPort *int32 `json:"httpPort,omitempty"`

	// HTTPSPort is where NGINX listens for HTTPS. Default: 443.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	HTTPSPort *int32 `json:"httpsPort,omitempty"`

	// Scripts are the scripts and programs that objects may name. Only a file
	// or folder may declare them, never Kubernetes: who may write an object
	// there must not be able to run commands on nodes.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +listType=map
	// +listMapKey=name
	Scripts []Script `json:"scripts,omitempty"`

	// Gossip is how nodes find each other for routers with transport mode
	// Gossip, which need it.
	//
	// +optional
	Gossip *Gossip `json:"gossip,omitempty"`

	// SyncGroups say more of sync groups. A group that is not listed is one all
	// the same.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=255
	// +listType=map
	// +listMapKey=name
	SyncGroups []SyncGroup `json:"syncGroups,omitempty"`

	// NotifyFIFO gets a line for each notification, whether or not a script is
	// run. As with Scripts, only a file or folder may say so.
	//
	// +optional
	NotifyFIFO *NotifyFIFO `json:"notifyFIFO,omitempty"`
}

// Script is a script or program that a node runs, without a shell, with a
// minimal environment and without a way to new privileges. It is run only if
// nobody but root and its user can change the file, or a folder on the way to
// it.
type Script struct {
	// Name is what objects call it.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// Command is the program, by its absolute path, and its arguments. No
	// shell looks at them; a shell script begins with #!/bin/sh.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	Command []string `json:"command"`

	// User is who runs it, a name or number of the node's /etc/passwd; root
	// only if this says so. Default: keepalived_script, or nobody on a node
	// without such a user.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	User string `json:"user,omitempty"`

	// Group is the group it runs as, a name or number, and its only one.
	// Default: the groups of the user.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Group string `json:"group,omitempty"`

	// Timeout is how long it may take, 10ms to 1h. Then its whole process
	// group is ended. Default: 10s.
	//
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// SettingsList is a list of Settings objects.
//
// +kubebuilder:object:root=true
type SettingsList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Settings `json:"items"`
}
