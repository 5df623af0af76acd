package source

import (
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Backends answers which endpoints stand behind a Service's port.
type Backends struct {
	services map[Ref]*corev1.Service
	slices   map[Ref][]*discoveryv1.EndpointSlice
}

// Backends indexes the Services and EndpointSlices of s, which must have been
// admitted. It refers to the objects of s.
func (s Snapshot) Backends() Backends {
	b := Backends{
		services: make(map[Ref]*corev1.Service, len(s.Services)),
		slices:   make(map[Ref][]*discoveryv1.EndpointSlice, len(s.Services)),
	}
	for i := range s.Services {
		b.services[RefOf(KindService, &s.Services[i])] = &s.Services[i]
	}
	for i := range s.EndpointSlices {
		slice := &s.EndpointSlices[i]
		owner := Ref{KindService, slice.Namespace, slice.Labels[discoveryv1.LabelServiceName]}
		b.slices[owner] = append(b.slices[owner], slice)
	}
	return b
}

// Service returns the Service of that name, or nil.
func (b Backends) Service(namespace, name string) *corev1.Service {
	return b.services[Ref{KindService, namespace, name}]
}

// Port returns the port of svc with that number or name. A number means the
// first port that has it, of protocol if that is not empty.
func Port(svc *corev1.Service, port intstr.IntOrString, protocol corev1.Protocol) (corev1.ServicePort, bool) {
	for _, p := range svc.Spec.Ports {
		if protocol != "" && protocolOf(p.Protocol) != protocol {
			continue
		}
		if port.Type == intstr.Int && p.Port == port.IntVal || port.Type == intstr.String && p.Name == port.StrVal {
			return p, true
		}
	}
	return corev1.ServicePort{}, false
}

// Endpoints returns the ready endpoints of a port of svc, of both families,
// sorted, each once. An endpoint whose readiness is unknown counts as ready.
// The ports of slices are matched by name, as Kubernetes does: an EndpointSlice
// port is called like the Service's port.
func (b Backends) Endpoints(svc *corev1.Service, port corev1.ServicePort) []netip.AddrPort {
	var found []netip.AddrPort
	for _, slice := range b.slices[RefOf(KindService, svc)] {
		number, ok := slicePort(slice, port)
		if !ok {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			for _, text := range e.Addresses {
				if addr, reason := endpointAddress(slice.AddressType, text); reason == "" {
					found = append(found, netip.AddrPortFrom(addr, number))
				}
			}
		}
	}
	slices.SortFunc(found, netip.AddrPort.Compare)
	return slices.Compact(found)
}

func slicePort(slice *discoveryv1.EndpointSlice, port corev1.ServicePort) (uint16, bool) {
	for _, p := range slice.Ports {
		name, protocol := "", corev1.ProtocolTCP
		if p.Name != nil {
			name = *p.Name
		}
		if p.Protocol != nil {
			protocol = protocolOf(*p.Protocol)
		}
		if name == port.Name && protocol == protocolOf(port.Protocol) && p.Port != nil && *p.Port >= 1 && *p.Port <= 65535 {
			return uint16(*p.Port), true
		}
	}
	return 0, false
}

// At returns the path of the i-th entry of the list field.
func At(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

// Key returns the path of an entry of the map field.
func Key(field, key string) string { return field + "[" + key + "]" }
