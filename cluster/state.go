package cluster

import (
	"net/netip"

	"harmony/check"
	"harmony/ipvs"
	"harmony/nginxconf"
	"harmony/notify"
	"harmony/script"
	"harmony/source"
	"harmony/vrrp"
)

// State is the wanted state of the whole edge, the same on every node. Its
// slices are sorted.
type State struct {
	Gossip   *Gossip // nil: no router has transport mode Gossip
	Routers  []Router
	Services []Service
	Scripts  []script.Script // that objects may name; in the order of their names

	SyncGroups []notify.Group // of which Settings say more
	NotifyFIFO notify.FIFO

	NGINX nginxconf.Config
}

// Router is a virtual router in one family, with the priorities of all nodes.
type Router struct {
	vrrp.Router                  // without its Priority
	Priority    uint8            // of nodes that Priorities does not list
	Priorities  map[string]uint8 // by node
	Firewall    Firewall
	Trackers    []Tracker // in the user's order
	Notify      notify.Hooks
}

// Service is a layer 4 service with all its real servers.
type Service struct {
	ipvs.Service
	Object     source.Ref  // who asked for it
	Masquerade bool        // give balanced connections the node's source address
	CheckPort  uint16      // to probe instead of a real server's; 0 means that
	Check      *check.Spec // of each real server, without Target; nil means none
}

// check returns the check of a real server, if it has one.
func (s Service) check(d ipvs.Destination) (check.Spec, bool) {
	if s.Check == nil {
		return check.Spec{}, false
	}
	spec := *s.Check
	spec.Target = addrPort(d)
	if s.CheckPort != 0 {
		spec.Target = netip.AddrPortFrom(d.Address, s.CheckPort)
	}
	return spec, true
}
