package ipvs

import (
	"net/netip"
	"slices"
)

// Diff returns the smallest list of commands that turns have, the kernel's
// table, into want on the part that is ours: the wanted services, and those
// that ours names. A wanted service that is there but is not ours is adopted,
// that is edited to match; a service that is neither wanted nor ours is never
// touched. want must be valid (see Service.Validate).
//
// The order is safe to apply from front to back: everything is added and
// edited before anything is removed, a service comes before its destinations,
// and a removed service takes its destinations along. The same input gives the
// same commands. Cost: O(n log n) in services plus destinations.
func Diff(have, want []Service, ours map[Key]bool) []Command {
	found := make(map[Key]Service, len(have))
	for _, h := range have {
		found[h.Key] = h
	}
	wanted := make(map[Key]bool, len(want))
	var adds, dels []Command
	for _, w := range sorted(want) {
		wanted[w.Key] = true
		if h, ok := found[w.Key]; ok {
			a, d := edit(h, w)
			adds, dels = append(adds, a...), append(dels, d...)
		} else {
			adds = append(adds, create(w)...)
		}
	}
	for _, h := range sorted(have) {
		if ours[h.Key] && !wanted[h.Key] {
			dels = append(dels, Command{Op: DelService, Service: h.bare()})
		}
	}
	return append(adds, dels...)
}

// Adopted returns the keys of the wanted services that are in the kernel's
// table but are not ours yet, in ipvsadm's order.
func Adopted(have, want []Service, ours map[Key]bool) []Key {
	found := make(map[Key]bool, len(have))
	for _, h := range have {
		found[h.Key] = true
	}
	var keys []Key
	for _, w := range want {
		if found[w.Key] && !ours[w.Key] {
			keys = append(keys, w.Key)
		}
	}
	slices.SortFunc(keys, Key.compare)
	return keys
}

// bare is the service as a Command carries it.
func (s Service) bare() Service {
	s.Destinations = nil
	s.Unmodelled = false
	return s
}

// bare is the destination as a Command carries it.
func (d Destination) bare() Destination {
	d.Unmodelled = false
	d.Stats = Stats{}
	return d
}

// sameSettings says whether two services differ at most in what identifies
// them and in their destinations.
func sameSettings(a, b Service) bool {
	return a.Scheduler == b.Scheduler && a.Fallback == b.Fallback && a.HashPort == b.HashPort && a.OnePacket == b.OnePacket &&
		a.Persistence == b.Persistence && a.Netmask == b.Netmask && a.Engine == b.Engine
}

// create returns the commands that make a service from nothing.
func create(s Service) []Command {
	cmds := make([]Command, 0, 1+len(s.Destinations))
	cmds = append(cmds, Command{Op: NewService, Service: s.bare()})
	for _, d := range sortedDestinations(s.Destinations) {
		cmds = append(cmds, Command{Op: NewDest, Service: s.bare(), Destination: d.bare()})
	}
	return cmds
}

// edit returns the commands that turn the found service h into the wanted w:
// adds and edits, and the deletes for later.
func edit(h, w Service) (adds, dels []Command) {
	if h.Unmodelled || !sameSettings(h, w) {
		adds = append(adds, Command{Op: SetService, Service: w.bare()})
	}
	found := make(map[netip.AddrPort]Destination, len(h.Destinations))
	for _, d := range h.Destinations {
		found[d.endpoint()] = d
	}
	wanted := make(map[netip.AddrPort]bool, len(w.Destinations))
	for _, d := range sortedDestinations(w.Destinations) {
		wanted[d.endpoint()] = true
		was, ok := found[d.endpoint()]
		switch {
		case !ok:
			adds = append(adds, Command{Op: NewDest, Service: w.bare(), Destination: d.bare()})
		case was.Unmodelled || was.bare() != d.bare():
			adds = append(adds, Command{Op: SetDest, Service: w.bare(), Destination: d.bare()})
		}
	}
	for _, d := range sortedDestinations(h.Destinations) {
		if !wanted[d.endpoint()] {
			dels = append(dels, Command{Op: DelDest, Service: w.bare(), Destination: d.bare()})
		}
	}
	return adds, dels
}
