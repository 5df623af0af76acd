// Package v1alpha1 holds Harmony's own object kinds, group kaas.harmony. The
// same YAML works from a folder and as custom resources. The comments of the
// types are the contract: the CRDs and docs/objects.md are generated from them,
// and every default is stated in exactly one of them.
//
// +kubebuilder:object:generate=true
// +groupName=kaas.harmony
package v1alpha1

//go:generate go tool -modfile=../../tools/go.mod controller-gen object crd:crdVersions=v1 paths=. output:crd:dir=../../manifests/crds output:object:dir=.
//go:generate go test -run=TestDocs -update .

import "k8s.io/apimachinery/pkg/runtime/schema"

// Kinds of this group.
const (
	KindVirtualRouter = "VirtualRouter"
	KindL4Service     = "L4Service"
	KindSettings      = "Settings"
)

// GroupVersion is the API group and version of every kind in this package.
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: "kaas.harmony", Version: "v1alpha1"}
}
