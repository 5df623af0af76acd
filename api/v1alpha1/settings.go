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
}

// SettingsList is a list of Settings objects.
//
// +kubebuilder:object:root=true
type SettingsList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Settings `json:"items"`
}
