package vip

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// place is an address on an interface. Interfaces go by name: one that was
// made anew is the same place.
type place struct {
	Interface string       `json:"interface"`
	Prefix    netip.Prefix `json:"prefix"`
}

func (p place) compare(q place) int {
	if c := strings.Compare(p.Interface, q.Interface); c != 0 {
		return c
	}
	if c := p.Prefix.Addr().Compare(q.Prefix.Addr()); c != 0 {
		return c
	}
	return p.Prefix.Bits() - q.Prefix.Bits()
}

// claim says whose an address is.
//
//	          Prepare: not in the kernel
//	foreign ─────────────────────────────► absent
//	   ▲                                   │   ▲
//	   │ added, but it was there already   │   │ removed
//	   └───────────────────────────────────┤   │
//	                                 added ▼   │
//	                                       placed
type claim uint8

const (
	foreign claim = iota + 1 // existed before us: never removed
	absent                   // ours, and we have not put it there
	placed                   // ours, and we, or a life before us, have put it there
)

// ledger knows whose each address is. It is a pure value without locks.
type ledger struct {
	claims map[place]claim
	wanted map[place]bool // by the last prepare; the others go when they can
}

// prepare makes wanted the addresses that may be added from now on. present
// are those in the kernel. It returns those that turn out to be foreign.
func (l *ledger) prepare(wanted, present map[place]bool) (adopted []place) {
	for p := range wanted {
		c, known := l.claims[p]
		switch {
		case !known && present[p]:
			l.claims[p] = foreign
			adopted = append(adopted, p)
		case !known, c == foreign && !present[p]:
			l.claims[p] = absent
		}
	}
	l.wanted = wanted
	maps.DeleteFunc(l.claims, func(p place, c claim) bool {
		return !wanted[p] && !(c == placed && present[p])
	})
	slices.SortFunc(adopted, place.compare)
	return adopted
}

// added records that p is in the kernel, as it was before if existed. It
// reports whether p has changed hands.
func (l *ledger) added(p place, existed bool) (changed bool) {
	before := l.claims[p]
	switch {
	case !existed:
		l.claims[p] = placed
		return before != absent && before != placed
	case before != placed:
		l.claims[p] = foreign
		return before != foreign
	}
	return false
}

// removed records that p, which was placed, is not in the kernel. It reports
// whether p is forgotten, since nobody wants it any more.
func (l *ledger) removed(p place) (changed bool) {
	if l.wanted[p] {
		l.claims[p] = absent
		return false
	}
	delete(l.claims, p)
	return true
}

// occupied says whether an address of ours may be on the interface.
func (l *ledger) occupied(iface string) bool {
	for p, c := range l.claims {
		if c == placed && p.Interface == iface {
			return true
		}
	}
	return false
}

// speaking returns the interfaces whose addresses of ours answer, where all
// that do are in answering. A link-local address may be on several interfaces
// of which not all answer, so it counts only where there is no other.
func (l *ledger) speaking(answering []netip.Addr) map[string]bool {
	global := make(map[string]bool)
	for p, c := range l.claims {
		if c == placed && !p.Prefix.Addr().IsLinkLocalUnicast() {
			global[p.Interface] = true
		}
	}
	found := make(map[string]bool)
	for p, c := range l.claims {
		if c == placed && contains(answering, p.Prefix.Addr()) && (!global[p.Interface] || !p.Prefix.Addr().IsLinkLocalUnicast()) {
			found[p.Interface] = true
		}
	}
	return found
}

// with returns the places that have one of claims, sorted.
func (l *ledger) with(claims ...claim) []place {
	var out []place
	for p, c := range l.claims {
		if slices.Contains(claims, c) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, place.compare)
	return out
}

// fenced returns the addresses that are ours wherever they are, sorted.
func (l *ledger) fenced() []netip.Addr {
	ours := make(map[netip.Addr]bool)
	for _, p := range l.with(absent, placed) {
		ours[p.Prefix.Addr()] = true
	}
	for _, p := range l.with(foreign) {
		delete(ours, p.Prefix.Addr())
	}
	return slices.SortedFunc(maps.Keys(ours), netip.Addr.Compare)
}

// contains says whether addr is in the sorted list.
func contains(list []netip.Addr, addr netip.Addr) bool {
	_, found := slices.BinarySearchFunc(list, addr, netip.Addr.Compare)
	return found
}
