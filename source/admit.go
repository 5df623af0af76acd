package source

import (
	"errors"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"harmony/api/v1alpha1"
)

// Admit judges each object of s on its own, as kube-apiserver would have
// (objects from a folder have met no such judge): names, and the contents of
// Services, EndpointSlices and TLS Secrets. The specs of Ingresses and of our
// own kinds are judged where they are used. It returns s without the objects
// that it refuses.
func Admit(s Snapshot) (Snapshot, []Problem) {
	var problems []Problem
	refused := make(map[Ref]bool)
	judge := func(kind string, obj metav1.Object, spec func(*Report)) {
		r := &Report{Object: RefOf(kind, obj)}
		admitMeta(r, kind, obj)
		if spec != nil {
			spec(r)
		}
		problems = append(problems, r.Problems...)
		if r.Refused() {
			refused[r.Object] = true
		}
	}
	for i := range s.VirtualRouters {
		judge(v1alpha1.KindVirtualRouter, &s.VirtualRouters[i], nil)
	}
	for i := range s.L4Services {
		judge(v1alpha1.KindL4Service, &s.L4Services[i], nil)
	}
	for i := range s.Settings {
		judge(v1alpha1.KindSettings, &s.Settings[i], nil)
	}
	for i := range s.Ingresses {
		judge(KindIngress, &s.Ingresses[i], nil)
	}
	for i := range s.IngressClasses {
		judge(KindIngressClass, &s.IngressClasses[i], nil)
	}
	for i := range s.Services {
		judge(KindService, &s.Services[i], func(r *Report) { admitService(r, &s.Services[i]) })
	}
	for i := range s.Secrets {
		judge(KindSecret, &s.Secrets[i], func(r *Report) { admitSecret(r, &s.Secrets[i]) })
	}
	for i := range s.EndpointSlices {
		judge(KindEndpointSlice, &s.EndpointSlices[i], func(r *Report) { admitSlice(r, &s.EndpointSlices[i]) })
	}
	if len(refused) > 0 {
		s = s.Filter(func(ref Ref) bool { return !refused[ref] })
	}
	return s, problems
}

// ClusterScoped reports whether objects of kind have no namespace.
func ClusterScoped(kind string) bool {
	switch kind {
	case v1alpha1.KindVirtualRouter, v1alpha1.KindL4Service, v1alpha1.KindSettings, KindIngressClass:
		return true
	}
	return false
}

func admitMeta(r *Report, kind string, obj metav1.Object) {
	if obj.GetName() == "" {
		r.Refuse("metadata.name", CodeRequired, "a name is needed")
	} else if kind == KindService {
		r.Grammar("metadata.name", obj.GetName(), validation.IsDNS1123Label)
	} else {
		r.Grammar("metadata.name", obj.GetName(), validation.IsDNS1123Subdomain)
	}
	switch namespace := obj.GetNamespace(); {
	case !ClusterScoped(kind):
		r.Grammar("metadata.namespace", namespace, validation.IsDNS1123Label)
	case namespace != "":
		r.Refuse("metadata.namespace", CodeInvalid, "objects of this kind have no namespace: remove it")
	}
}

func admitService(r *Report, svc *corev1.Service) {
	switch svc.Spec.Type {
	case "", corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeExternalName:
	default:
		r.Refuse("spec.type", CodeInvalid, "%s is not a type of Service", Quote(string(svc.Spec.Type)))
	}
	type number struct {
		port     int32
		protocol corev1.Protocol
	}
	numbers, names := make(map[number]bool), make(map[string]bool)
	for i, p := range svc.Spec.Ports {
		field := At("spec.ports", i)
		r.Port(field+".port", p.Port)
		r.protocol(field+".protocol", p.Protocol)
		if p.Name == "" && len(svc.Spec.Ports) > 1 {
			r.Refuse(field+".name", CodeRequired, "with more than one port, each needs a name")
		} else if p.Name != "" {
			r.Grammar(field+".name", p.Name, validation.IsDNS1123Label)
		}
		if key := (number{p.Port, protocolOf(p.Protocol)}); numbers[key] {
			r.Refuse(field+".port", CodeDuplicate, "%d/%s is there already", key.port, key.protocol)
		} else {
			numbers[key] = true
		}
		if p.Name != "" && names[p.Name] {
			r.Refuse(field+".name", CodeDuplicate, "%s is there already", Quote(p.Name))
		}
		names[p.Name] = true
	}
}

func admitSecret(r *Report, secret *corev1.Secret) {
	if secret.Type != corev1.SecretTypeTLS {
		return
	}
	_, _, err := KeyPair(secret)
	if bad, ok := errors.AsType[*KeyPairError](err); ok {
		r.Refuse(bad.Field, CodeInvalid, "%s", bad.Reason)
	}
}

func admitSlice(r *Report, slice *discoveryv1.EndpointSlice) {
	switch slice.AddressType {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6:
	case discoveryv1.AddressTypeFQDN:
		r.Warn("addressType", CodeUnsupported, "endpoints of type FQDN are ignored: give addresses")
		return
	default:
		r.Refuse("addressType", CodeInvalid, "must be IPv4 or IPv6, not %s", Quote(string(slice.AddressType)))
		return
	}
	if slice.Labels[discoveryv1.LabelServiceName] == "" {
		r.Warn("metadata.labels", CodeRequired, "without the label %s it belongs to no Service", discoveryv1.LabelServiceName)
	}
	for i, p := range slice.Ports {
		if p.Port != nil {
			r.Port(At("ports", i)+".port", *p.Port)
		}
		if p.Protocol != nil {
			r.protocol(At("ports", i)+".protocol", *p.Protocol)
		}
	}
	for i, e := range slice.Endpoints {
		for j, text := range e.Addresses {
			field := At(At("endpoints", i)+".addresses", j)
			if _, reason := endpointAddress(slice.AddressType, text); reason != "" {
				r.Refuse(field, CodeInvalid, "%s %s", Quote(text), reason)
			}
		}
	}
}

// endpointAddress parses an address of an EndpointSlice. Unlike in Kubernetes a
// loopback address is accepted: without Kubernetes, the application behind
// NGINX may well be on the same machine. The reason says why it failed.
func endpointAddress(family discoveryv1.AddressType, text string) (addr netip.Addr, reason string) {
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return addr, "is not an IP address"
	case addr.Is4() != (family == discoveryv1.AddressTypeIPv4):
		return addr, "is not of addressType " + string(family)
	case addr.Is4In6(), addr.Zone() != "", addr.IsUnspecified(), addr.IsMulticast(), addr.IsLinkLocalUnicast():
		return addr, "is not an address of an endpoint"
	}
	return addr, ""
}

func (r *Report) protocol(field string, p corev1.Protocol) {
	if !slices.Contains([]corev1.Protocol{"", corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}, p) {
		r.Refuse(field, CodeInvalid, "must be TCP, UDP or SCTP, not %s", Quote(string(p)))
	}
}

// protocolOf applies Kubernetes' default.
func protocolOf(p corev1.Protocol) corev1.Protocol {
	if p == "" {
		return corev1.ProtocolTCP
	}
	return p
}
