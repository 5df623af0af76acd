package vrrp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Clone returns a deep copy.
func (r Router) Clone() Router {
	r.Addresses = slices.Clone(r.Addresses)
	r.Priority.Terms = slices.Clone(r.Priority.Terms)
	r.Unicast = slices.Clone(r.Unicast)
	r.Routes, r.Rules = slices.Clone(r.Routes), slices.Clone(r.Rules)
	r.Auth.Keys = slices.Clone(r.Auth.Keys)
	r.Track = slices.Clone(r.Track)
	return r
}

const (
	maxIfName      = 15  // IFNAMSIZ of linux/if.h without the final zero
	maxDownAdverts = 100 // as keepalived
	maxRepeat      = 60
	maxWeight      = 253 // the distance between 1 and 254
)

// Validate checks that a router can be run. Its error joins one line per
// field that cannot.
func (r Router) Validate() error {
	var errs []error
	bad := func(cond bool, format string, args ...any) {
		if cond {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(r.Name == "", "name is empty")
	bad(r.Family != IPv4 && r.Family != IPv6, "family %d is neither 4 nor 6", uint8(r.Family))
	bad(r.VRID == 0 && r.Gossip == 0, "vrid 0 is not in 1..255")
	bad(r.Interface == "" || len(r.Interface) > maxIfName, "interface name %q is not 1..%d bytes long", r.Interface, maxIfName)
	bad(len(r.Device) > maxIfName || r.Device != "" && r.Device == r.Interface, "device name %q is longer than %d bytes, or the interface's", r.Device, maxIfName)
	bad(r.Priority.Base == 0, "priority 0 is not in 1..255")
	bad(r.Version > VRRPv2, "version %d is unknown", uint8(r.Version))
	bad(r.Version == VRRPv2 && r.Family != IPv4, "version 2 is for IPv4 only")
	bad(r.Checksum > MessageOnly, "checksum form %d is unknown", uint8(r.Checksum))
	bad(r.Checksum != PseudoHeader && (r.Version != VRRPv3 || r.Family != IPv4), "checksum form %v is for version 3 over IPv4 only", r.Checksum)
	for _, err := range []error{r.Version.check(r.AdvertInterval), r.validateAuth(), r.validateGossip()} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	bad(r.Preempt > PreemptDelay, "preempt mode %d is unknown", uint8(r.Preempt))
	bad(r.PreemptDelay < 0, "preempt delay %v is negative", r.PreemptDelay)
	bad(r.DownAdverts > maxDownAdverts, "%d missing adverts are not in 1..%d", r.DownAdverts, maxDownAdverts)
	bad(r.Announcing != Announcing{} && (r.Announcing.Repeat < 1 || r.Announcing.Repeat > maxRepeat), "%d announcements in a burst are not in 1..%d", r.Announcing.Repeat, maxRepeat)
	bad(r.Announcing.Delay < 0 || r.Announcing.Refresh < 0, "a time between announcements is negative")
	bad(r.StartupDelay < 0 || r.LinkUpDelay < 0, "a delay before take-over is negative")
	for _, t := range r.Track {
		bad(t.Interface == "" || len(t.Interface) > maxIfName, "tracked interface name %q is not 1..%d bytes long", t.Interface, maxIfName)
		bad(t.Weight < -maxWeight || t.Weight > maxWeight, "weight %d of tracked interface %s is not in %d..%d", t.Weight, t.Interface, -maxWeight, maxWeight)
		bad(t.UpDelay < 0 || t.DownDelay < 0, "a delay of tracked interface %s is negative", t.Interface)
	}
	bad(len(r.Addresses) == 0, "no addresses")
	seen := map[netip.Addr]bool{}
	for _, p := range r.Addresses {
		bad(!r.hosts(p.Addr()) || p.Bits() < 0, "address %v is not a unicast %v address with prefix length", p, r.Family)
		bad(seen[p.Addr()], "address %v is there twice", p.Addr())
		seen[p.Addr()] = true
	}
	for _, a := range r.Unicast {
		bad(!r.hosts(a), "unicast peer %v is not a unicast %v address", a, r.Family)
	}
	return errors.Join(errs...)
}

// hosts says whether a can belong to a node in the router's family.
func (r Router) hosts(a netip.Addr) bool {
	return a.IsValid() && familyOf(a) == r.Family && !a.Is4In6() && a.Zone() == "" &&
		!a.IsMulticast() && !a.IsUnspecified()
}

// Admit returns the part of wanted that can run, sorted by Key, and an error
// joined of one for each router that cannot: it is not valid, or has Key, VRID
// on its interface, or an address in common with one before it. A refused
// router that runs already, as found in running, keeps its configuration if
// that is still free of conflicts.
func Admit(running, wanted []Router) ([]Router, error) {
	var errs []error
	var admitted, refused []Router
	taken := map[any]Key{}
	admit := func(r Router) error {
		claims := r.claims()
		for _, c := range claims {
			if by, ok := taken[c]; ok {
				return fmt.Errorf("router %v: %v belongs to router %v already", r.Key, c, by)
			}
		}
		for _, c := range claims {
			taken[c] = r.Key
		}
		admitted = append(admitted, r.Clone())
		return nil
	}
	for _, w := range wanted {
		err := w.Validate()
		if err != nil {
			err = fmt.Errorf("router %v: %w", w.Key, err)
		} else {
			err = admit(w)
		}
		if err != nil {
			errs = append(errs, err)
			refused = append(refused, w)
		}
	}
	for _, w := range refused {
		if i := slices.IndexFunc(running, func(r Router) bool { return r.Key == w.Key }); i >= 0 {
			_ = admit(running[i]) // the refusal is reported above
		}
	}
	slices.SortFunc(admitted, func(a, b Router) int { return compareKeys(a.Key, b.Key) })
	return admitted, errors.Join(errs...)
}

// claims are the things of which a node has one each.
func (r Router) claims() []any {
	claims := []any{r.Key, wireKeyOf(r)}
	if r.Device != "" {
		claims = append(claims, "device "+r.Device)
	}
	for _, p := range r.Addresses {
		claims = append(claims, scoped(p.Addr(), r.Interface))
	}
	return claims
}

// scoped is addr as one thing on a node: a link-local address is one on each
// interface.
func scoped(addr netip.Addr, iface string) netip.Addr {
	if addr.IsLinkLocalUnicast() {
		return addr.WithZone(iface)
	}
	return addr
}

// String says what a wireKey stands for.
func (k wireKey) String() string {
	if k.gossip != 0 {
		return fmt.Sprintf("%v id %d by gossip on %s", k.family, k.gossip, k.iface)
	}
	return fmt.Sprintf("%v VRID %d on %s", k.family, k.vrid, k.iface)
}
