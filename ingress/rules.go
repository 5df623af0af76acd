package ingress

import (
	"cmp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"harmony/nginxconf"
	"harmony/source"
)

// rules adds the paths of q.
func (b *builder) rules(q *request) {
	for i := range q.ing.Spec.Rules {
		rule := &q.ing.Spec.Rules[i]
		st := b.site(rule.Host)
		if rule.HTTP == nil {
			continue
		}
		for j := range rule.HTTP.Paths {
			p, field := &rule.HTTP.Paths[j], source.At(source.At("spec.rules", i)+".http.paths", j)
			l := nginxconf.Location{
				Path:     cmp.Or(p.Path, "/"),
				Upstream: b.upstream(q, field+".backend", &p.Backend),
				Object:   q.Object.String(),
			}
			if *p.PathType == networkingv1.PathTypeExact {
				l.Match = nginxconf.Exact
			}
			st.claim(q, field+".path", l)
		}
	}
}

// defaults adds the default backend of q: to its own hosts, or, if it has none,
// to every host without a site. It yields to rules for "/".
func (b *builder) defaults(q *request) {
	backend := q.ing.Spec.DefaultBackend
	if backend == nil {
		return
	}
	l := nginxconf.Location{
		Path:     "/",
		Upstream: b.upstream(q, "spec.defaultBackend", backend),
		Object:   q.Object.String(),
	}
	for _, host := range hosts(q.ing) {
		st := b.site(host)
		if taken, ok := st.taken[route{"", nginxconf.Prefix}]; ok && taken.Object == l.Object {
			continue // its own rule for "/", or the same host again
		}
		st.claim(q, "spec.defaultBackend", l)
	}
}

// hosts returns the hosts of the rules of ing, which may repeat; without rules,
// the catch-all.
func hosts(ing *networkingv1.Ingress) []string {
	if len(ing.Spec.Rules) == 0 {
		return []string{""}
	}
	var out []string
	for _, rule := range ing.Spec.Rules {
		out = append(out, rule.Host)
	}
	return out
}

// claim gives l its place in the site, unless an Ingress before has it. Asking
// for the same again is no problem.
func (st *site) claim(q *request, field string, l nginxconf.Location) {
	decoded, err := nginxconf.DecodePath(l.Path)
	if err != nil { // admitted paths have none
		q.Refuse(field, source.CodeInvalid, "%s", err)
		return
	}
	at := route{decoded, l.Match}
	if l.Match == nginxconf.Prefix {
		at.path = strings.TrimSuffix(decoded, "/")
		l.Path = cmp.Or(strings.TrimSuffix(l.Path, "/"), "/")
	}
	taken, ok := st.taken[at]
	switch {
	case !ok:
		st.taken[at] = l
	case taken.Upstream != l.Upstream:
		q.Error(field, source.CodeConflict, "%s of host %s belongs to %s, which goes before", source.Quote(l.Path), source.Quote(st.Host), taken.Object)
	}
}

// upstream returns the ID of the upstream for a backend, adding it if it is
// new. A Service or port that is not there gives an upstream without endpoints,
// which answers 503; a resource backend gives "", which answers 404.
func (b *builder) upstream(q *request, field string, backend *networkingv1.IngressBackend) string {
	if backend.Service == nil {
		q.Error(field+".resource", source.CodeUnsupported, "resource backends are not supported: answers 404")
		return ""
	}
	name, port := backend.Service.Name, backend.Service.Port
	id := q.Object.Namespace + "/" + name + ":" + cmp.Or(port.Name, strconv.Itoa(int(port.Number)))
	svc := b.backends.Service(q.Object.Namespace, name)
	switch {
	case svc == nil:
		q.Error(field+".service.name", source.CodeNotFound, "there is no Service %s/%s: answers 503", q.Object.Namespace, name)
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		q.Error(field+".service.name", source.CodeUnsupported, "Services of type ExternalName are not supported yet: answers 503")
	default:
		found, ok := source.Port(svc, portOf(port), corev1.ProtocolTCP)
		if ok {
			return b.endpoints(svc, found)
		}
		q.Error(field+".service.port", source.CodeNotFound, "Service %s/%s has no TCP port %s: answers 503", svc.Namespace, svc.Name, cmp.Or(port.Name, strconv.Itoa(int(port.Number))))
	}
	b.upstreams[id] = nginxconf.Upstream{ID: id}
	return id
}

func portOf(port networkingv1.ServiceBackendPort) intstr.IntOrString {
	if port.Name != "" {
		return intstr.FromString(port.Name)
	}
	return intstr.FromInt32(port.Number)
}

// endpoints adds the upstream of a Service's port, once.
func (b *builder) endpoints(svc *corev1.Service, port corev1.ServicePort) string {
	id := svc.Namespace + "/" + svc.Name + ":" + strconv.Itoa(int(port.Port))
	if _, ok := b.upstreams[id]; ok {
		return id
	}
	u := nginxconf.Upstream{ID: id, Endpoints: b.backends.Endpoints(svc, port)}
	b.upstreams[id] = u
	if len(u.Endpoints) == 0 {
		r := source.Report{Object: source.RefOf(source.KindService, svc)}
		r.Warn("", source.CodeNoEndpoints, "port %d has no ready endpoint: its paths answer 503 (an EndpointSlice belongs to it by the label kubernetes.io/service-name, its ports by the name %s)", port.Port, source.Quote(port.Name))
		b.problems = append(b.problems, r.Problems...)
	}
	return id
}
