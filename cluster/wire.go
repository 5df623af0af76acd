package cluster

import (
	"net/netip"
	"time"

	"harmony/api/v1alpha1"
	"harmony/source"
	"harmony/vrrp"
)

// wire puts into to what adverts look like.
func wire(r *source.Report, spec v1alpha1.VirtualRouterSpec, addresses map[vrrp.Family][]netip.Prefix, to *vrrp.Router) {
	to.Version = version(r, spec.Version, addresses)
	to.Checksum = checksum(r, spec, addresses)
	low, high, unit := 10*time.Millisecond, 40950*time.Millisecond, 10*time.Millisecond
	if to.Version == vrrp.VRRPv2 {
		low, high, unit = time.Second, 255*time.Second, time.Second
	}
	duration(r, "spec.advertInterval", spec.AdvertInterval, low, high, unit)
}

func version(r *source.Report, number int32, addresses map[vrrp.Family][]netip.Prefix) vrrp.Version {
	const field = "spec.version"
	switch {
	case number != 2 && number != 3:
		r.Refuse(field, source.CodeInvalid, "must be 2 or 3, not %d", number)
	case number == 2 && len(addresses[vrrp.IPv6]) > 0:
		r.Refuse(field, source.CodeInvalid, "version 2 is for IPv4 only: use 3, or put %s into a VirtualRouter of its own", addresses[vrrp.IPv6][0])
	case number == 2:
		return vrrp.VRRPv2
	}
	return vrrp.VRRPv3
}

func checksum(r *source.Report, spec v1alpha1.VirtualRouterSpec, addresses map[vrrp.Family][]netip.Prefix) vrrp.Checksum {
	const field = "spec.checksum"
	switch spec.Checksum {
	case v1alpha1.ChecksumPseudoHeader:
		return vrrp.PseudoHeader
	case v1alpha1.ChecksumMessageOnly:
	default:
		r.Refuse(field, source.CodeInvalid, "must be PseudoHeader or MessageOnly, not %s", source.Quote(string(spec.Checksum)))
		return vrrp.PseudoHeader
	}
	if spec.Version != 3 || len(addresses[vrrp.IPv4]) == 0 {
		r.Refuse(field, source.CodeInvalid, "belongs to version 3 over IPv4: everywhere else the protocol leaves no choice, so remove it")
	}
	return vrrp.MessageOnly
}
