package folder

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"harmony/api/v1alpha1"
	"harmony/source"
)

// header is what every object says about itself, read without knowing its kind.
type header struct {
	apiVersion string
	source.Ref
}

func headerOf(n *yaml.Node) header {
	metadata := child(n, "metadata")
	h := header{
		apiVersion: text(child(n, "apiVersion")),
		Ref:        source.Ref{Kind: text(child(n, "kind")), Namespace: text(child(metadata, "namespace")), Name: text(child(metadata, "name"))},
	}
	if h.Namespace == "" && !source.ClusterScoped(h.Kind) {
		h.Namespace = metav1.NamespaceDefault
	}
	return h
}

// child returns the value of a key of a mapping, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// document adds the object at n, or the objects of the List at n. offset is
// added to the lines of nodes.
func (l *loader) document(file string, offset int, n *yaml.Node) {
	h := headerOf(n)
	if h.Kind == "" || h.apiVersion == "" {
		l.refuseFile(file, offset+n.Line, source.CodeMalformed, "is not an object: it needs apiVersion and kind")
		return
	}
	if items := child(n, "items"); h.apiVersion == "v1" && h.Kind == "List" && items != nil && items.Kind == yaml.SequenceNode {
		for _, item := range items.Content {
			l.document(file, offset, item)
		}
		return
	}
	r := &source.Report{Object: h.Ref}
	origin := source.Origin{File: file, Line: offset + n.Line, Fields: make(map[string]int)}
	for i := 0; i < len(n.Content); i += 2 { // a mapping: it has a kind
		origin.Fields[n.Content[i].Value] = offset + n.Content[i].Line
	}
	if keep := l.decode(r, h, n, origin, offset); keep != nil {
		if first, again := l.snapshot.Origins[h.Ref]; again {
			r.Refuse("", source.CodeDuplicate, "is there already, in %s:%d", first.File, first.Line)
		}
		if !r.Refused() {
			keep()
			l.snapshot.Origins[h.Ref] = origin
		}
	}
	here := source.Snapshot{Origins: map[source.Ref]source.Origin{h.Ref: origin}}
	for _, p := range r.Problems {
		l.problems = append(l.problems, here.Locate(p))
	}
}

// decode reads the object at n. It returns what adds it to the Snapshot, or nil
// if its kind is not one that is used.
func (l *loader) decode(r *source.Report, h header, n *yaml.Node, origin source.Origin, offset int) (keep func()) {
	into, keep := l.target(h.apiVersion, h.Kind)
	if into == nil {
		rejectKind(r, h)
		return nil
	}
	d := &decoder{report: r, fields: l.fields, lines: origin.Fields, offset: offset, quiet: h.Kind == source.KindSecret}
	d.value("", n, reflect.ValueOf(into).Elem())
	into.SetNamespace(h.Namespace)
	return keep
}

// rejectKind says why an object of this kind is not used. Kinds that people
// have beside ours in their manifests cost only a Warning.
func rejectKind(r *source.Report, h header) {
	group, _, _ := strings.Cut(h.apiVersion, "/")
	used := usedKinds()
	switch want := used[h.Kind]; {
	case want != "" && (group == "extensions" || strings.HasPrefix(want, group+"/")):
		r.Refuse("apiVersion", source.CodeUnknownKind, "%s is not known for this kind: use %s", source.Quote(h.apiVersion), want)
	case group == v1alpha1.GroupVersion().Group:
		r.Refuse("kind", source.CodeUnknownKind, "%s has no kind %s", source.Quote(h.apiVersion), source.Quote(h.Kind))
	default:
		r.Warn("", source.CodeUnknownKind, "objects of %s are not used here: ignored", source.Quote(h.apiVersion))
	}
}

// usedKinds returns the apiVersion of each kind that a Snapshot holds.
func usedKinds() map[string]string {
	ours := v1alpha1.GroupVersion().String()
	return map[string]string{
		v1alpha1.KindVirtualRouter: ours,
		v1alpha1.KindL4Service:     ours,
		v1alpha1.KindSettings:      ours,
		source.KindIngress:         networkingv1.SchemeGroupVersion.String(),
		source.KindIngressClass:    networkingv1.SchemeGroupVersion.String(),
		source.KindService:         corev1.SchemeGroupVersion.String(),
		source.KindSecret:          corev1.SchemeGroupVersion.String(),
		source.KindEndpointSlice:   discoveryv1.SchemeGroupVersion.String(),
	}
}

// target returns a new object to decode into, and what adds it to the Snapshot
// once decoded; nil for a kind that is not used.
func (l *loader) target(apiVersion, kind string) (metav1.Object, func()) {
	if usedKinds()[kind] != apiVersion {
		return nil, nil
	}
	s := &l.snapshot
	switch kind {
	case v1alpha1.KindVirtualRouter:
		return into(&s.VirtualRouters)
	case v1alpha1.KindL4Service:
		return into(&s.L4Services)
	case v1alpha1.KindSettings:
		return into(&s.Settings)
	case source.KindIngress:
		return into(&s.Ingresses)
	case source.KindIngressClass:
		return into(&s.IngressClasses)
	case source.KindService:
		return into(&s.Services)
	case source.KindSecret:
		return intoSecret(&s.Secrets)
	case source.KindEndpointSlice:
		return into(&s.EndpointSlices)
	}
	return nil, nil
}

func into[T any, P interface {
	*T
	metav1.Object
}](list *[]T) (metav1.Object, func()) {
	obj := P(new(T))
	return obj, func() { *list = append(*list, *obj) }
}

// intoSecret also moves stringData to data, as kube-apiserver does on writing.
func intoSecret(list *[]corev1.Secret) (metav1.Object, func()) {
	obj := new(corev1.Secret)
	return obj, func() {
		for key, value := range obj.StringData {
			if obj.Data == nil {
				obj.Data = make(map[string][]byte)
			}
			obj.Data[key] = []byte(value)
		}
		obj.StringData = nil
		*list = append(*list, *obj)
	}
}
