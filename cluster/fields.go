package cluster

import (
	"net/netip"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"harmony/source"
)

// duration refuses the object of r unless d is from low to high, in whole
// units; it reports whether it is.
func duration(r *source.Report, field string, d *metav1.Duration, low, high, unit time.Duration) bool {
	switch {
	case d.Duration < low || d.Duration > high:
		r.Refuse(field, source.CodeOutOfRange, "must be from %s to %s, not %s", low, high, d.Duration)
	case d.Duration%unit != 0:
		r.Refuse(field, source.CodeOutOfRange, "must be a multiple of %s, not %s", unit, d.Duration)
	default:
		return true
	}
	return false
}

// address parses an address that a host can have and others can reach it by.
func address(r *source.Report, field, text string) netip.Addr {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		r.Refuse(field, source.CodeInvalid, "%s is not an IP address", source.Quote(text))
		return netip.Addr{}
	}
	if reason := unusable(addr); reason != "" {
		r.Refuse(field, source.CodeOutOfRange, "%s is %s", source.Quote(text), reason)
	}
	return addr
}

// prefix parses an address with its on-link length, by default its whole length.
func prefix(r *source.Report, field, text string) netip.Prefix {
	if !strings.Contains(text, "/") {
		addr := address(r, field, text)
		return netip.PrefixFrom(addr, addr.BitLen())
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		r.Refuse(field, source.CodeInvalid, "%s is not an IP address with a prefix length, such as 10.0.0.100/24", source.Quote(text))
		return netip.Prefix{}
	}
	reason := unusable(p.Addr())
	if reason == "" && p.Bits() == 0 {
		reason = "an address of a network without bounds: give the real prefix length"
	}
	if reason == "" && p.Addr().Is4() && p.Bits() < 31 {
		switch p.Addr() {
		case p.Masked().Addr():
			reason = "the address of the network itself"
		case broadcast(p):
			reason = "the broadcast address of its network"
		}
	}
	if reason != "" {
		r.Refuse(field, source.CodeOutOfRange, "%s is %s", source.Quote(text), reason)
	}
	return p
}

// unusable says why no interface can have addr as its own, or "".
func unusable(addr netip.Addr) string {
	switch {
	case addr.Is4In6():
		return "an IPv4 address in IPv6 form: write it as IPv4"
	case addr.Zone() != "":
		return "an address with a zone: leave the zone out"
	case addr.IsUnspecified():
		return "the unspecified address"
	case addr.IsLoopback():
		return "a loopback address"
	case addr.IsMulticast():
		return "a multicast address"
	case addr.Is4() && (addr.As4()[0] == 0 || addr.As4()[0] >= 240):
		return "an address out of the reserved ranges 0.0.0.0/8 and 240.0.0.0/4"
	}
	return ""
}

// broadcast returns the last address of an IPv4 prefix.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b)
}
