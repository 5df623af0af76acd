package agent

import (
	"log/slog"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"harmony/check"
	"harmony/vrrp"
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

// recovered are the interfaces whose routers were at fault and are not any more.
func recovered(before, now []vrrp.RouterStatus) (ifaces []string) {
	faulty := map[vrrp.Key]bool{}
	for _, r := range before {
		faulty[r.Router.Key] = r.State == vrrp.Fault
	}
	for _, r := range now {
		if faulty[r.Router.Key] && r.State != vrrp.Fault {
			ifaces = append(ifaces, r.Router.Interface)
		}
	}
	return ifaces
}

// forgetUnreachable lets the kernel ask anew for neighbors that it could not
// reach while a link was away. It asks once a second, and refuses what is sent
// to them meanwhile: a node that takes over within that second would refuse
// connections to real servers that are well.
func forgetUnreachable(iface string, log *slog.Logger) {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return // it is away again
	}
	neighbors, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_ALL)
	if err != nil {
		log.Warn("neighbors not listed", "iface", iface, "err", err)
		return
	}
	for i := range neighbors {
		if n := &neighbors[i]; n.State&(unix.NUD_INCOMPLETE|unix.NUD_FAILED) != 0 {
			_ = netlink.NeighDel(n) // it may have answered meanwhile
		}
	}
}
