package nft

import (
	"fmt"
	"net/netip"
	"slices"
)

// keys are the elements of a set as the kernel holds them: sorted, each once.
type keys []string

// byFamily returns the keys of addrs for a set of IPv4 and one of IPv6
// addresses. Zones are dropped: a set has none.
func byFamily(addrs []netip.Addr) (v4, v6 keys) {
	for _, a := range addrs {
		if a = a.Unmap(); a.Is4() {
			v4 = append(v4, string(a.AsSlice()))
		} else if a.Is6() {
			v6 = append(v6, string(a.AsSlice()))
		}
	}
	return v4.compact(), v6.compact()
}

// endpointKeys returns the keys of endpoints for a set of each family: address,
// protocol and port, each padded to the 32 bits of a register.
func endpointKeys(endpoints []Endpoint) (v4, v6 keys, err error) {
	for _, e := range endpoints {
		a := e.Address.Unmap()
		if !a.IsValid() {
			return nil, nil, fmt.Errorf("endpoint with port %d and protocol %d has no address", e.Port, e.Protocol)
		}
		key := string(a.AsSlice()) + string([]byte{e.Protocol, 0, 0, 0, byte(e.Port >> 8), byte(e.Port), 0, 0})
		if a.Is4() {
			v4 = append(v4, key)
		} else {
			v6 = append(v6, key)
		}
	}
	return v4.compact(), v6.compact(), nil
}

// compact returns k sorted, without repetitions.
func (k keys) compact() keys {
	slices.Sort(k)
	return slices.Compact(k)
}

// missing returns the keys of k that are not in other.
func (k keys) missing(other keys) keys {
	var out keys
	for _, key := range k {
		if _, found := slices.BinarySearch(other, key); !found {
			out = append(out, key)
		}
	}
	return out
}
