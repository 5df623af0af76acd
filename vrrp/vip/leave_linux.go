package vip

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Leave gives the addresses of ours that are on interfaces a life of so many
// seconds: the kernel removes them then, unless a next life of this node has
// put them there anew, which Left tells it to do. It returns how many there
// are. Nothing is to be added any more. Virtual MACs that fell silent are up
// again, and have their addresses, of which the kernel has removed those of
// IPv6; the fence keeps them silent.
func (a *Addresses) Leave(life time.Duration) (count int, err error) {
	a.mu.Lock()
	ours := a.ledger.with(placed)
	a.mu.Unlock()
	present, err := a.kernel.present(interfaces(ours))
	if err != nil {
		return 0, fmt.Errorf("leaving addresses: %w", err)
	}
	var errs []error
	for _, p := range ours {
		device := a.isDevice(p.Interface)
		if !present[p] && !device {
			continue
		}
		count++
		link, _, err := a.raise(p.Interface)
		if err == nil && p.Prefix.Addr().Is4() && !p.Prefix.IsSingleIP() {
			err = a.kernel.promoteSecondaries(link) // as Remove does
		}
		if err == nil {
			lasting := a.kernel.lasting
			if device {
				lasting = a.kernel.lastingBehind
			}
			err = lasting(link, p.Prefix, life)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("leaving %s on %s: %w", p.Prefix, p.Interface, err))
		}
		a.log.Info("address left for the next life", "iface", p.Interface, "vip", p.Prefix, "life", life)
	}
	return count, errors.Join(errs...)
}

// Left returns, by interface, the addresses that a previous life has left with
// Leave. They are known by the end of life that the kernel shows: what was
// killed leaves addresses that would stay for ever.
func (a *Addresses) Left() (map[string][]netip.Prefix, error) {
	a.mu.Lock()
	ours := a.ledger.with(placed)
	a.mu.Unlock()
	found, err := a.kernel.addresses(interfaces(ours))
	if err != nil {
		return nil, fmt.Errorf("finding the addresses of a previous life: %w", err)
	}
	left := map[string][]netip.Prefix{}
	for _, p := range ours {
		if addr, present := found[p]; present && addr.Flags&unix.IFA_F_PERMANENT == 0 {
			left[p.Interface] = append(left[p.Interface], p.Prefix)
		}
	}
	return left, nil
}
