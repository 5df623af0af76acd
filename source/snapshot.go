package source

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"harmony/api/v1alpha1"
)

// Kinds of Kubernetes' own objects in a Snapshot.
const (
	KindEndpointSlice = "EndpointSlice"
	KindIngress       = "Ingress"
	KindIngressClass  = "IngressClass"
	KindSecret        = "Secret"
	KindService       = "Service"
)

// Snapshot is every object that Harmony decides from. It is a value: nobody
// changes the objects of a Snapshot that they did not make. The order of its
// lists has no meaning; Sorted gives the canonical one.
type Snapshot struct {
	VirtualRouters []v1alpha1.VirtualRouter    `json:"virtualRouters,omitempty"`
	L4Services     []v1alpha1.L4Service        `json:"l4Services,omitempty"`
	Settings       []v1alpha1.Settings         `json:"settings,omitempty"`
	Ingresses      []networkingv1.Ingress      `json:"ingresses,omitempty"`
	IngressClasses []networkingv1.IngressClass `json:"ingressClasses,omitempty"`
	Services       []corev1.Service            `json:"services,omitempty"`
	Secrets        []corev1.Secret             `json:"secrets,omitempty"`
	EndpointSlices []discoveryv1.EndpointSlice `json:"endpointSlices,omitempty"`

	// Origins says where objects were read. Objects from an API have none, and
	// must not be given one: only what was read from a file may declare scripts.
	Origins map[Ref]Origin `json:"-"`
}

// Origin is where an object was read, so that a problem found long after
// reading still names the line of the very field.
type Origin struct {
	File   string         // as the user named it
	Line   int            // of the object's first line; 0 when no longer known
	Fields map[string]int // line by field path: "spec.rules[0].http.paths[1].path"
}

// line returns the line of field, or of its nearest ancestor that is written.
func (o Origin) line(field string) int {
	for field != "" {
		if n, ok := o.Fields[field]; ok {
			return n
		}
		field = field[:max(strings.LastIndexAny(field, ".["), 0)]
	}
	return o.Line
}

// Locate returns p with the file and line of its object and field, if they are
// known and p has none yet.
func (s Snapshot) Locate(p Problem) Problem {
	if o, ok := s.Origins[p.Object]; ok && p.File == "" {
		p.File, p.Line = o.File, o.line(p.Field)
	}
	return p
}

// Sorted returns s with every list ordered by namespace and name. The lists
// are copies.
func (s Snapshot) Sorted() Snapshot {
	sortObjects(&s.VirtualRouters)
	sortObjects(&s.L4Services)
	sortObjects(&s.Settings)
	sortObjects(&s.Ingresses)
	sortObjects(&s.IngressClasses)
	sortObjects(&s.Services)
	sortObjects(&s.Secrets)
	sortObjects(&s.EndpointSlices)
	return s
}

// Refs returns the Ref of every object of s, each once, in canonical order.
func (s Snapshot) Refs() []Ref {
	refs := make(map[Ref]bool)
	s.Filter(func(r Ref) bool { refs[r] = true; return false })
	return slices.SortedFunc(maps.Keys(refs), Ref.Compare)
}

// Filter returns the part of s whose objects keep returns true for, with their
// origins.
func (s Snapshot) Filter(keep func(Ref) bool) Snapshot {
	out := Snapshot{
		VirtualRouters: filterObjects(v1alpha1.KindVirtualRouter, s.VirtualRouters, keep),
		L4Services:     filterObjects(v1alpha1.KindL4Service, s.L4Services, keep),
		Settings:       filterObjects(v1alpha1.KindSettings, s.Settings, keep),
		Ingresses:      filterObjects(KindIngress, s.Ingresses, keep),
		IngressClasses: filterObjects(KindIngressClass, s.IngressClasses, keep),
		Services:       filterObjects(KindService, s.Services, keep),
		Secrets:        filterObjects(KindSecret, s.Secrets, keep),
		EndpointSlices: filterObjects(KindEndpointSlice, s.EndpointSlices, keep),
		Origins:        make(map[Ref]Origin),
	}
	for ref, o := range s.Origins {
		if keep(ref) {
			out.Origins[ref] = o
		}
	}
	return out
}

// Merge returns the objects of s and then those of o, with the origins of both;
// o's win. Nothing looks for objects that are in both.
func (s Snapshot) Merge(o Snapshot) Snapshot {
	out := Snapshot{
		VirtualRouters: slices.Concat(s.VirtualRouters, o.VirtualRouters),
		L4Services:     slices.Concat(s.L4Services, o.L4Services),
		Settings:       slices.Concat(s.Settings, o.Settings),
		Ingresses:      slices.Concat(s.Ingresses, o.Ingresses),
		IngressClasses: slices.Concat(s.IngressClasses, o.IngressClasses),
		Services:       slices.Concat(s.Services, o.Services),
		Secrets:        slices.Concat(s.Secrets, o.Secrets),
		EndpointSlices: slices.Concat(s.EndpointSlices, o.EndpointSlices),
		Origins:        make(map[Ref]Origin, len(s.Origins)+len(o.Origins)),
	}
	maps.Copy(out.Origins, s.Origins)
	maps.Copy(out.Origins, o.Origins)
	return out
}

// object is a pointer to one of the element types of a Snapshot.
type object[T any] interface {
	*T
	metav1.Object
}

// RefOf names obj, which is of the given kind.
func RefOf(kind string, obj metav1.Object) Ref {
	return Ref{Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

func sortObjects[T any, P object[T]](list *[]T) {
	order := make([]P, len(*list))
	for i := range *list {
		order[i] = &(*list)[i]
	}
	slices.SortStableFunc(order, func(a, b P) int {
		return cmp.Or(
			strings.Compare(a.GetNamespace(), b.GetNamespace()),
			strings.Compare(a.GetName(), b.GetName()))
	})
	sorted := make([]T, 0, len(order))
	for _, p := range order {
		sorted = append(sorted, *p)
	}
	*list = sorted
}

func filterObjects[T any, P object[T]](kind string, list []T, keep func(Ref) bool) []T {
	var out []T
	for i := range list {
		if keep(RefOf(kind, P(&list[i]))) {
			out = append(out, list[i])
		}
	}
	return out
}
