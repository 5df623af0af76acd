package cluster

import (
	"math"
	"slices"
	"time"

	"harmony/api/v1alpha1"
	"harmony/ipvs"
	"harmony/source"
)

// keyOf returns what a service is known by: an address and a port, or a
// firewall mark.
func keyOf(r *source.Report, spec v1alpha1.L4ServiceSpec) ipvs.Key {
	protocol := protocol(r, spec.Protocol)
	switch mark := spec.FWMark; {
	case (spec.Address != "") == (mark != nil):
		r.Refuse("spec.address", source.CodeRequired, "exactly one of address and fwmark is needed")
		return ipvs.Key{}
	case mark == nil:
		r.Port("spec.port", spec.Port)
		return ipvs.Key{Address: address(r, "spec.address", spec.Address), Port: uint16(spec.Port), Protocol: protocol}
	case spec.Port != 0:
		r.Refuse("spec.port", source.CodeInvalid, "belongs to an address: a firewall mark balances all ports")
	case mark.Mark < 1 || mark.Mark > math.MaxUint32:
		r.Refuse("spec.fwmark.mark", source.CodeOutOfRange, "must be from 1 to %d, not %d", uint32(math.MaxUint32), mark.Mark)
	case mark.Family != v1alpha1.FamilyIPv4 && mark.Family != v1alpha1.FamilyIPv6:
		r.Refuse("spec.fwmark.family", source.CodeInvalid, "must be IPv4 or IPv6, not %s", source.Quote(string(mark.Family)))
	}
	return ipvs.Key{FWMark: uint32(spec.FWMark.Mark), IPv6: spec.FWMark.Family == v1alpha1.FamilyIPv6}
}

// balancing reads how a service picks real servers.
func balancing(r *source.Report, to *ipvs.Service, spec v1alpha1.L4ServiceSpec) {
	to.Scheduler, to.OnePacket, to.Engine = string(spec.Scheduler), spec.OnePacket, string(spec.PersistenceEngine)
	if !slices.Contains(v1alpha1.Schedulers(), spec.Scheduler) {
		r.Refuse("spec.scheduler", source.CodeInvalid, "%s is not a scheduler of IPVS: one of %v", source.Quote(string(spec.Scheduler)), v1alpha1.Schedulers())
	}
	for i, flag := range spec.SchedulerFlags {
		field := source.At("spec.schedulerFlags", i)
		switch {
		case flag != v1alpha1.SchedulerFallback && flag != v1alpha1.SchedulerPort:
			r.Refuse(field, source.CodeInvalid, "must be Fallback or Port, not %s", source.Quote(string(flag)))
		case spec.Scheduler != "sh" && spec.Scheduler != "mh":
			r.Refuse(field, source.CodeInvalid, "only the schedulers sh and mh have flags, not %s", spec.Scheduler)
		}
		to.Fallback = to.Fallback || flag == v1alpha1.SchedulerFallback
		to.HashPort = to.HashPort || flag == v1alpha1.SchedulerPort
	}
	if spec.OnePacket && spec.Protocol != v1alpha1.ProtocolUDP && spec.FWMark == nil {
		r.Refuse("spec.onePacket", source.CodeInvalid, "is for UDP: %s connections have more than one packet", spec.Protocol)
	}
	persistence(r, to, spec)
}

func persistence(r *source.Report, to *ipvs.Service, spec v1alpha1.L4ServiceSpec) {
	if spec.Persistence != nil {
		duration(r, "spec.persistence", spec.Persistence, time.Second, maxPersistence, time.Second)
		to.Persistence = spec.Persistence.Duration
	}
	if mask := spec.PersistenceNetmask; mask != nil {
		length := 32
		if to.Address.Is6() || to.IPv6 {
			length = 128
		}
		r.Range("spec.persistenceNetmask", *mask, 1, int32(length))
		if spec.Persistence == nil {
			r.Refuse("spec.persistenceNetmask", source.CodeInvalid, "belongs to persistence: set spec.persistence, or remove it")
		}
		if int(*mask) != length { // the whole address is the kernel's default
			to.Netmask = int(*mask)
		}
	}
	switch {
	case to.Engine == "":
	case to.Engine != "sip":
		r.Refuse("spec.persistenceEngine", source.CodeInvalid, "must be sip, not %s", source.Quote(to.Engine))
	case spec.Protocol != v1alpha1.ProtocolUDP || spec.Persistence == nil || spec.FWMark != nil:
		r.Refuse("spec.persistenceEngine", source.CodeInvalid, "needs protocol UDP, an address and spec.persistence")
	}
}

// way is how packets reach real servers.
type way struct {
	Forwarding ipvs.Forwarding
	Tunnel     ipvs.Tunnel
}

func wayOf(r *source.Report, spec v1alpha1.L4ServiceSpec) way {
	w := way{}
	switch spec.Forwarding {
	case v1alpha1.ForwardingNAT:
		if *spec.Masquerade && spec.FWMark != nil {
			r.Refuse("spec.masquerade", source.CodeInvalid, "needs an address: a firewall mark does not say which connections to masquerade")
		}
	case v1alpha1.ForwardingDR:
		w.Forwarding = ipvs.DR
	case v1alpha1.ForwardingTUN:
		w.Forwarding = ipvs.TUN
	default:
		r.Refuse("spec.forwarding", source.CodeInvalid, "must be NAT, DR or TUN, not %s", source.Quote(string(spec.Forwarding)))
		return w
	}
	if *spec.Masquerade && w.Forwarding != ipvs.NAT {
		r.Refuse("spec.masquerade", source.CodeInvalid, "needs forwarding NAT: with %s the real server answers the client itself", w.Forwarding)
	}
	if w.Forwarding == ipvs.TUN {
		w.Tunnel = tunnel(r, spec.Tunnel)
	} else if spec.Tunnel != (v1alpha1.Tunnel{}) {
		r.Refuse("spec.tunnel", source.CodeInvalid, "belongs to forwarding TUN: set spec.forwarding, or remove it")
	}
	return w
}

func tunnel(r *source.Report, t v1alpha1.Tunnel) ipvs.Tunnel {
	kinds := map[v1alpha1.TunnelType]ipvs.TunnelType{v1alpha1.TunnelIPIP: ipvs.IPIP, v1alpha1.TunnelGUE: ipvs.GUE, v1alpha1.TunnelGRE: ipvs.GRE}
	sums := map[v1alpha1.TunnelChecksum]ipvs.Checksum{
		v1alpha1.TunnelChecksumNone: ipvs.NoChecksum, v1alpha1.TunnelChecksumFull: ipvs.WithChecksum, v1alpha1.TunnelChecksumRemote: ipvs.RemoteChecksum,
	}
	kind, known := kinds[t.Type]
	sum, summed := sums[t.Checksum]
	out := ipvs.Tunnel{Type: kind, Checksum: sum}
	switch {
	case !known:
		r.Refuse("spec.tunnel.type", source.CodeInvalid, "must be IPIP, GUE or GRE, not %s", source.Quote(string(t.Type)))
	case !summed:
		r.Refuse("spec.tunnel.checksum", source.CodeInvalid, "must be None, Full or Remote, not %s", source.Quote(string(t.Checksum)))
	case sum != ipvs.NoChecksum && kind == ipvs.IPIP, sum == ipvs.RemoteChecksum && kind != ipvs.GUE:
		r.Refuse("spec.tunnel.checksum", source.CodeInvalid, "%s is not possible with type %s", t.Checksum, t.Type)
	case (kind == ipvs.GUE) != (t.Port != nil):
		r.Refuse("spec.tunnel.port", source.CodeRequired, "belongs to type GUE, which needs it")
	}
	if t.Port != nil {
		r.Port("spec.tunnel.port", *t.Port)
		out.Port = uint16(*t.Port)
	}
	return out
}

func realServer(r *source.Report, field string, rs v1alpha1.RealServer, spec v1alpha1.L4ServiceSpec, svc ipvs.Service, w way) ipvs.Destination {
	addr := address(r, field+".address", rs.Address)
	is6 := svc.Address.Is6() || svc.IPv6
	if *rs.Port != spec.Port { // the service's own was judged already
		r.Port(field+".port", *rs.Port)
	}
	r.Range(field+".weight", *rs.Weight, 0, maxWeight)
	switch foreign := addr.IsValid() && addr.Is6() != is6; {
	case foreign && w.Forwarding != ipvs.TUN:
		r.Refuse(field+".address", source.CodeInvalid, "%s is not of the family of %s, which only TUN can change", addr, svc.Key)
	case foreign && svc.Persistence > 0:
		r.Refuse(field+".address", source.CodeInvalid, "%s is not of the family of %s, which persistence needs", addr, svc.Key)
	case addr.IsValid() && addr == svc.Address:
		r.Refuse(field+".address", source.CodeInvalid, "%s is the service's own address", addr)
	}
	if w.Forwarding != ipvs.NAT && *rs.Port != spec.Port {
		if spec.FWMark != nil {
			r.Refuse(field+".port", source.CodeUnsupported, "%s cannot change ports: leave it out", w.Forwarding)
		} else {
			r.Refuse(field+".port", source.CodeUnsupported, "%s cannot change ports: must be %d, or left out", w.Forwarding, spec.Port)
		}
	}
	d := ipvs.Destination{Address: addr, Port: uint16(*rs.Port), Forwarding: w.Forwarding, Tunnel: w.Tunnel, Weight: int(*rs.Weight)}
	d.Upper, d.Lower = thresholds(r, field, rs)
	return d
}

func thresholds(r *source.Report, field string, rs v1alpha1.RealServer) (upper, lower uint32) {
	if rs.UpperThreshold != nil {
		r.Range(field+".upperThreshold", *rs.UpperThreshold, 1, math.MaxInt32)
		upper = uint32(*rs.UpperThreshold)
	}
	if rs.LowerThreshold != nil {
		r.Range(field+".lowerThreshold", *rs.LowerThreshold, 1, math.MaxInt32)
		lower = uint32(*rs.LowerThreshold)
		if lower > upper {
			r.Refuse(field+".lowerThreshold", source.CodeOutOfRange, "must be at most upperThreshold, %d", upper)
		}
	}
	return upper, lower
}
