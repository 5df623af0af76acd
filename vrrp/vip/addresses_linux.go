package vip

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"harmony/runfile"
	"harmony/vrrp"
)

// ethernetLen is the length of an Ethernet address.
const ethernetLen = 6

// Addresses is a vrrp.Actuator. Its sockets are those of the network namespace
// of the thread that called New, whichever thread uses them later.
//
// The methods of vrrp.Actuator are called by one goroutine; PrepareDevices,
// Prepare and Sweep may be called by another one meanwhile, and do not delay
// the first.
type Addresses struct {
	kernel *kernel
	fence  Fence // nil: none
	path   string
	boot   string
	log    *slog.Logger

	mu      sync.Mutex // guards ledger, devices and routes, for as long as a map takes
	ledger  ledger
	devices devices
	routes  routing

	routing sync.Mutex // serialises changes of routes and rules

	groups groups

	raising    sync.Mutex      // serialises taking virtual MACs up and down, guards raised
	raised     map[string]bool // those that are up
	background sync.WaitGroup  // of those being taken down

	publishing sync.Mutex // serialises journal and fence, guards saved
	saved      []byte     // what the journal holds
}

var _ vrrp.Actuator = (*Addresses)(nil)

// New opens the sockets and reads the journal. Nothing is changed yet: the
// caller calls Sweep, then Prepare, before any Add. It needs CAP_NET_ADMIN and
// CAP_NET_RAW. The caller closes it.
func New(o Options) (*Addresses, error) {
	boot, err := runfile.BootID()
	if err != nil {
		return nil, err
	}
	j, err := loadJournal(o.Journal, boot)
	if err != nil {
		return nil, err
	}
	k, err := openKernel()
	if err != nil {
		return nil, err
	}
	return &Addresses{
		kernel: k, fence: o.Fence, path: o.Journal, boot: boot, log: o.Log,
		ledger: j.ledger(), devices: j.equipment(), routes: j.Routing.routing(), raised: make(map[string]bool),
	}, nil
}

// Close closes the sockets. Addresses and journal stay as they are.
func (a *Addresses) Close() error {
	a.background.Wait()
	a.groups.close()
	a.kernel.close()
	return nil
}

// Sweep removes the addresses that a previous life has put on interfaces,
// except those for which keep returns true: these are ours from now on. A nil
// keep keeps none. Routes, rules, and virtual MACs without addresses go as well. It is called
// before Prepare, and at the end of a life.
func (a *Addresses) Sweep(keep func(iface string, addr netip.Prefix) bool) error {
	routes := errors.Join(a.PrepareRoutes(nil), a.Serve(nil))
	a.mu.Lock()
	left := a.ledger.with(placed)
	a.mu.Unlock()
	present, err := a.kernel.present(interfaces(left))
	if err != nil {
		return errors.Join(routes, fmt.Errorf("sweeping addresses: %w", err))
	}
	errs := []error{routes}
	for _, p := range left {
		if present[p] && keep != nil && keep(p.Interface, p.Prefix) {
			a.log.Info("address of a previous life kept", "iface", p.Interface, "vip", p.Prefix)
			continue
		}
		if present[p] {
			if _, err := a.remove(p.Interface, []netip.Prefix{p.Prefix}); err != nil {
				errs = append(errs, err)
				continue
			}
			a.log.Info("address of a previous life removed", "iface", p.Interface, "vip", p.Prefix)
		}
		a.mu.Lock()
		a.ledger.removed(p)
		a.mu.Unlock()
	}
	a.mu.Lock()
	a.devices.wanted = nil
	a.mu.Unlock()
	a.retire()
	errs = append(errs, a.noteRaised())
	return errors.Join(append(errs, a.publish())...)
}

// Prepare makes wanted, by interface, the whole set of addresses that may be
// added from now on. It records which of them existed before us, fences the
// others, and returns when both is done; so it is called before the engine
// gets the routers, and never waits for a disk. The same set again only
// restores the fence, should others have changed it, and listens where an
// interface has come back. Addresses that are no longer wanted are forgotten
// once they are removed.
func (a *Addresses) Prepare(wanted map[string][]netip.Prefix) error {
	want := make(map[place]bool)
	for iface, addrs := range wanted {
		for _, addr := range addrs {
			want[place{iface, addr}] = true
		}
	}
	a.mu.Lock()
	same := maps.Equal(want, a.ledger.wanted)
	known := a.ledger.with(foreign, absent, placed)
	a.mu.Unlock()
	if !same {
		ifaces := interfaces(known)
		for iface := range wanted {
			ifaces[iface], ifaces[a.parentOf(iface)] = true, true
		}
		present, err := a.kernel.present(ifaces)
		if err != nil {
			return fmt.Errorf("preparing addresses: %w", err)
		}
		a.mu.Lock()
		adopted := a.ledger.prepare(want, present)
		a.mu.Unlock()
		for _, p := range adopted {
			a.log.Info("address existed before, it will never be removed", "iface", p.Interface, "vip", p.Prefix)
		}
		a.warnOfDoubles(want, present)
	}
	return errors.Join(a.publish(), a.listen(wanted))
}

// Add implements vrrp.Actuator. Addresses that Prepare has not heard of are
// recorded first, which is slower.
func (a *Addresses) Add(iface string, addrs []netip.Prefix) error {
	if err := a.acquaint(iface, addrs); err != nil {
		return fmt.Errorf("adding %v to %s: %w", addrs, iface, err)
	}
	link, behind, err := a.raise(iface)
	if err != nil {
		return fmt.Errorf("adding %v: %w", addrs, err)
	}
	add, lasting := a.kernel.add, a.kernel.lasting
	if behind {
		add, lasting = a.kernel.addBehind, a.kernel.lastingBehind
	}
	var errs []error
	var fresh []netip.Prefix
	changed := false
	for _, addr := range addrs {
		p := place{iface, addr}
		existed, err := add(link, addr)
		if err != nil {
			errs = append(errs, fmt.Errorf("adding %s to %s: %w", addr, iface, err))
			continue
		}
		if !existed {
			fresh = append(fresh, addr)
		}
		a.mu.Lock()
		ours := a.ledger.claims[p] == placed
		moved := a.ledger.added(p, existed)
		a.mu.Unlock()
		if existed && ours { // it may be one that Leave has left
			if err := lasting(link, addr, 0); err != nil {
				errs = append(errs, fmt.Errorf("keeping %s on %s: %w", addr, iface, err))
			}
		}
		if moved {
			changed = true
			a.log.Warn("address was changed by others", "iface", iface, "vip", addr, "adopted", existed)
		}
	}
	a.kernel.await(fresh)
	if changed {
		errs = append(errs, a.publish())
	}
	return errors.Join(errs...)
}

// acquaint prepares those of addrs that are unknown.
func (a *Addresses) acquaint(iface string, addrs []netip.Prefix) error {
	a.mu.Lock()
	unknown := slices.DeleteFunc(slices.Clone(addrs), func(addr netip.Prefix) bool {
		return a.ledger.wanted[place{iface, addr}]
	})
	wanted := make(map[string][]netip.Prefix)
	if len(unknown) > 0 {
		for p := range a.ledger.wanted {
			wanted[p.Interface] = append(wanted[p.Interface], p.Prefix)
		}
	}
	a.mu.Unlock()
	if len(unknown) == 0 {
		return nil
	}
	wanted[iface] = append(wanted[iface], unknown...)
	return a.Prepare(wanted)
}

// Remove implements vrrp.Actuator. So that an address which is the first in
// its subnet does not take the others along, the kernel is told to promote
// secondary addresses on the interface, and stays told.
func (a *Addresses) Remove(iface string, addrs []netip.Prefix) error {
	a.mu.Lock()
	ours := slices.DeleteFunc(slices.Clone(addrs), func(addr netip.Prefix) bool {
		return a.ledger.claims[place{iface, addr}] != placed
	})
	a.mu.Unlock()
	if len(ours) == 0 {
		return nil
	}
	gone, err := a.remove(iface, ours)
	forgotten := false
	a.mu.Lock()
	for _, addr := range gone {
		forgotten = a.ledger.removed(place{iface, addr}) || forgotten
	}
	empty := !a.ledger.occupied(iface)
	a.mu.Unlock()
	if empty {
		err = errors.Join(err, a.lowerEmpty(iface))
	}
	if forgotten {
		err = errors.Join(err, a.publish())
	}
	return err
}

// remove returns those of addrs that are not in the kernel any more.
func (a *Addresses) remove(iface string, addrs []netip.Prefix) (gone []netip.Prefix, err error) {
	link, err := a.kernel.link(a.kernel.links, iface)
	if isGone(err) {
		return addrs, nil
	}
	if err != nil {
		return nil, fmt.Errorf("removing %v: %w", addrs, err)
	}
	var errs []error
	if slices.ContainsFunc(addrs, func(addr netip.Prefix) bool { return addr.Addr().Is4() && !addr.IsSingleIP() }) {
		if err := a.kernel.promoteSecondaries(link); err != nil {
			errs = append(errs, fmt.Errorf("promoting secondary addresses of %s: %w", iface, err))
		}
	}
	for _, addr := range addrs {
		if err := a.kernel.remove(link, addr); err != nil {
			errs = append(errs, fmt.Errorf("removing %s from %s: %w", addr, iface, err))
			continue
		}
		gone = append(gone, addr)
	}
	return gone, errors.Join(errs...)
}

// Announce implements vrrp.Actuator. The packets go into the interface's queue
// without waiting; if that is full the error says how many did not. Interfaces
// without Ethernet addresses, such as lo, have nobody to announce to.
func (a *Addresses) Announce(iface string, addrs []netip.Prefix) error {
	link, err := a.kernel.link(a.kernel.links, iface)
	if err != nil {
		return fmt.Errorf("announcing %v: %w", addrs, err)
	}
	hw := link.Attrs().HardwareAddr
	if link.Attrs().RawFlags&(unix.IFF_LOOPBACK|unix.IFF_NOARP) != 0 || len(hw) != ethernetLen {
		return nil
	}
	router := false
	if slices.ContainsFunc(addrs, func(addr netip.Prefix) bool { return addr.Addr().Is6() }) {
		if router, err = a.kernel.forwards(link); err != nil {
			return fmt.Errorf("announcing on %s: forwarding: %w", iface, err)
		}
	}
	var first error
	failed := 0
	for _, addr := range addrs {
		f, err := announcement(addr.Addr(), hw, router)
		if err == nil {
			err = a.kernel.send(link, f)
		}
		if err != nil {
			failed++
			first = cmp.Or(first, fmt.Errorf("announcing %s on %s: %w", addr, iface, err))
		}
	}
	if failed > 1 {
		return fmt.Errorf("%d of %d announcements failed, the first: %w", failed, len(addrs), first)
	}
	return first
}

// Answer implements vrrp.Actuator. Virtual MACs whose addresses are silent are
// taken down: from then on nothing has it for its source.
func (a *Addresses) Answer(addrs []netip.Addr) error {
	var err error
	if a.fence != nil {
		err = a.fence.Answer(addrs)
	}
	return errors.Join(err, a.lower(addrs))
}

// publish makes journal and fence say what the ledger does, in this order: an
// address is named as ours before the engine may add it.
func (a *Addresses) publish() error {
	a.publishing.Lock()
	defer a.publishing.Unlock()
	a.mu.Lock()
	j, fenced := a.ledger.journal(a.boot), a.ledger.fenced()
	j.Devices, j.Settings = a.devices.claims(), slices.Clone(a.devices.changed)
	j.Routing = a.routes.all()
	a.mu.Unlock()
	data, err := json.Marshal(j)
	if err == nil && !bytes.Equal(data, a.saved) {
		if err = runfile.Write(a.path, data); err == nil {
			a.saved = data
		}
	}
	if a.fence != nil {
		macs := make(map[string]net.HardwareAddr, len(j.Devices))
		for _, d := range j.Devices {
			macs[d.Name] = d.MAC()
		}
		err = errors.Join(err, a.fence.Set(fenced), a.fence.Devices(macs))
	}
	return err
}

func interfaces(places []place) map[string]bool {
	out := make(map[string]bool)
	for _, p := range places {
		out[p.Interface] = true
	}
	return out
}
