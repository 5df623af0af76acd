package cluster

import (
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"harmony/api/v1alpha1"
	"harmony/check"
	"harmony/ipvs"
	"harmony/source"
)

// Bounds of an L4Service.
const (
	maxRealServers = 1024
	maxWeight      = 65535
	maxPersistence = 31 * 24 * time.Hour // ipvsadm's MAX_TIMEOUT
	minInterval    = 10 * time.Millisecond
	maxInterval    = time.Hour
)

// service adds the layer 4 service of obj.
func (t *translator) service(obj *v1alpha1.L4Service) {
	r := &source.Report{Object: source.RefOf(v1alpha1.KindL4Service, obj)}
	spec := obj.Spec.WithDefaults()
	svc := serviceOf(r, spec)
	if spec.Service != nil {
		serviceReference(r, spec.Service)
	}
	field := "spec.port"
	if spec.FWMark != nil {
		field = "spec.fwmark.mark"
	}
	if !r.Refused() && t.claim(r, []claim{{what: svc.Key, field: field, name: svc.Key.String()}}) {
		if spec.Service != nil {
			svc.Destinations = t.endpoints(r, spec, svc)
		}
		t.surroundings(r, svc)
		t.state.Services = append(t.state.Services, svc)
	}
	t.problems = append(t.problems, r.Problems...)
}

// serviceOf returns the service, without the real servers that a Service
// reference brings.
func serviceOf(r *source.Report, spec v1alpha1.L4ServiceSpec) Service {
	svc := Service{
		Service:    ipvs.Service{Key: keyOf(r, spec)},
		Object:     r.Object,
		Masquerade: *spec.Masquerade,
		Check:      checkOf(r, spec.Check),
	}
	if spec.Check.Port != nil {
		r.Port("spec.check.port", *spec.Check.Port)
		svc.CheckPort = uint16(*spec.Check.Port)
	}
	balancing(r, &svc.Service, spec)
	way := wayOf(r, spec)
	if (len(spec.RealServers) > 0) == (spec.Service != nil) {
		r.Refuse("spec", source.CodeRequired, "exactly one of realServers and service is needed")
	}
	if len(spec.RealServers) > maxRealServers {
		r.Refuse("spec.realServers", source.CodeTooLarge, "at most %d real servers, not %d", maxRealServers, len(spec.RealServers))
		return svc
	}
	for i, rs := range spec.RealServers {
		field := source.At("spec.realServers", i)
		d := realServer(r, field, rs, spec, svc.Service, way)
		if d.Address.IsValid() && slices.ContainsFunc(svc.Destinations, func(o ipvs.Destination) bool { return addrPort(o) == addrPort(d) }) {
			r.Refuse(field, source.CodeDuplicate, "%s is there already", addrPort(d))
		}
		if svc.Check != nil && svc.FWMark != 0 && d.Port == 0 && svc.CheckPort == 0 {
			r.Refuse("spec.check.port", source.CodeRequired, "%s has no port: say which one to probe", field)
		}
		svc.Destinations = append(svc.Destinations, d)
	}
	slices.SortFunc(svc.Destinations, func(a, b ipvs.Destination) int { return addrPort(a).Compare(addrPort(b)) })
	return svc
}

func protocol(r *source.Report, p v1alpha1.Protocol) ipvs.Protocol {
	switch p {
	case v1alpha1.ProtocolTCP:
		return ipvs.TCP
	case v1alpha1.ProtocolUDP:
		return ipvs.UDP
	case v1alpha1.ProtocolSCTP:
		return ipvs.SCTP
	}
	r.Refuse("spec.protocol", source.CodeInvalid, "must be TCP, UDP or SCTP, not %s", source.Quote(string(p)))
	return 0
}

// checkOf returns the check that every real server gets, or nil.
func checkOf(r *source.Report, c v1alpha1.Check) *check.Spec {
	if c.Type != v1alpha1.CheckTCP && c.Type != v1alpha1.CheckNone {
		r.Refuse("spec.check.type", source.CodeInvalid, "must be TCP or None, not %s", source.Quote(string(c.Type)))
	}
	if duration(r, "spec.check.interval", c.Interval, minInterval, maxInterval, time.Microsecond) {
		duration(r, "spec.check.timeout", c.Timeout, time.Millisecond, c.Interval.Duration, time.Microsecond)
	}
	r.Range("spec.check.rise", *c.Rise, 1, 100)
	r.Range("spec.check.fall", *c.Fall, 1, 100)
	if c.Type == v1alpha1.CheckNone {
		return nil
	}
	return &check.Spec{Interval: c.Interval.Duration, Timeout: c.Timeout.Duration, Rise: int(*c.Rise), Fall: int(*c.Fall)}
}

func serviceReference(r *source.Report, ref *v1alpha1.ServiceReference) {
	r.Grammar("spec.service.namespace", ref.Namespace, validation.IsDNS1123Label)
	r.Grammar("spec.service.name", ref.Name, validation.IsDNS1123Label)
	if ref.Port.Type == intstr.String {
		r.Grammar("spec.service.port", ref.Port.StrVal, validation.IsDNS1123Label)
	} else {
		r.Port("spec.service.port", ref.Port.IntVal)
	}
}

// endpoints returns the real servers that a Service reference stands for: the
// ready endpoints of the service's family.
func (t *translator) endpoints(r *source.Report, spec v1alpha1.L4ServiceSpec, svc Service) []ipvs.Destination {
	ref := spec.Service
	found := t.backends.Service(ref.Namespace, ref.Name)
	if found == nil {
		r.Error("spec.service.name", source.CodeNotFound, "there is no Service %s/%s: connections are refused", ref.Namespace, ref.Name)
		return nil
	}
	if found.Spec.Type == corev1.ServiceTypeExternalName {
		r.Error("spec.service.name", source.CodeUnsupported, "Services of type ExternalName have no endpoints: connections are refused")
		return nil
	}
	port, ok := source.Port(found, ref.Port, corev1.Protocol(spec.Protocol))
	if !ok {
		r.Error("spec.service.port", source.CodeNotFound, "Service %s/%s has no %s port %s: connections are refused", ref.Namespace, ref.Name, spec.Protocol, ref.Port.String())
		return nil
	}
	var out []ipvs.Destination
	way := wayOf(r, spec)
	is6 := svc.Address.Is6() || svc.IPv6
	for _, e := range t.backends.Endpoints(found, port) {
		switch {
		case e.Addr().Is6() != is6:
		case e.Addr().IsLoopback() || e.Addr() == svc.Address:
			r.Error("spec.service", source.CodeUnsupported, "endpoint %s cannot be a real server: left out", e)
		case way.Forwarding != ipvs.NAT && svc.FWMark == 0 && e.Port() != svc.Port:
			r.Error("spec.service.port", source.CodeUnsupported, "%s cannot change ports, and endpoint %s is not at %d: left out", way.Forwarding, e, svc.Port)
		default:
			d := ipvs.Destination{Address: e.Addr(), Port: e.Port(), Forwarding: way.Forwarding, Tunnel: way.Tunnel, Weight: 1}
			if way.Forwarding != ipvs.NAT {
				d.Port = svc.Port
			}
			out = append(out, d)
		}
	}
	if len(out) == 0 {
		r.Warn("spec.service", source.CodeNoEndpoints, "no endpoint of Service %s/%s can take connections: they are refused", ref.Namespace, ref.Name)
	}
	return out
}

// surroundings warns of what the service's address and port mean to others.
func (t *translator) surroundings(r *source.Report, svc Service) {
	if svc.FWMark != 0 {
		return
	}
	if _, owned := t.claims[addressClaim{svc.Address}]; !owned {
		r.Warn("spec.address", source.CodeUnowned, "no VirtualRouter has the address %s: something else must bring it to a node", svc.Address)
	}
	nginx := t.state.NGINX
	if svc.Protocol == ipvs.TCP && len(nginx.Sites) > 0 && (svc.Port == nginx.HTTPPort || svc.Port == nginx.HTTPSPort) {
		r.Warn("spec.port", source.CodeConflict, "takes %s away from NGINX, which serves Ingresses at port %d of the other addresses only", netip.AddrPortFrom(svc.Address, svc.Port), svc.Port)
	}
}
