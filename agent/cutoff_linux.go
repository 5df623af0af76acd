package agent

import (
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"harmony/check"
)

// cutOff says whether the way to a check's target leads out of a link without
// carrier: no probe can tell then whether the target lives. A node whose cable
// was pulled for a minute must not come back with every real server down.
func cutOff(spec check.Spec) bool {
	if !spec.Target.IsValid() {
		return false // it is on this node
	}
	routes, err := netlink.RouteGet(spec.Target.Addr().AsSlice())
	if err != nil || len(routes) == 0 {
		return false // no route is the fault of whoever configured it
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return false
	}
	const running = unix.IFF_UP | unix.IFF_RUNNING
	return link.Attrs().RawFlags&running != running
}
