package cluster

import (
	"math"
	"net/netip"
	"slices"

	"harmony/api/v1alpha1"
	"harmony/source"
	"harmony/vrrp"
)

const (
	maxRoutes  = 256
	tableMain  = 254 // RT_TABLE_MAIN of linux/rtnetlink.h
	tableLocal = 255 // RT_TABLE_LOCAL
	lastRule   = 32765
)

// What a node has one of each.
type (
	routeClaim struct {
		destination   netip.Prefix
		table, metric uint32
	}
	ruleClaim struct{ vrrp.Rule }
)

var routeTypes = map[v1alpha1.RouteType]vrrp.RouteType{
	"": vrrp.RouteUnicast, v1alpha1.RouteUnicast: vrrp.RouteUnicast, v1alpha1.RouteBlackhole: vrrp.RouteBlackhole,
	v1alpha1.RouteUnreachable: vrrp.RouteUnreachable, v1alpha1.RouteProhibit: vrrp.RouteProhibit,
}

// routing are the routes and rules of a router by family.
type routing struct {
	*source.Report
	spec     v1alpha1.VirtualRouterSpec
	families []vrrp.Family
	routes   map[vrrp.Family][]vrrp.Route
	rules    map[vrrp.Family][]vrrp.Rule
	claims   []claim
}

// routingOf reads the routes and rules of a router that has addresses of
// families.
func routingOf(r *source.Report, spec v1alpha1.VirtualRouterSpec, families []vrrp.Family) routing {
	t := routing{r, spec, families, map[vrrp.Family][]vrrp.Route{}, map[vrrp.Family][]vrrp.Rule{}, nil}
	if len(spec.Routes) > maxRoutes || len(spec.Rules) > maxRoutes {
		r.Refuse("spec.routes", source.CodeTooLarge, "at most %d routes and as many rules", maxRoutes)
		return t
	}
	for i, route := range spec.Routes {
		t.route(source.At("spec.routes", i), route)
	}
	for i, rule := range spec.Rules {
		t.rule(source.At("spec.rules", i), rule)
	}
	return t
}

func (t *routing) route(field string, in v1alpha1.Route) {
	kind, known := routeTypes[in.Type]
	if !known {
		t.Refuse(field+".type", source.CodeInvalid, "must be Unicast, Blackhole, Unreachable or Prohibit, not %s", source.Quote(string(in.Type)))
	}
	out := vrrp.Route{Type: kind, Interface: in.Interface, Table: t.number(field+".table", in.Table), Metric: t.number(field+".metric", in.Metric)}
	out.Destination = t.network(field+".destination", in.Destination)
	if !out.Destination.IsValid() || !t.elected(field+".destination", out.Destination.Addr()) {
		return
	}
	if out.Table == tableLocal {
		t.Refuse(field+".table", source.CodeOutOfRange, "255 is the kernel's own: take another")
	}
	if out.Table == tableMain {
		out.Table = 0
	}
	out.Via, out.Source = t.same(field+".via", in.Via, out.Destination), t.same(field+".source", in.Source, out.Destination)
	switch {
	case kind != vrrp.RouteUnicast && (in.Via != "" || in.Interface != "" || in.Source != ""):
		t.Refuse(field+".type", source.CodeInvalid, "%s leads nowhere: remove via, interface and source", in.Type)
	case in.Interface != "":
		interfaceName(t.Report, field+".interface", in.Interface)
	case kind == vrrp.RouteUnicast && in.Via == "":
		out.Interface = t.spec.Interface
	}
	family := familyOf(out.Destination.Addr())
	t.routes[family] = append(t.routes[family], out)
	t.claim(claim{what: routeClaim{out.Destination, out.Table, out.Metric}, field: field + ".destination", name: "the route " + vrrp.Route{Destination: out.Destination, Table: out.Table, Metric: out.Metric}.String()})
}

func (t *routing) rule(field string, in v1alpha1.RoutingRule) {
	t.Range(field+".priority", in.Priority, 1, lastRule)
	out := vrrp.Rule{
		Priority: uint32(in.Priority), Input: in.InputInterface, Table: t.number(field+".table", &in.Table),
		Mark: t.number(field+".fwmark", in.Fwmark), Mask: t.number(field+".fwmarkMask", in.FwmarkMask),
	}
	if in.FwmarkMask != nil && in.Fwmark == nil {
		t.Refuse(field+".fwmarkMask", source.CodeInvalid, "belongs to fwmark: set it, or remove the mask")
	}
	if in.InputInterface != "" {
		interfaceName(t.Report, field+".inputInterface", in.InputInterface)
	}
	families := t.families
	for _, end := range []struct {
		field, text string
		to          *netip.Prefix
	}{{field + ".from", in.From, &out.From}, {field + ".to", in.To, &out.To}} {
		if end.text == "" {
			continue
		}
		*end.to = t.network(end.field, end.text)
		if !end.to.IsValid() || !t.elected(end.field, end.to.Addr()) {
			return
		}
		families = []vrrp.Family{familyOf(end.to.Addr())}
	}
	switch {
	case out.From.IsValid() && out.To.IsValid() && out.From.Addr().Is4() != out.To.Addr().Is4():
		t.Refuse(field+".to", source.CodeInvalid, "%s is not of the same family as from, %s", out.To, out.From)
	case !out.From.IsValid() && !out.To.IsValid() && out.Mark == 0 && out.Input == "":
		t.Refuse(field, source.CodeRequired, "one of from, to, fwmark and inputInterface is needed: a rule without them is for all packets")
	}
	for _, family := range families {
		out.Family = family
		t.rules[family] = append(t.rules[family], out)
		t.claim(claim{what: ruleClaim{out}, field: field, name: "the rule " + out.String()})
	}
}

// claim adds what the router wants for itself, once.
func (t *routing) claim(c claim) {
	if slices.ContainsFunc(t.claims, func(o claim) bool { return o.what == c.what }) {
		t.Refuse(c.field, source.CodeDuplicate, "%s is there already", c.name)
	}
	t.claims = append(t.claims, c)
}

// number reads a number of 32 bits above 0; nil is 0.
func (t *routing) number(field string, n *int64) uint32 {
	if n == nil {
		return 0
	}
	if *n < 1 || *n > math.MaxUint32 {
		t.Refuse(field, source.CodeOutOfRange, "must be from 1 to %d, not %d", uint32(math.MaxUint32), *n)
		return 0
	}
	return uint32(*n)
}

// network parses a network without host bits.
func (t *routing) network(field, text string) netip.Prefix {
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || p.Addr().Is4In6():
		t.Refuse(field, source.CodeInvalid, "%s is not a network, such as 10.1.0.0/16", source.Quote(text))
		return netip.Prefix{}
	case p != p.Masked():
		t.Refuse(field, source.CodeInvalid, "%s has bits behind its prefix length: the network is %s", source.Quote(text), p.Masked())
		return netip.Prefix{}
	}
	return p
}

// elected says whether the router has an election in the family of addr.
func (t *routing) elected(field string, addr netip.Addr) bool {
	family := familyOf(addr)
	if !slices.Contains(t.families, family) {
		t.Refuse(field, source.CodeInvalid, "%s has no owner: spec.addresses has none of %s", addr, family)
		return false
	}
	return true
}

// same parses an address of the destination's family; "" is none.
func (t *routing) same(field, text string, destination netip.Prefix) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	a := address(t.Report, field, text)
	if a.IsValid() && a.Is4() != destination.Addr().Is4() {
		t.Refuse(field, source.CodeInvalid, "%s is not of the destination's family", source.Quote(text))
	}
	return a
}
