package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Track is one thing that a virtual router depends on. It says exactly one of
// interface, script, file, process, http, tcp, grpc, nginx and kubeAPIServer.
type Track struct {
	// Name says in status what this is, such as "track NAME down". No two of a
	// router have the same.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// Weight, if positive, is added to the priority while this is up, and if
	// negative, while it is down. With 0 the router takes no part in the
	// election (FAULT) while this is down. Default: 0.
	//
	// +optional
	// +kubebuilder:validation:Minimum=-253
	// +kubebuilder:validation:Maximum=253
	Weight int32 `json:"weight,omitempty"`

	// Reverse turns the adjustment round: a positive weight is subtracted while
	// this is up, what a negative one takes away is added while it is down,
	// and with weight 0 the router is in FAULT while this is up.
	// Default: false.
	//
	// +optional
	Reverse bool `json:"reverse,omitempty"`

	// Interval is the time between two looks, 10ms to 1h. An interface needs
	// none: the kernel tells of changes, and they count at once, or after its
	// delays. Default: 1s.
	//
	// +optional
	Interval *metav1.Duration `json:"interval,omitempty"`

	// Timeout is how long a look may take until it counts as failed, 1ms to
	// 1h. Default: the interval.
	//
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// Rise is how many looks in a row must succeed until this is up. The very
	// first look counts at once, either way. Default: 2.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Rise *int32 `json:"rise,omitempty"`

	// Fall is how many looks in a row must fail until this is down. Default: 3.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Fall *int32 `json:"fall,omitempty"`

	// Interface is a network interface of the node that must be up: exist, be
	// switched on, and have a carrier. The router's own is always tracked.
	//
	// +optional
	Interface *TrackLink `json:"interface,omitempty"`

	// Script is the name of a script that Settings declare: up is exit status
	// 0.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Script string `json:"script,omitempty"`

	// File is a file of the node.
	//
	// +optional
	File *TrackFile `json:"file,omitempty"`

	// Process is a process of the node that must run.
	//
	// +optional
	Process *TrackProcess `json:"process,omitempty"`

	// HTTP is a URL that must answer well.
	//
	// +optional
	HTTP *TrackHTTP `json:"http,omitempty"`

	// TCP is a port that must accept connections.
	//
	// +optional
	TCP *TrackTCP `json:"tcp,omitempty"`

	// GRPC is a server that must say SERVING (grpc.health.v1).
	//
	// +optional
	GRPC *TrackGRPC `json:"grpc,omitempty"`

	// NGINX is the NGINX that `harmony nginx` runs on this node: it must
	// answer. Written as {}.
	//
	// +optional
	NGINX *TrackNGINX `json:"nginx,omitempty"`

	// KubeAPIServer is the kube-apiserver of this node: it must be ready.
	// Written as {} where its port is the usual one.
	//
	// +optional
	KubeAPIServer *TrackKubeAPIServer `json:"kubeAPIServer,omitempty"`
}

// TrackLink is a network interface.
type TrackLink struct {
	// Name is the interface's name.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=15
	Name string `json:"name"`

	// UpDelay is how long it must have been up until that counts, 0s to
	// 1000s, against links that flap. Default: 0s.
	//
	// +optional
	UpDelay *metav1.Duration `json:"upDelay,omitempty"`

	// DownDelay is the same for down. Default: 0s.
	//
	// +optional
	DownDelay *metav1.Duration `json:"downDelay,omitempty"`
}

// FileContent says what is tracked of a file.
//
// +kubebuilder:validation:Enum=Exists;Number
type FileContent string

// What can be tracked of a file.
const (
	FileExists FileContent = "Exists"
	FileNumber FileContent = "Number"
)

// TrackFile is a file of the node.
type TrackFile struct {
	// Path is the absolute path of the file.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Path string `json:"path"`

	// Content is what is looked at. Exists: up is that there is something at
	// the path. Number: the number in the file, times the weight, is added to
	// the priority; below -253 the router is in FAULT; with weight 0 it is in
	// FAULT while the number is not 0. A missing file counts as 0; while the
	// file holds no number, the last one stays. Default: Exists.
	//
	// +optional
	Content FileContent `json:"content,omitempty"`
}

// TrackProcess is a process of the node, by exactly one of name and pidFile.
type TrackProcess struct {
	// Name is the name of the program's file, without its folder.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Name string `json:"name,omitempty"`

	// PIDFile is the absolute path of a file with the process's number.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	PIDFile string `json:"pidFile,omitempty"`

	// Min is how many processes of the name must run, 0 to 100000. Default: 1.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	Min *int32 `json:"min,omitempty"`

	// Max is how many may run, 0 for any number. Default: 0.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	Max *int32 `json:"max,omitempty"`
}

// TrackHTTP is a URL that is asked for with GET.
type TrackHTTP struct {
	// URL is http:// or https:// with an IP address as host, such as
	// http://127.0.0.1:8080/healthz: names are not resolved, so that no name
	// server can take addresses away.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`

	// Host is the Host header. Default: the host of the URL.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host,omitempty"`

	// MinStatus is the lowest status that is well. Default: 200.
	//
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=599
	MinStatus *int32 `json:"minStatus,omitempty"`

	// MaxStatus is the highest status that is well; redirects are not
	// followed. Default: 399.
	//
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=599
	MaxStatus *int32 `json:"maxStatus,omitempty"`

	// TLS says how the certificate is verified. Only with https. Default: by
	// the authorities of the node's system, for the Host or the address.
	//
	// +optional
	TLS *TrackTLS `json:"tls,omitempty"`
}

// TrackTLS says how a certificate is verified.
type TrackTLS struct {
	// Insecure accepts any certificate. Default: false.
	//
	// +optional
	Insecure bool `json:"insecure,omitempty"`

	// CA is the absolute path of a file with the authorities (PEM), read anew
	// each time. Default: those of the system.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	CA string `json:"ca,omitempty"`

	// Name is the name that the certificate must be for. Default: the Host
	// header, or the address.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// TrackTCP is a TCP port.
type TrackTCP struct {
	// Address is an IP address, such as 127.0.0.1.
	Address string `json:"address"`

	// Port is the port.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
}

// TrackGRPC is a gRPC server with the health service.
type TrackGRPC struct {
	// Address is an IP address, such as 127.0.0.1.
	Address string `json:"address"`

	// Port is the port.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`

	// Service is what is asked about. Default: the server as a whole.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Service string `json:"service,omitempty"`

	// TLS encrypts the connection, and says how the certificate is verified.
	// Default: none, plain HTTP/2.
	//
	// +optional
	TLS *TrackTLS `json:"tls,omitempty"`
}

// TrackNGINX is the NGINX of this node.
type TrackNGINX struct{}

// TrackKubeAPIServer is the kube-apiserver of this node: GET /readyz at
// 127.0.0.1 must answer 200, without authentication, as Kubernetes allows by
// default.
type TrackKubeAPIServer struct {
	// Port is its port. Default: 6443.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`

	// CA is the absolute path of a file with its authority, such as
	// /etc/kubernetes/pki/ca.crt; the certificate must be for the name
	// kubernetes. Default: it is not verified.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	CA string `json:"ca,omitempty"`
}

// withDefaults fills in what was left out.
func (t *Track) withDefaults() {
	setDefault(&t.Interval, &metav1.Duration{Duration: time.Second})
	setDefault(&t.Timeout, &metav1.Duration{Duration: t.Interval.Duration})
	setDefault(&t.Rise, ptr.To[int32](2))
	setDefault(&t.Fall, ptr.To[int32](3))
	if t.Interface != nil {
		setDefault(&t.Interface.UpDelay, &metav1.Duration{})
		setDefault(&t.Interface.DownDelay, &metav1.Duration{})
	}
	if t.File != nil {
		setDefault(&t.File.Content, FileExists)
	}
	if t.Process != nil {
		setDefault(&t.Process.Min, ptr.To[int32](1))
		setDefault(&t.Process.Max, ptr.To[int32](0))
	}
	if t.HTTP != nil {
		setDefault(&t.HTTP.MinStatus, ptr.To[int32](200))
		setDefault(&t.HTTP.MaxStatus, ptr.To[int32](399))
	}
	if t.KubeAPIServer != nil {
		setDefault(&t.KubeAPIServer.Port, ptr.To[int32](6443))
	}
}
