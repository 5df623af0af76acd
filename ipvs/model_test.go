package ipvs

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
)

// model is an in-memory ip_vs table that is as strict as the kernel: adding
// what is there and touching what is not there are errors.
type model struct {
	services map[Key]Service // without destinations
	dests    map[Key]map[netip.AddrPort]Destination
	refuse   func(Command) error // nil: nothing
	writes   int
	closed   bool
}

func newModel(services ...Service) *model {
	m := &model{services: make(map[Key]Service), dests: make(map[Key]map[netip.AddrPort]Destination)}
	for _, s := range services {
		m.put(s)
	}
	return m
}

// put is somebody else's hand: it makes s what the table holds under its key.
func (m *model) put(s Service) {
	m.dests[s.Key] = make(map[netip.AddrPort]Destination)
	for _, d := range s.Destinations {
		m.dests[s.Key][d.endpoint()] = d
	}
	s.Destinations = nil
	m.services[s.Key] = s
}

func (m *model) Services() ([]Service, error) {
	var all []Service
	for k, s := range m.services { // in no order, as the kernel
		for _, d := range m.dests[k] {
			s.Destinations = append(s.Destinations, d)
		}
		all = append(all, s)
	}
	return all, nil
}

// Apply goes on after failures, as Handle.Apply.
func (m *model) Apply(cmds []Command) error {
	var errs []error
	for _, c := range cmds {
		m.writes++
		var err error
		if m.refuse != nil {
			err = m.refuse(c)
		}
		if err == nil {
			err = m.do(c)
		}
		if err != nil {
			errs = append(errs, &CommandError{Command: c, Err: err})
		}
	}
	return errors.Join(errs...)
}

func (m *model) Close() error {
	m.closed = true
	return nil
}

func (m *model) do(c Command) error {
	k := c.Service.Key
	_, exists := m.services[k]
	switch {
	case c.Op == NewService && exists:
		return syscall.EEXIST
	case c.Op != NewService && !exists:
		return syscall.ESRCH
	}
	switch c.Op {
	case NewService, SetService:
		if !slices.Contains([]string{"rr", "wrr", "lc", "wlc", "mh"}, c.Service.Scheduler) {
			return syscall.ENOENT
		}
		m.services[k] = c.Service
		if c.Op == NewService {
			m.dests[k] = make(map[netip.AddrPort]Destination)
		}
	case DelService:
		delete(m.services, k)
		delete(m.dests, k)
	case NewDest, SetDest, DelDest:
		return m.doDest(c)
	default:
		return syscall.EINVAL
	}
	return nil
}

func (m *model) doDest(c Command) error {
	dests, d := m.dests[c.Service.Key], c.Destination
	_, exists := dests[d.endpoint()]
	switch {
	case c.Op == NewDest && exists:
		return syscall.EEXIST
	case c.Op != NewDest && !exists:
		return syscall.ENOENT
	case c.Op == DelDest:
		delete(dests, d.endpoint())
	default:
		dests[d.endpoint()] = d
	}
	return nil
}
