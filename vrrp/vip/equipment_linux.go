package vip

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"harmony/vrrp"
)

// PrepareDevices makes wanted the whole set of virtual MACs, and says by name
// which of them cannot be had (a *DeviceError each), where interface or kernel
// refuse, or somebody else has a device of that name. They are made, down, and
// recorded first. Those not wanted any more go with the first call that finds
// them without addresses. It is called before Prepare; the same set again
// repairs what others have removed.
func (a *Addresses) PrepareDevices(wanted []Device) map[string]error {
	failed := make(map[string]error)
	fail := func(d Device, err error) { failed[d.Name] = &DeviceError{Device: d, Err: err} }
	a.mu.Lock()
	a.devices.wanted = make(map[string]Device, len(wanted))
	for _, d := range wanted {
		a.devices.wanted[d.Name] = d
	}
	a.mu.Unlock()
	if err := a.publish(); err != nil {
		for _, d := range wanted {
			fail(d, err)
		}
		return failed
	}
	for _, d := range wanted {
		if _, err := a.equip(a.kernel.survey, d); err != nil && !isGone(err) {
			fail(d, err)
		}
	}
	a.retire()
	return failed
}

// equip returns the device d, which it makes if need be, with the settings
// that it and its interface need. isGone of the error: there is no interface.
func (a *Addresses) equip(h *netlink.Handle, d Device) (netlink.Link, error) {
	if err := a.prepareParent(h, d); err != nil {
		return nil, err
	}
	link, err := a.kernel.ensure(h, d)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	_, known := a.devices.ours[d.Name]
	a.devices.ours[d.Name] = d
	a.mu.Unlock()
	if known && isUp(link) {
		return link, nil
	}
	if err := a.kernel.deafen(d); err != nil {
		a.log.Warn("a virtual MAC listens to router advertisements: set this on the host", "iface", d.Name, "err", err)
	}
	return link, nil
}

// prepareParent gives the interface of an IPv4 device its settings, the old
// values recorded first.
func (a *Addresses) prepareParent(h *netlink.Handle, d Device) error {
	if d.Router.Family != vrrp.IPv4 {
		return nil
	}
	parent, err := a.kernel.link(h, d.Parent)
	if err != nil {
		return err
	}
	have, err := a.kernel.configuration(parent)
	if err != nil {
		return fmt.Errorf("settings of %s: %w", d.Parent, err)
	}
	change := parentSettings(d.Parent, have)
	if len(change) == 0 {
		return nil
	}
	a.mu.Lock()
	a.devices.remember(change)
	a.mu.Unlock()
	if err := a.publish(); err != nil {
		return err
	}
	values := make(map[string]uint32, len(change))
	for _, s := range change {
		values[s.Name] = s.Ours
		a.log.Info("interface setting changed", "iface", s.Interface, "setting", "net.ipv4.conf."+s.Interface+"."+s.Name, "from", s.Old, "to", s.Ours)
	}
	return a.kernel.configure(parent, values)
}

// retire removes the devices of ours that nobody wants and that have no
// address of ours any more, and restores the settings of their interfaces.
// It may take some hundredths of a second: it is not for the engine.
func (a *Addresses) retire() {
	h := a.kernel.survey
	a.mu.Lock()
	var idle []Device
	for name, d := range a.devices.ours {
		if _, wanted := a.devices.wanted[name]; !wanted && !a.ledger.occupied(name) {
			idle = append(idle, d)
		}
	}
	a.mu.Unlock()
	var errs []error
	for _, d := range idle {
		errs = append(errs, a.discard(h, d))
	}
	a.mu.Lock()
	restore := a.devices.settled()
	a.mu.Unlock()
	for _, s := range restore {
		errs = append(errs, a.restoreSetting(h, s))
	}
	if len(idle)+len(restore) > 0 {
		errs = append(errs, a.publish())
	}
	if err := errors.Join(errs...); err != nil {
		a.log.Error("virtual MACs not cleaned up", "err", err)
	}
}

// discard removes a device. One of that name that is not ours stays.
func (a *Addresses) discard(h *netlink.Handle, d Device) error {
	link, err := a.kernel.deviceOf(h, d)
	switch {
	case err == nil:
		err = h.LinkDel(link)
	case isGone(err), errors.Is(err, errForeignDevice):
		err = nil
	}
	if err != nil && !isGone(err) {
		return fmt.Errorf("removing device %s: %w", d.Name, err)
	}
	a.mu.Lock()
	delete(a.devices.ours, d.Name)
	a.mu.Unlock()
	return nil
}

// restoreSetting puts an old value back where ours still stands.
func (a *Addresses) restoreSetting(h *netlink.Handle, s setting) error {
	link, err := a.kernel.link(h, s.Interface)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	have, err := a.kernel.configuration(link)
	if err == nil && have[s.Name] == s.Ours {
		err = a.kernel.configure(link, map[string]uint32{s.Name: s.Old})
	}
	if err != nil {
		return fmt.Errorf("restoring net.ipv4.conf.%s.%s to %d: %w", s.Interface, s.Name, s.Old, err)
	}
	return nil
}

// raise returns the link that gets addresses of iface: if that is a virtual
// MAC, it is made where somebody has removed it, and up. behind says so.
func (a *Addresses) raise(iface string) (link netlink.Link, behind bool, err error) {
	h := a.kernel.links
	a.mu.Lock()
	d, behind := a.devices.wanted[iface]
	if !behind {
		d, behind = a.devices.ours[iface]
	}
	a.mu.Unlock()
	if !behind {
		link, err = a.kernel.link(h, iface)
		return link, false, err
	}
	link, err = a.kernel.deviceOf(h, d)
	if isGone(err) {
		link, err = a.equip(h, d)
	}
	if err != nil {
		return nil, true, &DeviceError{Device: d, Err: err}
	}
	a.raising.Lock()
	defer a.raising.Unlock()
	a.raised[iface] = true
	return link, true, h.LinkSetUp(link)
}

// parentOf is the interface of a virtual MAC that is wanted, or else iface
// itself.
func (a *Addresses) parentOf(iface string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d, ok := a.devices.wanted[iface]; ok {
		return d.Parent
	}
	return iface
}

// warnOfDoubles tells of addresses for virtual MACs that the interface has
// too, as that of an address owner may. It answers with its own MAC.
func (a *Addresses) warnOfDoubles(want, present map[place]bool) {
	for p := range want {
		parent := a.parentOf(p.Interface)
		if parent == p.Interface {
			continue
		}
		for other := range present {
			if other.Interface == parent && other.Prefix.Addr() == p.Prefix.Addr() {
				a.log.Warn("the interface has the virtual address too, and answers for it with its own MAC: remove it there", "iface", parent, "vip", p.Prefix)
			}
		}
	}
}

// noteRaised notes which virtual MACs a previous life has left up.
func (a *Addresses) noteRaised() error {
	a.mu.Lock()
	left := a.devices.claims()
	a.mu.Unlock()
	for _, d := range left {
		link, err := a.kernel.deviceOf(a.kernel.survey, d)
		if err != nil && !isGone(err) && !errors.Is(err, errForeignDevice) {
			return fmt.Errorf("device %s of a previous life: %w", d.Name, err)
		}
		if err == nil && isUp(link) {
			a.raising.Lock()
			a.raised[d.Name] = true
			a.raising.Unlock()
		}
	}
	return nil
}

// isDevice says whether iface is a virtual MAC of ours.
func (a *Addresses) isDevice(iface string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ours := a.devices.ours[iface]
	return ours
}

// lower takes down the virtual MACs that have no address in answering.
func (a *Addresses) lower(answering []netip.Addr) error {
	a.raising.Lock()
	defer a.raising.Unlock()
	if len(a.raised) == 0 {
		return nil
	}
	a.mu.Lock()
	speaking := a.ledger.speaking(answering)
	a.mu.Unlock()
	var silent []string
	for iface := range a.raised {
		if !speaking[iface] {
			silent = append(silent, iface)
		}
	}
	return a.takeDown(silent)
}

// lowerEmpty takes a virtual MAC down that has no addresses any more.
func (a *Addresses) lowerEmpty(iface string) error {
	a.raising.Lock()
	defer a.raising.Unlock()
	if !a.raised[iface] {
		return nil
	}
	return a.takeDown([]string{iface})
}

// takeDown takes virtual MACs down; the caller holds a.raising. The kernel
// waits for all its processors each time, some thousandths of a second. Where
// a fence keeps the addresses silent from now on the engine does not wait.
func (a *Addresses) takeDown(ifaces []string) error {
	for _, iface := range ifaces {
		delete(a.raised, iface)
	}
	if a.fence == nil {
		var errs []error
		for _, iface := range ifaces {
			errs = append(errs, a.kernel.down(a.kernel.links, iface))
		}
		return errors.Join(errs...)
	}
	if len(ifaces) > 0 {
		a.background.Go(func() { a.takeDownLater(ifaces) }) // Close waits for it
	}
	return nil
}

func (a *Addresses) takeDownLater(ifaces []string) {
	for _, iface := range ifaces {
		a.raising.Lock()
		if !a.raised[iface] { // it may have been won again
			if err := a.kernel.down(a.kernel.survey, iface); err != nil {
				a.log.Error("virtual MAC not taken down", "err", err)
			}
		}
		a.raising.Unlock()
	}
}
