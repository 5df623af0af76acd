// Package ingress turns Ingress objects, and the Services, EndpointSlices and
// Secrets that they name, into NGINX sites and upstreams. It is pure: the same
// objects in any order give the same result.
package ingress

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"harmony/nginxconf"
	"harmony/source"
)

// Translate returns the sites and upstreams that the Ingresses of s, which must
// have been admitted (source.Admit), ask for, and what is wrong with them.
//
// An Ingress with anything against the grammar of its fields is refused whole
// (Problem.Refused). Names that lead nowhere cost only their part: without the
// Service a path answers 503, without the Secret a host's handshakes are
// refused. Where several Ingresses want the same path, the certificate or the
// default of one host, the oldest has it, then the first by namespace and name,
// as with ingress-nginx.
func Translate(s source.Snapshot) ([]nginxconf.Site, []nginxconf.Upstream, []source.Problem) {
	b := builder{
		secrets:   make(map[source.Ref]*corev1.Secret, len(s.Secrets)),
		backends:  s.Backends(),
		sites:     make(map[string]*site),
		upstreams: make(map[string]nginxconf.Upstream),
		pairs:     make(map[source.Ref]pair),
	}
	for i := range s.Secrets {
		b.secrets[source.RefOf(source.KindSecret, &s.Secrets[i])] = &s.Secrets[i]
	}
	asked, problems := ours(s)
	slices.SortFunc(asked, older)
	requests := make([]*request, len(asked))
	for i, ing := range asked {
		q := &request{ing: ing, Report: source.Report{Object: source.RefOf(source.KindIngress, ing)}}
		q.admit()
		requests[i] = q
	}
	steps := []func(*request){b.rules, b.defaults, b.certificates}
	for _, step := range steps { // each for all: a rule of any Ingress goes before a default
		for _, q := range requests {
			if !q.Refused() {
				step(q)
			}
		}
	}
	for _, q := range requests {
		problems = append(problems, q.Problems...)
	}
	return b.sortedSites(), b.sortedUpstreams(), append(problems, b.problems...)
}

// older orders Ingresses by precedence.
func older(a, b *networkingv1.Ingress) int {
	return cmp.Or(
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		strings.Compare(a.Namespace, b.Namespace),
		strings.Compare(a.Name, b.Name))
}

// request is one Ingress and what is wrong with it.
type request struct {
	source.Report
	ing *networkingv1.Ingress

	keepHTTP bool // ssl-redirect: "false"
	force    bool // force-ssl-redirect: "true"
}

// builder collects what the Ingresses ask for.
type builder struct {
	secrets   map[source.Ref]*corev1.Secret
	backends  source.Backends
	sites     map[string]*site // by host
	upstreams map[string]nginxconf.Upstream
	pairs     map[source.Ref]pair
	problems  []source.Problem // about Services
}

// site is a nginxconf.Site in the making.
type site struct {
	nginxconf.Site
	taken  map[route]nginxconf.Location
	secret source.Ref // where TLS is from
	owner  source.Ref // the Ingress that brought TLS
}

// route identifies a location: no two of a site may match alike.
type route struct {
	path  string // decoded, and of prefixes without the last "/"
	match nginxconf.Match
}

func (b *builder) site(host string) *site {
	if b.sites[host] == nil {
		b.sites[host] = &site{Site: nginxconf.Site{Host: host}, taken: make(map[route]nginxconf.Location)}
	}
	return b.sites[host]
}

func (b *builder) sortedSites() []nginxconf.Site {
	var out []nginxconf.Site
	for _, host := range slices.Sorted(maps.Keys(b.sites)) {
		st := b.sites[host]
		for _, l := range st.taken {
			st.Locations = append(st.Locations, l)
		}
		slices.SortFunc(st.Locations, func(a, b nginxconf.Location) int {
			return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Match, b.Match))
		})
		out = append(out, st.Site)
	}
	return out
}

func (b *builder) sortedUpstreams() []nginxconf.Upstream {
	var out []nginxconf.Upstream
	for _, id := range slices.Sorted(maps.Keys(b.upstreams)) {
		out = append(out, b.upstreams[id])
	}
	return out
}
