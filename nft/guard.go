package nft

import (
	"fmt"
	"net/netip"
)

// Guard is what a Firewall enforces.
type Guard struct {
	Addresses []netip.Addr `json:"addresses,omitempty"` // take nothing but what follows
	// Open are the ports that take packets; port 0 means all of the protocol.
	Open []Endpoint `json:"open,omitempty"`
}

// keys returns the elements of the three sets of each family: guarded
// addresses, open ports, and protocols that are open as a whole.
func (g Guard) keys() (v4, v6 []keys, err error) {
	var ports, whole []Endpoint
	for _, e := range g.Open {
		switch {
		case e.Protocol == 0:
			return nil, nil, fmt.Errorf("open port %d of %v has no protocol", e.Port, e.Address)
		case e.Port == 0:
			whole = append(whole, e)
		default:
			ports = append(ports, e)
		}
	}
	addresses4, addresses6 := byFamily(g.Addresses)
	ports4, ports6, err := endpointKeys(ports)
	if err != nil {
		return nil, nil, err
	}
	whole4, whole6, err := endpointKeys(whole)
	if err != nil {
		return nil, nil, err
	}
	return []keys{addresses4, ports4, whole4.withoutPort()}, []keys{addresses6, ports6, whole6.withoutPort()}, nil
}

// withoutPort cuts the port off the keys of endpoints.
func (k keys) withoutPort() keys {
	var out keys
	for _, key := range k {
		out = append(out, key[:len(key)-4])
	}
	return out.compact()
}
