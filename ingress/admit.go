package ingress

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"harmony/nginxconf"
	"harmony/source"
)

// annotationPrefix is where ingress-nginx has its annotations.
const annotationPrefix = "nginx.ingress.kubernetes.io/"

// admit judges the Ingress on its own, whatever kube-apiserver may have
// accepted: a value that goes into NGINX's configuration is checked here first.
func (q *request) admit() {
	q.annotations()
	spec := &q.ing.Spec
	if len(spec.Rules) == 0 && spec.DefaultBackend == nil {
		q.Refuse("spec", source.CodeRequired, "rules or a defaultBackend are needed")
	}
	if spec.DefaultBackend != nil {
		q.backend("spec.defaultBackend", spec.DefaultBackend)
	}
	for i := range spec.Rules {
		rule, field := &spec.Rules[i], source.At("spec.rules", i)
		q.host(field+".host", rule.Host, true)
		if rule.HTTP == nil {
			continue
		}
		for j := range rule.HTTP.Paths {
			q.path(source.At(field+".http.paths", j), &rule.HTTP.Paths[j])
		}
	}
	for i, t := range spec.TLS {
		field := source.At("spec.tls", i)
		for j, host := range t.Hosts {
			q.host(source.At(field+".hosts", j), host, false)
		}
		if t.SecretName != "" {
			q.Grammar(field+".secretName", t.SecretName, validation.IsDNS1123Subdomain)
		}
	}
}

// annotations reads those that are honoured. Of the others, those that keep
// people out refuse the Ingress: without their effect it would be open.
func (q *request) annotations() {
	for _, key := range slices.Sorted(maps.Keys(q.ing.Annotations)) {
		name, ok := strings.CutPrefix(key, annotationPrefix)
		if !ok {
			continue
		}
		field, value := source.Key("metadata.annotations", key), q.ing.Annotations[key]
		switch {
		case name == "ssl-redirect":
			q.keepHTTP = !q.boolean(field, value)
		case name == "force-ssl-redirect":
			q.force = q.boolean(field, value)
		case name == "canary" && value != "false":
			q.Refuse(field, source.CodeUnsupported, "canaries are not supported yet, and without it this Ingress would take all traffic")
		case restricts(name):
			q.Refuse(field, source.CodeUnsupported, "not supported yet, and without it this Ingress would be open to everybody")
		default:
			q.Warn(field, source.CodeNotHonoured, "not honoured yet")
		}
	}
}

// restricts reports whether an annotation of ingress-nginx limits who may come in.
func restricts(name string) bool {
	switch name {
	case "allowlist-source-range", "whitelist-source-range", "denylist-source-range":
		return true
	}
	return strings.HasPrefix(name, "auth-")
}

func (q *request) boolean(field, value string) bool {
	b, err := strconv.ParseBool(value)
	if err != nil {
		q.Refuse(field, source.CodeInvalid, `must be "true" or "false", not %s`, source.Quote(value))
	}
	return b
}

// host accepts names, names whose first label is "*" and, if empty says so, "".
func (q *request) host(field, host string, empty bool) {
	switch {
	case host == "" && empty:
	case strings.HasPrefix(host, "*"):
		q.Grammar(field, host, validation.IsWildcardDNS1123Subdomain)
	default:
		q.Grammar(field, host, validation.IsDNS1123Subdomain)
		if _, err := netip.ParseAddr(host); err == nil {
			q.Refuse(field, source.CodeInvalid, "%s is an address: a host is a name", source.Quote(host))
		}
	}
	for label := range strings.SplitSeq(host, ".") {
		if len(label) > 63 {
			q.Refuse(field, source.CodeInvalid, "a label of %s is longer than 63 bytes", source.Quote(host))
		}
	}
}

func (q *request) path(field string, p *networkingv1.HTTPIngressPath) {
	q.backend(field+".backend", &p.Backend)
	switch {
	case p.PathType == nil:
		q.Refuse(field+".pathType", source.CodeRequired, "must be Exact, Prefix or ImplementationSpecific")
		return
	case *p.PathType == networkingv1.PathTypeImplementationSpecific:
		if p.Path == "" {
			return
		}
		if strings.ContainsAny(p.Path, "*+()") {
			q.Warn(field+".path", source.CodeNotHonoured, "taken as plain text, with pathType Prefix: regular expressions are not honoured yet")
		}
	case *p.PathType != networkingv1.PathTypeExact && *p.PathType != networkingv1.PathTypePrefix:
		q.Refuse(field+".pathType", source.CodeInvalid, "must be Exact, Prefix or ImplementationSpecific, not %s", source.Quote(string(*p.PathType)))
		return
	}
	if _, err := nginxconf.DecodePath(p.Path); err != nil {
		q.Refuse(field+".path", source.CodeInvalid, "%s %s", source.Quote(p.Path), err)
	}
}

func (q *request) backend(field string, b *networkingv1.IngressBackend) {
	switch {
	case b.Service == nil && b.Resource == nil:
		q.Refuse(field, source.CodeRequired, "a service is needed")
	case b.Service != nil && b.Resource != nil:
		q.Refuse(field, source.CodeInvalid, "only one of service and resource may be given")
	case b.Service != nil:
		q.Grammar(field+".service.name", b.Service.Name, validation.IsDNS1123Label)
		q.servicePort(field+".service.port", b.Service.Port)
	}
}

func (q *request) servicePort(field string, port networkingv1.ServiceBackendPort) {
	switch {
	case (port.Name == "") == (port.Number == 0):
		q.Refuse(field, source.CodeRequired, "exactly one of name and number is needed")
	case port.Name != "":
		q.Grammar(field+".name", port.Name, validation.IsDNS1123Label)
	default:
		q.Port(field+".number", port.Number)
	}
}
