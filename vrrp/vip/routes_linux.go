package vip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"harmony/vrrp"
)

// routeProtocol marks routes and rules as ours (rtnetlink(7), rtm_protocol): the
// number of VRRP among the protocols of IP. keepalived's is 18. Only what has
// the mark is ever removed.
const routeProtocol = 112

// errForeignRoute is why a route is not there as ours.
var errForeignRoute = errors.New("there is one already that is not ours; it stays as it is")

// PrepareRoutes makes wanted, by router, the whole set of routes and rules that
// may be added from now on. They are recorded first; those of routers that own
// their addresses are put where they are missing, so the same set again repairs
// what others have removed. It is called before the engine gets the routers.
func (a *Addresses) PrepareRoutes(wanted map[vrrp.Key]Routing) error {
	a.mu.Lock()
	a.routes.next = wanted
	a.mu.Unlock()
	if err := a.publish(); err != nil {
		return err
	}
	a.routing.Lock()
	defer a.routing.Unlock()
	a.mu.Lock()
	a.routes.wanted = wanted
	a.mu.Unlock()
	return a.syncRoutes(a.kernel.survey)
}

// Serve implements vrrp.Actuator.
func (a *Addresses) Serve(routers []vrrp.Key) error {
	a.routing.Lock()
	defer a.routing.Unlock()
	a.mu.Lock()
	a.routes.serving = routers
	idle := len(a.routes.wanted) == 0 && len(a.routes.routes)+len(a.routes.rules) == 0
	a.mu.Unlock()
	if idle {
		return nil
	}
	return a.syncRoutes(a.kernel.links)
}

// syncRoutes removes what is not due any more, rules first, and adds the rest,
// rules last. The caller holds a.routing.
func (a *Addresses) syncRoutes(h *netlink.Handle) error {
	a.mu.Lock()
	routes, rules := a.routes.due()
	goneRoutes, goneRules := missing(a.routes.routes, routes), missing(a.routes.rules, rules)
	a.mu.Unlock()
	var errs []error
	for _, r := range goneRules {
		errs = append(errs, a.dropRule(h, r))
	}
	for _, r := range goneRoutes {
		errs = append(errs, a.dropRoute(h, r))
	}
	for r := range routes {
		errs = append(errs, a.putRoute(h, r))
	}
	for r := range rules {
		errs = append(errs, a.putRule(h, r))
	}
	return errors.Join(errs...)
}

func (a *Addresses) putRoute(h *netlink.Handle, r vrrp.Route) error {
	route, err := a.kernel.route(h, r)
	if err == nil {
		err = h.RouteAdd(route)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if errors.Is(err, unix.EEXIST) {
		if a.routes.routes[r] {
			return nil
		}
		err = errForeignRoute
	}
	if err != nil {
		return fmt.Errorf("adding route %v: %w", r, err)
	}
	a.routes.routes[r] = true
	return nil
}

func (a *Addresses) dropRoute(h *netlink.Handle, r vrrp.Route) error {
	route, err := a.kernel.route(h, r)
	if err == nil {
		err = h.RouteDel(route)
	}
	if err != nil && !isGone(err) && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("removing route %v: %w", r, err)
	}
	a.mu.Lock()
	delete(a.routes.routes, r)
	a.mu.Unlock()
	return nil
}

func (a *Addresses) putRule(h *netlink.Handle, r vrrp.Rule) error {
	if err := h.RuleAdd(rule(r)); err != nil && !errors.Is(err, unix.EEXIST) { // ours: the protocol is part of a rule
		return fmt.Errorf("adding rule %v: %w", r, err)
	}
	a.mu.Lock()
	a.routes.rules[r] = true
	a.mu.Unlock()
	return nil
}

func (a *Addresses) dropRule(h *netlink.Handle, r vrrp.Rule) error {
	if err := h.RuleDel(rule(r)); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("removing rule %v: %w", r, err)
	}
	a.mu.Lock()
	delete(a.routes.rules, r)
	a.mu.Unlock()
	return nil
}

// route is r as the library has it. isGone of the error: its interface is not
// there, and so neither is the route.
func (k *kernel) route(h *netlink.Handle, r vrrp.Route) (*netlink.Route, error) {
	types := map[vrrp.RouteType]int{
		vrrp.RouteUnicast: unix.RTN_UNICAST, vrrp.RouteBlackhole: unix.RTN_BLACKHOLE,
		vrrp.RouteUnreachable: unix.RTN_UNREACHABLE, vrrp.RouteProhibit: unix.RTN_PROHIBIT,
	}
	out := &netlink.Route{
		Protocol: routeProtocol, Type: types[r.Type], Dst: ipNet(r.Destination),
		Table: int(r.Table), Priority: int(r.Metric), Scope: netlink.SCOPE_UNIVERSE,
	}
	if r.Table == 0 {
		out.Table = unix.RT_TABLE_MAIN
	}
	if r.Via.IsValid() {
		out.Gw = r.Via.AsSlice()
	} else if r.Type == vrrp.RouteUnicast && r.Destination.Addr().Is4() {
		out.Scope = netlink.SCOPE_LINK
	}
	if r.Source.IsValid() {
		out.Src = r.Source.AsSlice()
	}
	if r.Interface != "" {
		link, err := k.link(h, r.Interface)
		if err != nil {
			return nil, err
		}
		out.LinkIndex = link.Attrs().Index
	}
	return out, nil
}

func rule(r vrrp.Rule) *netlink.Rule {
	out := netlink.NewRule()
	out.Family, out.Protocol = unix.AF_INET, routeProtocol
	if r.Family == vrrp.IPv6 {
		out.Family = unix.AF_INET6
	}
	out.Priority, out.Table, out.Mark, out.IifName = int(r.Priority), int(r.Table), r.Mark, r.Input
	if r.From.IsValid() {
		out.Src = ipNet(r.From)
	}
	if r.To.IsValid() {
		out.Dst = ipNet(r.To)
	}
	if r.Mask != 0 {
		out.Mask = &r.Mask
	}
	return out
}

func ipNet(p netip.Prefix) *net.IPNet {
	ip := p.Addr().AsSlice()
	return &net.IPNet{IP: ip, Mask: net.CIDRMask(p.Bits(), len(ip)*8)}
}
