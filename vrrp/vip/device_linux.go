package vip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Values of linux/if_link.h, linux/if_addr.h and linux/netconf.h.
const (
	inet6AddrGenMode = 8  // IFLA_INET6_ADDR_GEN_MODE
	addrGenNone      = 1  // IN6_ADDR_GEN_MODE_NONE
	addrRtPriority   = 9  // IFA_RT_PRIORITY
	netconfRPFilter  = 3  // NETCONFA_RP_FILTER
	netconfAll       = -1 // NETCONFA_IFINDEX_ALL
)

// behindMetric is the metric of the subnet routes of addresses on a virtual
// MAC. The interface's own route to the same subnet, whoever has made it, goes
// before it; where there is none, it serves.
const behindMetric = 32768

// deviceOf returns the device d, if it is there and is ours. A device of that
// name that is not is an error; so is none, which isGone knows.
func (k *kernel) deviceOf(h *netlink.Handle, d Device) (netlink.Link, error) {
	link, err := k.link(h, d.Name)
	if err != nil {
		return nil, err
	}
	mac, ok := link.(*netlink.Macvlan)
	if !ok || mac.Mode != netlink.MACVLAN_MODE_PRIVATE || !bytes.Equal(mac.HardwareAddr, d.MAC()) || !strings.HasPrefix(mac.Alias, "harmony ") {
		return nil, errForeignDevice
	}
	return link, nil
}

// ensure makes d, down and without addresses, unless it is there. Where its
// interface is not, there is no device and no error: the router waits for it.
func (k *kernel) ensure(h *netlink.Handle, d Device) (netlink.Link, error) {
	parent, err := k.link(h, d.Parent)
	if err != nil {
		return nil, err
	}
	link, err := k.deviceOf(h, d)
	switch {
	case err == nil && link.Attrs().ParentIndex == parent.Attrs().Index:
		return link, nil
	case err == nil: // the router was on another interface
		if err := h.LinkDel(link); err != nil {
			return nil, err
		}
	case !isGone(err):
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex, attrs.HardwareAddr = d.Name, parent.Attrs().Index, d.MAC()
	if err := h.LinkAdd(&netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_PRIVATE}); err != nil {
		return nil, k.refusal(h, parent, err)
	}
	if link, err = k.link(h, d.Name); err != nil {
		return nil, err
	}
	if err := k.outfit(link, d); err != nil {
		return nil, errors.Join(err, h.LinkDel(link))
	}
	return k.link(h, d.Name) // with its alias
}

// refusal says why the kernel does not put a macvlan on parent.
func (k *kernel) refusal(h *netlink.Handle, parent netlink.Link, err error) error {
	if at := parent.Attrs().MasterIndex; at != 0 && errors.Is(err, unix.EBUSY) {
		if master, merr := h.LinkByIndex(at); merr == nil {
			return fmt.Errorf("%w: %w", errPort(master.Type(), master.Attrs().Name), err)
		}
	}
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: %w", errNoMacvlan, err)
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w: %w", errTaken, err)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: %w", errCannot, err)
	}
	return err
}

// outfit marks a new device as ours and gives it its settings. It gets no
// link-local address: nothing shall come from it but what its addresses say.
func (k *kernel) outfit(link netlink.Link, d Device) error {
	all, err := k.netconf(unix.AF_INET, netconfAll, netconfRPFilter)
	if err != nil {
		return fmt.Errorf("net.ipv4.conf.all.rp_filter: %w", err)
	}
	set := func(withIPv6 bool) error {
		req := k.setLink(link)
		req.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(d.alias())))
		spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
		conf := spec.AddRtAttr(unix.AF_INET, nil).AddRtAttr(inetConf, nil)
		for name, value := range deviceSettings(all) {
			conf.AddRtAttr(devconf[name], binary.NativeEndian.AppendUint32(nil, value))
		}
		if withIPv6 {
			spec.AddRtAttr(unix.AF_INET6, nil).AddRtAttr(inet6AddrGenMode, []byte{addrGenNone})
		}
		req.AddData(spec)
		_, err := req.Execute(unix.NETLINK_ROUTE, 0)
		return err
	}
	if err = set(true); errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EINVAL) {
		err = set(false) // a kernel without IPv6, or with it switched off
	}
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	return nil
}

// deafen keeps a device from taking part in what only a host does: routes
// that routers advertise would lead out of it. netlink cannot say these.
func (k *kernel) deafen(d Device) error {
	name := "accept_ra"
	value := "0"
	if d.Router.Family != 6 {
		name, value = "disable_ipv6", "1"
	}
	path := filepath.Join("/proc/sys/net/ipv6/conf", d.Name, name)
	return k.inside(func() error {
		if have, err := os.ReadFile(path); errors.Is(err, os.ErrNotExist) || string(bytes.TrimSpace(have)) == value {
			return nil // no IPv6 in the kernel, or done
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(value)
		return errors.Join(err, f.Close())
	})
}

// inside runs f on a thread in the kernel's network namespace, for what goes
// by paths instead of sockets.
func (k *kernel) inside(f func() error) error {
	done := make(chan error, 1)
	go k.runInside(f, done)
	return <-done
}

// runInside is inside, on the thread that it locks. One that has changed its
// namespace is not given back, and the process' first one, which cannot be
// thrown away, does not change it.
func (k *kernel) runInside(f func() error, done chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		done <- k.inside(f)
		runtime.UnlockOSThread()
		return
	}
	here, err := netns.Get()
	if err != nil {
		done <- err
		return
	}
	defer here.Close()
	if here.Equal(k.ns) {
		defer runtime.UnlockOSThread()
	} else if err := netns.Set(k.ns); err != nil {
		done <- err
		return
	}
	done <- f()
}

func (k *kernel) setLink(link netlink.Link) *nl.NetlinkRequest {
	req := k.request(unix.RTM_SETLINK, unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(link.Attrs().Index)
	req.AddData(msg)
	return req
}

// configure sets settings below net.ipv4.conf.IFACE.
func (k *kernel) configure(link netlink.Link, values map[string]uint32) error {
	if len(values) == 0 {
		return nil
	}
	req := k.setLink(link)
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	conf := spec.AddRtAttr(unix.AF_INET, nil).AddRtAttr(inetConf, nil)
	for name, value := range values {
		conf.AddRtAttr(devconf[name], binary.NativeEndian.AppendUint32(nil, value))
	}
	req.AddData(spec)
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// configuration returns the settings below net.ipv4.conf.IFACE that devconf
// knows.
func (k *kernel) configuration(link netlink.Link) (map[string]uint32, error) {
	req := k.request(unix.RTM_GETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(link.Attrs().Index)
	req.AddData(msg)
	answers, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return nil, err
	}
	out := make(map[string]uint32, len(devconf))
	for _, m := range answers {
		if len(m) < unix.SizeofIfInfomsg {
			continue
		}
		values, err := nestedAttr(m[unix.SizeofIfInfomsg:], unix.IFLA_AF_SPEC, unix.AF_INET, inetConf)
		if err != nil {
			return nil, err
		}
		for name, number := range devconf {
			if at := 4 * (number - 1); len(values) >= at+4 {
				out[name] = binary.NativeEndian.Uint32(values[at:])
			}
		}
	}
	return out, nil
}

// nestedAttr returns the value of the attribute at the end of path.
func nestedAttr(b []byte, path ...uint16) ([]byte, error) {
	for _, kind := range path {
		attrs, err := nl.ParseRouteAttr(b)
		if err != nil {
			return nil, err
		}
		b = nil
		for _, a := range attrs {
			if a.Attr.Type&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER) == kind {
				b = a.Value
			}
		}
	}
	return b, nil
}

// netconf returns one value of an interface's configuration in a family.
func (k *kernel) netconf(family uint8, index int32, kind uint16) (uint32, error) {
	req := k.request(unix.RTM_GETNETCONF, 0)
	attr := nl.NewRtAttr(netconfIndex, binary.NativeEndian.AppendUint32(nil, uint32(index)))
	req.AddRawData(append([]byte{family, 0, 0, 0}, attr.Serialize()...)) // struct netconfmsg, padded
	answers, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNETCONF)
	if err != nil {
		return 0, err
	}
	for _, m := range answers {
		if len(m) < 4 {
			continue
		}
		value, err := nestedAttr(m[4:], kind)
		if err != nil {
			return 0, err
		}
		if len(value) == 4 {
			return binary.NativeEndian.Uint32(value), nil
		}
	}
	return 0, nil
}

// addBehind is add for a device with a virtual MAC, whose subnet routes come
// after all others.
func (k *kernel) addBehind(link netlink.Link, p netip.Prefix) (existed bool, err error) {
	err = k.putBehind(link, p, 0, unix.NLM_F_EXCL)
	if errors.Is(err, unix.EEXIST) {
		return true, nil
	}
	return false, err
}

// lastingBehind is lasting for such a device.
func (k *kernel) lastingBehind(link netlink.Link, p netip.Prefix, life time.Duration) error {
	return k.putBehind(link, p, life, unix.NLM_F_REPLACE)
}

// putBehind writes an address. The library cannot say the metric of its route.
func (k *kernel) putBehind(link netlink.Link, p netip.Prefix, life time.Duration, how int) error {
	a := settings(p)
	family, flags := unix.AF_INET, a.Flags
	if p.Addr().Is6() {
		family = unix.AF_INET6
	}
	req := k.request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|how|unix.NLM_F_ACK)
	msg := nl.NewIfAddrmsg(family)
	msg.Index, msg.Prefixlen = uint32(link.Attrs().Index), uint8(p.Bits())
	req.AddData(msg)
	ip := p.Addr().AsSlice()
	req.AddData(nl.NewRtAttr(unix.IFA_LOCAL, ip))
	req.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, ip))
	if p.IsSingleIP() {
		flags |= unix.IFA_F_NOPREFIXROUTE
	} else {
		req.AddData(nl.NewRtAttr(addrRtPriority, binary.NativeEndian.AppendUint32(nil, behindMetric)))
	}
	req.AddData(nl.NewRtAttr(unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, uint32(flags))))
	info := nl.IfaCacheInfo{IfaCacheinfo: unix.IfaCacheinfo{Valid: math.MaxUint32}} // IPv6: deprecated, as settings has it
	if life > 0 {
		info.Valid = uint32(life.Seconds())
	}
	if p.Addr().Is4() {
		info.Prefered = info.Valid
	}
	req.AddData(nl.NewRtAttr(unix.IFA_CACHEINFO, info.Serialize()))
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// down takes a device down, if it is there.
func (k *kernel) down(h *netlink.Handle, iface string) error {
	link, err := k.link(h, iface)
	if err == nil {
		err = h.LinkSetDown(link)
	}
	if err != nil && !isGone(err) {
		return fmt.Errorf("taking down %s: %w", iface, err)
	}
	return nil
}

// isUp says whether a link is administratively up.
func isUp(link netlink.Link) bool { return link.Attrs().Flags&net.FlagUp != 0 }
