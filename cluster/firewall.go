package cluster

import (
	"cmp"
	"net/netip"
	"slices"

	"harmony/api/v1alpha1"
	"harmony/ipvs"
	"harmony/nft"
	"harmony/source"
)

// Firewall says what the addresses of a router take.
type Firewall struct {
	Guarded bool
	Allow   []nft.Endpoint // without their address
}

// protocols are the transport protocols by name.
var protocols = map[v1alpha1.Protocol]ipvs.Protocol{
	v1alpha1.ProtocolTCP: ipvs.TCP, v1alpha1.ProtocolUDP: ipvs.UDP, v1alpha1.ProtocolSCTP: ipvs.SCTP,
}

// firewall reads what the addresses of a router take.
func firewall(r *source.Report, f v1alpha1.Firewall) Firewall {
	switch f.Mode {
	case v1alpha1.FirewallOpen:
		if len(f.Allow) > 0 {
			r.Refuse("spec.firewall.allow", source.CodeInvalid, "belongs to mode Services: set spec.firewall.mode, or remove it")
		}
		return Firewall{}
	case v1alpha1.FirewallServices:
	default:
		r.Refuse("spec.firewall.mode", source.CodeInvalid, "must be Open or Services, not %s", source.Quote(string(f.Mode)))
		return Firewall{}
	}
	if len(f.Allow) > 64 {
		r.Refuse("spec.firewall.allow", source.CodeTooLarge, "at most 64 ports, not %d", len(f.Allow))
		return Firewall{}
	}
	out := Firewall{Guarded: true}
	for i, p := range f.Allow {
		field := source.At("spec.firewall.allow", i)
		e := nft.Endpoint{Protocol: uint8(protocols[p.Protocol])}
		if e.Protocol == 0 {
			r.Refuse(field+".protocol", source.CodeInvalid, "must be TCP, UDP or SCTP, not %s", source.Quote(string(p.Protocol)))
		}
		if p.Port != nil {
			r.Port(field+".port", *p.Port)
			e.Port = uint16(*p.Port)
		}
		out.Allow = append(out.Allow, e)
	}
	return out
}

// guard is the firewall of a node: the same whether it owns the addresses or
// not, so that a failover has nothing to program. The address of an owner by
// priority 255 is the node's own.
func guard(s State, p NodePlan) nft.Guard {
	var g nft.Guard
	for i, r := range p.Routers {
		f := s.Routers[i].Firewall
		if !f.Guarded || r.Priority.Base == 255 {
			continue
		}
		for _, prefix := range r.Addresses {
			g.Addresses = append(g.Addresses, prefix.Addr())
			for _, e := range f.Allow {
				g.Open = append(g.Open, nft.Endpoint{Address: prefix.Addr(), Port: e.Port, Protocol: e.Protocol})
			}
		}
	}
	for _, svc := range s.Services {
		if slices.Contains(g.Addresses, svc.Address) {
			g.Open = append(g.Open, nft.Endpoint{Address: svc.Address, Port: svc.Port, Protocol: uint8(svc.Protocol)})
		}
	}
	if len(p.NGINX.Sites) > 0 {
		for _, addr := range g.Addresses {
			for _, port := range []uint16{p.NGINX.HTTPPort, p.NGINX.HTTPSPort} {
				g.Open = append(g.Open, nft.Endpoint{Address: addr, Port: port, Protocol: uint8(ipvs.TCP)})
			}
		}
	}
	slices.SortFunc(g.Addresses, netip.Addr.Compare)
	slices.SortFunc(g.Open, compareEndpoints)
	g.Open = slices.Compact(g.Open)
	return g
}

func compareEndpoints(a, b nft.Endpoint) int {
	return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
}
