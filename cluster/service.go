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
	if !r.Refused() && t.claim(r, []claim{{what: svc.Key, field: "spec.port", name: svc.Key.String()}}) {
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
		Service: ipvs.Service{
			Key:       ipvs.Key{Address: address(r, "spec.address", spec.Address), Port: uint16(spec.Port), Protocol: protocol(r, spec.Protocol)},
			Scheduler: string(spec.Scheduler),
		},
		Object:     r.Object,
		Masquerade: *spec.Masquerade,
		Check:      checkOf(r, spec.Check),
	}
	r.Port("spec.port", spec.Port)
	if !slices.Contains(v1alpha1.Schedulers(), spec.Scheduler) {
		r.Refuse("spec.scheduler", source.CodeInvalid, "%s is not a scheduler of IPVS: one of %v", source.Quote(string(spec.Scheduler)), v1alpha1.Schedulers())
	}
	if spec.Persistence != nil {
		duration(r, "spec.persistence", spec.Persistence, time.Second, maxPersistence, time.Second)
		svc.Persistence = spec.Persistence.Duration
	}
	forwarding := forwarding(r, spec)
	if (len(spec.RealServers) > 0) == (spec.Service != nil) {
		r.Refuse("spec", source.CodeRequired, "exactly one of realServers and service is needed")
	}
	if len(spec.RealServers) > maxRealServers {
		r.Refuse("spec.realServers", source.CodeTooLarge, "at most %d real servers, not %d", maxRealServers, len(spec.RealServers))
		return svc
	}
	for i, rs := range spec.RealServers {
		d := realServer(r, source.At("spec.realServers", i), rs, spec.Port, svc.Address, forwarding)
		if d.Address.IsValid() && slices.ContainsFunc(svc.Destinations, func(o ipvs.Destination) bool { return addrPort(o) == addrPort(d) }) {
			r.Refuse(source.At("spec.realServers", i), source.CodeDuplicate, "%s is there already", addrPort(d))
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

func forwarding(r *source.Report, spec v1alpha1.L4ServiceSpec) ipvs.Forwarding {
	switch spec.Forwarding {
	case v1alpha1.ForwardingNAT:
		return ipvs.NAT
	case v1alpha1.ForwardingDR:
		if *spec.Masquerade {
			r.Refuse("spec.masquerade", source.CodeInvalid, "needs forwarding NAT: with DR the real server answers the client itself")
		}
		return ipvs.DR
	}
	r.Refuse("spec.forwarding", source.CodeInvalid, "must be NAT or DR, not %s", source.Quote(string(spec.Forwarding)))
	return ipvs.NAT
}

func realServer(r *source.Report, field string, rs v1alpha1.RealServer, port int32, virtual netip.Addr, forwarding ipvs.Forwarding) ipvs.Destination {
	addr := address(r, field+".address", rs.Address)
	if *rs.Port != port { // the service's own was judged already
		r.Port(field+".port", *rs.Port)
	}
	r.Range(field+".weight", *rs.Weight, 0, maxWeight)
	if addr.IsValid() && virtual.IsValid() && addr.Is4() != virtual.Is4() {
		r.Refuse(field+".address", source.CodeInvalid, "%s is not of the family of the service's address %s", addr, virtual)
	}
	if addr.IsValid() && addr == virtual {
		r.Refuse(field+".address", source.CodeInvalid, "%s is the service's own address", addr)
	}
	if forwarding == ipvs.DR && *rs.Port != port {
		r.Refuse(field+".port", source.CodeUnsupported, "DR cannot change ports: must be %d, or left out", port)
	}
	return ipvs.Destination{Address: addr, Port: uint16(*rs.Port), Forwarding: forwarding, Weight: int(*rs.Weight)}
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
	forwarding := forwarding(r, spec)
	for _, e := range t.backends.Endpoints(found, port) {
		switch {
		case e.Addr().Is4() != svc.Address.Is4():
		case e.Addr().IsLoopback() || e.Addr() == svc.Address:
			r.Error("spec.service", source.CodeUnsupported, "endpoint %s cannot be a real server: left out", e)
		case forwarding == ipvs.DR && e.Port() != svc.Port:
			r.Error("spec.service.port", source.CodeUnsupported, "DR cannot change ports, and endpoint %s is not at %d: left out", e, svc.Port)
		default:
			out = append(out, ipvs.Destination{Address: e.Addr(), Port: e.Port(), Forwarding: forwarding, Weight: 1})
		}
	}
	if len(out) == 0 {
		r.Warn("spec.service", source.CodeNoEndpoints, "no endpoint of Service %s/%s can take connections: they are refused", ref.Namespace, ref.Name)
	}
	return out
}

// surroundings warns of what the service's address and port mean to others.
func (t *translator) surroundings(r *source.Report, svc Service) {
	if _, owned := t.claims[addressClaim{svc.Address}]; !owned {
		r.Warn("spec.address", source.CodeUnowned, "no VirtualRouter has the address %s: something else must bring it to a node", svc.Address)
	}
	nginx := t.state.NGINX
	if svc.Protocol == ipvs.TCP && len(nginx.Sites) > 0 && (svc.Port == nginx.HTTPPort || svc.Port == nginx.HTTPSPort) {
		r.Warn("spec.port", source.CodeConflict, "takes %s away from NGINX, which serves Ingresses at port %d of the other addresses only", netip.AddrPortFrom(svc.Address, svc.Port), svc.Port)
	}
}
