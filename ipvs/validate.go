package ipvs

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// Limits of the kernel and of ipvsadm.
const (
	maxScheduler   = 15                  // IP_VS_SCHEDNAME_MAXLEN without its NUL
	maxPersistence = 31 * 24 * time.Hour // ipvsadm's MAX_TIMEOUT
	maxWeight      = math.MaxUint16      // ipvsadm's limit
	maxThreshold   = math.MaxInt32       // the kernel compares it with an int
)

// InvalidError says why a wanted service cannot be programmed. Test for it
// with errors.As.
type InvalidError struct {
	Service     Key
	Destination netip.AddrPort // invalid (zero) when the service itself is at fault
	Reason      string
}

// Error names the service, the destination if it is at fault, and the reason.
func (e *InvalidError) Error() string {
	if e.Destination == (netip.AddrPort{}) {
		return fmt.Sprintf("ipvs service %v: %s", e.Service, e.Reason)
	}
	return fmt.Sprintf("ipvs service %v: destination %v: %s", e.Service, e.Destination, e.Reason)
}

// Validate returns nil if the service can be programmed, and else an
// *InvalidError with the first reason. What it refuses, the kernel either
// refuses too, or takes and then does something else: direct routing, for one,
// never translates a port.
func (s Service) Validate() error {
	if reason := serviceFault(s); reason != "" {
		return &InvalidError{Service: s.Key, Reason: reason}
	}
	seen := make(map[netip.AddrPort]bool, len(s.Destinations))
	for _, d := range s.Destinations {
		reason := destinationFault(s, d)
		if seen[d.endpoint()] {
			reason = "given twice"
		}
		if reason != "" {
			return &InvalidError{Service: s.Key, Destination: d.endpoint(), Reason: reason}
		}
		seen[d.endpoint()] = true
	}
	return nil
}

// serviceFault returns why the service itself cannot be programmed, or "".
func serviceFault(s Service) string {
	switch {
	case s.FWMark != 0 && s.Key != Key{FWMark: s.FWMark, IPv6: s.IPv6}:
		return "a firewall mark excludes address, port and protocol"
	case s.FWMark == 0 && s.IPv6:
		return "only a firewall mark has a family of its own"
	case s.FWMark == 0 && !balanceable(s.Address):
		return "not a unicast address without a zone"
	case s.FWMark == 0 && s.Protocol != TCP && s.Protocol != UDP && s.Protocol != SCTP:
		return "protocol must be TCP, UDP or SCTP"
	case s.Persistence < 0 || s.Persistence > maxPersistence || s.Persistence%time.Second != 0:
		return "persistence must be whole seconds, at most 31 days"
	case s.FWMark == 0 && s.Port == 0 && s.Persistence == 0:
		return "port 0 (all ports) needs persistence"
	case s.Netmask < 0 || s.Netmask > bits(s.is6()):
		return fmt.Sprintf("netmask must be 0..%d", bits(s.is6()))
	case s.Netmask != 0 && s.Persistence == 0:
		return "netmask belongs to persistence"
	case s.Engine != "" && (s.Engine != "sip" || s.Persistence == 0 || s.Protocol != UDP):
		return "the only persistence engine is sip, for UDP with persistence"
	case s.OnePacket && s.FWMark == 0 && s.Protocol != UDP:
		return "one-packet scheduling is for UDP"
	case (s.Fallback || s.HashPort) && s.Scheduler != "sh" && s.Scheduler != "mh":
		return "only the schedulers sh and mh have flags"
	case s.Scheduler == "" || len(s.Scheduler) > maxScheduler:
		return "scheduler name must have 1 to 15 characters"
	}
	for _, c := range s.Scheduler {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return "scheduler name must consist of a-z, 0-9 and _"
		}
	}
	return ""
}

// destinationFault returns why d cannot be a destination of s, or "".
func destinationFault(s Service, d Destination) string {
	switch {
	case !balanceable(d.Address):
		return "not a unicast address without a zone"
	case d.Address.Is6() != s.is6() && d.Forwarding != TUN:
		return "must be of the service's address family, except with TUN"
	case d.Address.Is6() != s.is6() && s.Persistence > 0:
		return "must be of the service's address family where that has persistence"
	case d.Weight < 0 || d.Weight > maxWeight:
		return "weight must be 0..65535"
	case d.Forwarding != NAT && d.Forwarding != DR && d.Forwarding != TUN:
		return "forwarding must be NAT, DR or TUN"
	case d.Forwarding != NAT && d.Port != s.Port:
		return fmt.Sprintf("%v cannot change the port: it must be %d", d.Forwarding, s.Port)
	case d.Port == 0 && s.Port != 0:
		return "port 0 is only for a service on port 0"
	case d.Lower > d.Upper:
		return "the lower threshold must not be above the upper"
	case d.Upper > maxThreshold:
		return fmt.Sprintf("the upper threshold must be 0..%d", maxThreshold)
	}
	return tunnelFault(d)
}

// tunnelFault returns why the destination cannot be reached through its tunnel,
// or "".
func tunnelFault(d Destination) string {
	t := d.Tunnel
	switch {
	case t != Tunnel{} && d.Forwarding != TUN:
		return "a tunnel belongs to TUN"
	case t.Type > GRE:
		return "tunnel type must be ipip, gue or gre"
	case t.Type == GUE && t.Port == 0:
		return "a gue tunnel needs a port"
	case t.Type != GUE && t.Port != 0:
		return "only a gue tunnel has a port"
	case t.Type == IPIP && t.Checksum != NoChecksum:
		return "an ipip tunnel has no checksum"
	case t.Type == GRE && t.Checksum == RemoteChecksum || t.Checksum > RemoteChecksum:
		return "the checksum of a tunnel must be none, csum or, with gue, remcsum"
	}
	return ""
}

// balanceable says whether ip_vs can have the address in its table.
func balanceable(a netip.Addr) bool {
	return a.IsValid() && !a.Is4In6() && a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast()
}

// accept splits the wanted services into those that can be programmed and the
// keys of the refused. The error joins the reasons. A service that is given
// twice is refused from the second time on; the first counts.
func accept(want []Service) (good []Service, refused map[Key]bool, err error) {
	refused = make(map[Key]bool)
	seen := make(map[Key]bool, len(want))
	var errs []error
	for _, s := range want {
		switch fault := s.Validate(); {
		case seen[s.Key]:
			errs = append(errs, &InvalidError{Service: s.Key, Reason: "given twice"})
		case fault != nil:
			errs = append(errs, fault)
			refused[s.Key] = true
		default:
			good = append(good, s)
		}
		seen[s.Key] = true
	}
	return good, refused, errors.Join(errs...)
}
