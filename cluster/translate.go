package cluster

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"harmony/api/v1alpha1"
	"harmony/ingress"
	"harmony/nginxconf"
	"harmony/source"
	"harmony/vrrp"
)

// Translate returns the State that the objects of s ask for, and everything
// that is wrong with them, each Problem with its file and line where the
// Snapshot knows them. An object with Problem.Refused has no part in the State;
// no object changes what another one means, except by being named by it or by
// claiming the same thing. Then the older one has it, or the first by name.
func Translate(s source.Snapshot) (State, []source.Problem) {
	return translate(s, nil)
}

// translate is Translate, with the objects whose claims go before all others.
func translate(s source.Snapshot, incumbent map[source.Ref]bool) (State, []source.Problem) {
	admitted, problems := source.Admit(s.Sorted())
	t := translator{
		Snapshot: admitted,
		backends: admitted.Backends(),
		problems: problems,
		claims:   make(map[any]source.Ref),
	}
	t.settings()
	for _, i := range precedence(v1alpha1.KindVirtualRouter, admitted.VirtualRouters, incumbent) {
		t.router(&admitted.VirtualRouters[i])
	}
	t.strayGroups()
	sites, upstreams, problems := ingress.Translate(admitted)
	t.state.NGINX.Sites, t.state.NGINX.Upstreams = sites, upstreams
	t.problems = append(t.problems, problems...)
	for _, i := range precedence(v1alpha1.KindL4Service, admitted.L4Services, incumbent) {
		t.service(&admitted.L4Services[i])
	}
	slices.SortFunc(t.state.Routers, func(a, b Router) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Family, b.Family))
	})
	slices.SortFunc(t.state.Services, func(a, b Service) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	for i, p := range t.problems {
		t.problems[i] = s.Locate(p)
	}
	slices.SortStableFunc(t.problems, source.Problem.Compare)
	return t.state, t.problems
}

// translator is one Translate.
type translator struct {
	source.Snapshot
	backends source.Backends
	state    State
	problems []source.Problem
	claims   map[any]source.Ref // a vridClaim, an addressClaim or an ipvs.Key
}

// What objects claim for themselves alone, beside an ipvs.Key.
type (
	vridClaim struct {
		vrid          uint8
		gossip        uint32
		interfaceName string
		family        vrrp.Family
	}
	addressClaim struct{ netip.Addr }
)

// claim is one thing that an object wants for itself, and the field that says so.
type claim struct {
	what  any
	field string
	name  string // for people
}

// claim gives the object of r all of claims, or refuses it if another object
// has one of them.
func (t *translator) claim(r *source.Report, claims []claim) bool {
	for _, c := range claims {
		if owner, taken := t.claims[c.what]; taken {
			r.Refuse(c.field, source.CodeConflict, "%s belongs to %s", c.name, owner)
		}
	}
	if r.Refused() {
		return false
	}
	for _, c := range claims {
		t.claims[c.what] = r.Object
	}
	return true
}

// precedence returns the indexes of list in the order in which claims count:
// incumbents, then the oldest, then by name.
func precedence[T any, P interface {
	*T
	metav1.Object
}](kind string, list []T, incumbent map[source.Ref]bool) []int {
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	newcomer := func(i int) int {
		if incumbent[source.RefOf(kind, P(&list[i]))] {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := P(&list[i]).GetCreationTimestamp(), P(&list[j]).GetCreationTimestamp()
		return cmp.Or(
			cmp.Compare(newcomer(i), newcomer(j)),
			a.Compare(b.Time),
			strings.Compare(P(&list[i]).GetName(), P(&list[j]).GetName()))
	})
	return order
}

// settings reads the Settings object, or takes the defaults.
func (t *translator) settings() {
	used := v1alpha1.SettingsSpec{}.WithDefaults()
	for i := range t.Settings {
		obj := &t.Settings[i]
		r := source.Report{Object: source.RefOf(v1alpha1.KindSettings, obj)}
		spec := obj.Spec.WithDefaults()
		if obj.Name != v1alpha1.SettingsName {
			r.Refuse("metadata.name", source.CodeInvalid, "the only Settings object is named %s", v1alpha1.SettingsName)
		}
		r.Port("spec.httpPort", *spec.HTTPPort)
		r.Port("spec.httpsPort", *spec.HTTPSPort)
		if *spec.HTTPPort == *spec.HTTPSPort {
			r.Refuse("spec.httpsPort", source.CodeConflict, "must not be the same as httpPort, %d", *spec.HTTPPort)
		}
		before := t.state.Scripts
		t.state.Scripts = t.scripts(&r, spec.Scripts)
		found := t.gossip(&r, spec.Gossip)
		groups, fifo := t.syncGroups(&r, spec.SyncGroups), t.notifyFIFO(&r, spec.NotifyFIFO)
		if !r.Refused() {
			used, t.state.SyncGroups, t.state.NotifyFIFO = spec, groups, fifo
			t.state.Gossip = found
		} else {
			t.state.Scripts = before
		}
		t.problems = append(t.problems, r.Problems...)
	}
	t.state.NGINX = nginxconf.Config{HTTPPort: uint16(*used.HTTPPort), HTTPSPort: uint16(*used.HTTPSPort)}
}
