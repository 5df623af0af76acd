package ingress

import (
	networkingv1 "k8s.io/api/networking/v1"

	"harmony/source"
)

// Controller is the spec.controller of the IngressClasses that are Harmony's.
const Controller = "kaas.harmony/ingress"

// Annotations of Kubernetes that choose a class.
const (
	classAnnotation   = "kubernetes.io/ingress.class"
	defaultAnnotation = networkingv1.AnnotationIsDefaultIngressClass
)

// ours returns the Ingresses of s that are of a class of ours. With no
// IngressClass at all, as in a plain folder, those without a class and those of
// the classes "harmony" and "nginx" are. A class that nobody has declared is a
// Warning; that of another controller is none of our business.
func ours(s source.Snapshot) (asked []*networkingv1.Ingress, problems []source.Problem) {
	classes := make(map[string]bool) // name: ours
	var hasDefault bool
	for _, c := range s.IngressClasses {
		classes[c.Name] = c.Spec.Controller == Controller
		hasDefault = hasDefault || classes[c.Name] && c.Annotations[defaultAnnotation] == "true"
	}
	for i := range s.Ingresses {
		ing := &s.Ingresses[i]
		name, field := className(ing)
		mine, declared := classes[name]
		switch {
		case mine, len(classes) == 0 && (name == "" || name == "nginx" || name == "harmony"):
			asked = append(asked, ing)
		case declared:
		case name == "" && hasDefault:
			asked = append(asked, ing)
		default:
			r := source.Report{Object: source.RefOf(source.KindIngress, ing)}
			if name == "" {
				r.Warn(field, source.CodeNotFound, "ignored: it has no class, and no IngressClass of %s is the default", Controller)
			} else {
				r.Warn(field, source.CodeNotFound, "ignored: there is no IngressClass %s", source.Quote(name))
			}
			problems = append(problems, r.Problems...)
		}
	}
	return asked, problems
}

// className returns the class that ing asks for, "" for none, and the field
// that says so.
func className(ing *networkingv1.Ingress) (name, field string) {
	if ing.Spec.IngressClassName != nil {
		return *ing.Spec.IngressClassName, "spec.ingressClassName"
	}
	if name, ok := ing.Annotations[classAnnotation]; ok {
		return name, source.Key("metadata.annotations", classAnnotation)
	}
	return "", "spec.ingressClassName"
}
