package cluster

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"harmony/api/v1alpha1"
	"harmony/source"
	"harmony/vrrp"
)

// router adds the routers of vr, one for each family that it has addresses of.
func (t *translator) router(vr *v1alpha1.VirtualRouter) {
	r := &source.Report{Object: source.RefOf(v1alpha1.KindVirtualRouter, vr)}
	spec := vr.Spec.WithDefaults()
	routers, claims := t.routersOf(r, vr.Name, spec)
	auth, hooks := t.authentication(r, spec), t.hooks(r, "spec.notify", spec.Notify)
	trackers, links := t.trackers(r, spec)
	for i := range routers {
		routers[i].Auth, routers[i].Notify = auth, hooks
		routers[i].Trackers, routers[i].Track = trackers, links
	}
	if !r.Refused() && t.claim(r, claims) {
		t.state.Routers = append(t.state.Routers, routers...)
	}
	t.problems = append(t.problems, r.Problems...)
}

func (t *translator) routersOf(r *source.Report, name string, spec v1alpha1.VirtualRouterSpec) ([]Router, []claim) {
	r.Range("spec.priority", *spec.Priority, 1, 255)
	interfaceName(r, "spec.interface", spec.Interface)
	common := Router{
		Router: vrrp.Router{
			Key:            vrrp.Key{Name: name},
			VRID:           uint8(spec.VRID),
			Interface:      spec.Interface,
			AdvertInterval: spec.AdvertInterval.Duration,
		},
		Priority:   uint8(*spec.Priority),
		Priorities: priorities(r, spec.Priorities),
	}
	t.gossiping(r, spec, &common.Router)
	common.Preempt, common.PreemptDelay = preempt(r, spec.Preempt)
	patience(r, &common.Router, spec)
	common.Announcing = announcing(r, spec.Announce)
	addresses, claims := addresses(r, spec.Interface, spec.Addresses)
	wire(r, spec, addresses, &common.Router)
	common.MinTTL = minTTL(r, spec.Transport)
	peers := peers(r, spec.Transport, addresses)
	checkVirtualMAC(r, spec)
	common.Firewall = firewall(r, spec.Firewall)
	families := slices.Sorted(maps.Keys(addresses))
	routing := routingOf(r, spec, families)
	claims = append(claims, routing.claims...)
	var routers []Router
	for _, family := range families {
		own := common
		own.Family, own.Addresses, own.Unicast = family, addresses[family], peers[family]
		own.Checksum = own.Checksum.In(family)
		own.Routes, own.Rules = routing.routes[family], routing.rules[family]
		claims = append(claims, virtualMAC(&own, spec)...)
		routers = append(routers, own)
		claims = append(claims, claim{
			what:  vridClaim{own.VRID, own.Gossip, own.Interface, family},
			field: "spec.vrid",
			name:  fmt.Sprintf("VRID %d of %s on %s", spec.VRID, family, own.Interface),
		})
	}
	return routers, claims
}

// interfaceName accepts what the kernel does (dev_valid_name in net/core/dev.c),
// in ASCII.
func interfaceName(r *source.Report, field, name string) {
	printable := strings.IndexFunc(name, func(c rune) bool { return c <= ' ' || c > '~' }) < 0
	if len(name) < 1 || len(name) > 15 || name == "." || name == ".." || strings.ContainsAny(name, "/:") || !printable {
		r.Refuse(field, source.CodeInvalid, "%s is not the name of a network interface", source.Quote(name))
	}
}

func priorities(r *source.Report, list []v1alpha1.NodePriority) map[string]uint8 {
	byNode := make(map[string]uint8)
	for i, p := range list {
		field := source.At("spec.priorities", i)
		r.Grammar(field+".node", p.Node, validation.IsDNS1123Subdomain)
		r.Range(field+".priority", p.Priority, 1, 255)
		if _, again := byNode[p.Node]; again {
			r.Refuse(field+".node", source.CodeDuplicate, "%s is there already", source.Quote(p.Node))
		}
		byNode[p.Node] = uint8(p.Priority)
	}
	return byNode
}

func preempt(r *source.Report, p v1alpha1.Preempt) (vrrp.PreemptMode, time.Duration) {
	modes := map[v1alpha1.PreemptMode]vrrp.PreemptMode{
		v1alpha1.PreemptAlways: vrrp.PreemptAlways,
		v1alpha1.PreemptNever:  vrrp.PreemptNever,
		v1alpha1.PreemptDelay:  vrrp.PreemptDelay,
	}
	mode, ok := modes[p.Mode]
	switch {
	case !ok:
		r.Refuse("spec.preempt.mode", source.CodeInvalid, "must be Always, Never or Delay, not %s", source.Quote(string(p.Mode)))
	case mode != vrrp.PreemptDelay && p.Delay != nil:
		r.Refuse("spec.preempt.delay", source.CodeInvalid, "belongs to mode Delay: set spec.preempt.mode, or remove it")
	case mode == vrrp.PreemptDelay && p.Delay == nil:
		r.Refuse("spec.preempt.delay", source.CodeRequired, "mode Delay needs it")
	case mode == vrrp.PreemptDelay:
		duration(r, "spec.preempt.delay", p.Delay, time.Millisecond, 1000*time.Second, time.Millisecond)
		return mode, p.Delay.Duration
	}
	return mode, 0
}

// maxAddresses of one router, as in the schema. An advert carries fewer.
const maxAddresses = 4096

// addresses returns the virtual addresses by family, in the user's order, and
// what the router claims by them.
func addresses(r *source.Report, iface string, list []string) (map[vrrp.Family][]netip.Prefix, []claim) {
	byFamily := make(map[vrrp.Family][]netip.Prefix)
	var claims []claim
	if len(list) == 0 {
		r.Refuse("spec.addresses", source.CodeRequired, "at least one address is needed")
	}
	if len(list) > maxAddresses {
		r.Refuse("spec.addresses", source.CodeTooLarge, "at most %d addresses, not %d", maxAddresses, len(list))
		return byFamily, nil
	}
	for i, text := range list {
		field := source.At("spec.addresses", i)
		p := prefix(r, field, text)
		if !p.IsValid() {
			continue
		}
		c := claim{what: addressClaim{p.Addr()}, field: field, name: p.Addr().String()}
		if p.Addr().IsLinkLocalUnicast() && p.Addr().Is6() { // one on each interface
			c.what = addressClaim{p.Addr().WithZone(iface)}
			c.name += " on " + iface
		}
		if slices.ContainsFunc(claims, func(o claim) bool { return o.what == c.what }) {
			r.Refuse(field, source.CodeDuplicate, "%s is there already", p.Addr())
		}
		claims = append(claims, c)
		byFamily[familyOf(p.Addr())] = append(byFamily[familyOf(p.Addr())], p)
	}
	// The first address of an IPv6 advert is link-local, if one is there (RFC
	// 9568 §5.2.9).
	slices.SortStableFunc(byFamily[vrrp.IPv6], func(a, b netip.Prefix) int {
		return boolToInt(b.Addr().IsLinkLocalUnicast()) - boolToInt(a.Addr().IsLinkLocalUnicast())
	})
	return byFamily, claims
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// peers returns the unicast peers by family, none for multicast.
func peers(r *source.Report, t v1alpha1.Transport, addresses map[vrrp.Family][]netip.Prefix) map[vrrp.Family][]netip.Addr {
	byFamily := make(map[vrrp.Family][]netip.Addr)
	switch t.Mode {
	case v1alpha1.TransportMulticast, v1alpha1.TransportGossip:
		if len(t.Peers) > 0 {
			r.Refuse("spec.transport.peers", source.CodeInvalid, "belongs to mode Unicast: set spec.transport.mode, or remove it")
		}
		return byFamily
	case v1alpha1.TransportUnicast:
	default:
		r.Refuse("spec.transport.mode", source.CodeInvalid, "must be Multicast, Unicast or Gossip, not %s", source.Quote(string(t.Mode)))
		return byFamily
	}
	for i, text := range t.Peers {
		field := source.At("spec.transport.peers", i)
		addr := address(r, field, text)
		if !addr.IsValid() {
			continue
		}
		family := familyOf(addr)
		if slices.ContainsFunc(addresses[family], func(p netip.Prefix) bool { return p.Addr() == addr }) {
			r.Refuse(field, source.CodeInvalid, "%s is a virtual address: give the node's own", addr)
		}
		if slices.Contains(byFamily[family], addr) {
			r.Refuse(field, source.CodeDuplicate, "%s is there already", addr)
		}
		byFamily[family] = append(byFamily[family], addr)
	}
	for _, family := range slices.Sorted(maps.Keys(addresses)) {
		if len(byFamily[family]) == 0 {
			r.Refuse("spec.transport.peers", source.CodeRequired, "the %s addresses need %s peers", family, family)
		}
		slices.SortFunc(byFamily[family], netip.Addr.Compare)
	}
	return byFamily
}

// minTTL is vrrp.Router.MinTTL.
func minTTL(r *source.Report, t v1alpha1.Transport) uint8 {
	const field = "spec.transport.minTTL"
	switch {
	case t.Mode != v1alpha1.TransportUnicast && t.MinTTL != nil:
		r.Refuse(field, source.CodeInvalid, "belongs to mode Unicast: adverts by multicast never cross a router")
	case t.Mode == v1alpha1.TransportUnicast && t.MinTTL == nil:
		return 1
	case t.MinTTL != nil:
		r.Range(field, *t.MinTTL, 1, 255)
		return uint8(*t.MinTTL)
	}
	return 0
}

func familyOf(addr netip.Addr) vrrp.Family {
	if addr.Is4() {
		return vrrp.IPv4
	}
	return vrrp.IPv6
}
