package ipvs

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	moby "github.com/moby/ipvs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// answerLimit is how long the kernel may take for one exchange; it may load a
// scheduler's module meanwhile.
const answerLimit = 10 * time.Second

// ErrUnavailable is returned by Open when the kernel has no ip_vs and cannot
// load it. Test for it with errors.Is.
var ErrUnavailable = errors.New("the kernel has no ip_vs: load the module (modprobe ip_vs) or use a kernel that has it")

// errSilent ends a request that the kernel does not answer.
var errSilent = errors.New("no answer from the kernel's ip_vs")

// conn is what a Handle needs of github.com/moby/ipvs.
type conn interface {
	NewService(*moby.Service) error
	UpdateService(*moby.Service) error
	DelService(*moby.Service) error
	NewDestination(*moby.Service, *moby.Destination) error
	UpdateDestination(*moby.Service, *moby.Destination) error
	DelDestination(*moby.Service, *moby.Destination) error
	GetServices() ([]*moby.Service, error)
	GetDestinations(*moby.Service) ([]*moby.Destination, error)
	Close()
}

// Handle reads and writes the ip_vs table of one network namespace over
// generic netlink. It is for one goroutine, on threads of that namespace.
type Handle struct {
	open  func() (conn, error)
	conn  conn          // nil after a request without an answer
	limit time.Duration // of one exchange
}

// Open connects to the table of the calling thread's network namespace. The
// kernel loads its ip_vs module for that if it has one and it is not loaded;
// ErrUnavailable means that there is none. The caller closes the Handle.
func Open() (*Handle, error) {
	// The look-up is what makes the kernel load the module. It comes first
	// also because moby.New does it only once in the life of the process, and
	// a failure would last. (It runs modprobe once, too, which then has
	// nothing to do; where there is no such program, a line on standard error
	// says so.)
	_, err := netlink.GenlFamilyGet("IPVS")
	if errors.Is(err, unix.ENOENT) {
		return nil, ErrUnavailable
	}
	if err != nil {
		return nil, fmt.Errorf("looking for ipvs: %w", err)
	}
	h := &Handle{open: func() (conn, error) { return moby.New("") }, limit: answerLimit}
	return h, h.reopen()
}

// reopen sees to it that there is a connection.
func (h *Handle) reopen() error {
	if h.conn != nil {
		return nil
	}
	c, err := h.open()
	if err != nil {
		return fmt.Errorf("opening ipvs: %w", err)
	}
	h.conn = c
	return nil
}

// Close ends the connection. The table stays as it is.
func (h *Handle) Close() error {
	if h.conn != nil {
		h.conn.Close()
	}
	return nil
}

// exchange runs one request. moby's client waits for ever for an answer that
// is lost, so its socket is closed when the time is up, which ends the wait;
// the next exchange opens another.
func (h *Handle) exchange(request func(conn) error) error {
	if err := h.reopen(); err != nil {
		return err
	}
	watchdog := time.AfterFunc(h.limit, h.conn.Close)
	err := request(h.conn)
	if !watchdog.Stop() {
		h.conn = nil
		return errSilent
	}
	return err
}

// Services reads the whole table in ipvsadm's order, except services by
// firewall mark. It is not atomic: a service that vanishes meanwhile is left
// out.
func (h *Handle) Services() ([]Service, error) {
	var found []*moby.Service
	err := h.exchange(func(c conn) (err error) {
		found, err = c.GetServices()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading ipvs services: %w", err)
	}
	services := make([]Service, 0, len(found))
	for _, m := range found {
		if m.FWMark != 0 {
			continue
		}
		s, err := fromKernel(m)
		if err != nil {
			return nil, err
		}
		s.Destinations, err = h.destinations(s)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return nil, err
		}
		services = append(services, s)
	}
	return sorted(services), nil
}

func (h *Handle) destinations(s Service) ([]Destination, error) {
	var found []*moby.Destination
	err := h.exchange(func(c conn) (err error) {
		found, err = c.GetDestinations(toKernel(s))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading ipvs destinations of %v: %w", s.Key, err)
	}
	dests := make([]Destination, 0, len(found))
	for _, m := range found {
		addr, ok := netip.AddrFromSlice(m.Address)
		if !ok {
			return nil, fmt.Errorf("reading ipvs destinations of %v: %d bytes of address", s.Key, len(m.Address))
		}
		dests = append(dests, Destination{
			Address:    addr,
			Port:       m.Port,
			Forwarding: Forwarding(m.ConnectionFlags & moby.ConnectionFlagFwdMask),
			Weight:     m.Weight,
			Unmodelled: m.UpperThreshold != 0 || m.LowerThreshold != 0,
			Stats:      Stats{Active: m.ActiveConnections, Inactive: m.InactiveConnections},
		})
	}
	return sortedDestinations(dests), nil
}

// Apply writes the commands in their order and goes on after a failure; the
// error joins a *CommandError for each that failed. Destinations of a service
// that could not be added are passed over, being part of that failure. To
// delete what is not there is not a failure. Once the kernel does not answer,
// all the rest fails untried.
func (h *Handle) Apply(cmds []Command) error {
	var errs []error
	var silence error
	missing := make(map[Key]bool)
	for _, c := range cmds {
		if missing[c.Service.Key] {
			continue
		}
		err := silence
		if err == nil {
			err = h.exchange(func(k conn) error { return do(k, c) })
		}
		if err != nil {
			errs = append(errs, &CommandError{Command: c, Err: err})
			missing[c.Service.Key] = c.Op == NewService
		}
		if errors.Is(err, errSilent) {
			silence = err
		}
	}
	return errors.Join(errs...)
}

// do sends one command.
func do(k conn, c Command) error {
	s := toKernel(c.Service)
	d := &moby.Destination{
		Address:         c.Destination.Address.AsSlice(),
		Port:            c.Destination.Port,
		Weight:          c.Destination.Weight,
		ConnectionFlags: uint32(c.Destination.Forwarding),
	}
	switch c.Op {
	case NewService:
		return explain(k.NewService(s), c)
	case SetService:
		return explain(k.UpdateService(s), c)
	case DelService:
		return absent(k.DelService(s))
	case NewDest:
		return k.NewDestination(s, d)
	case SetDest:
		return k.UpdateDestination(s, d)
	case DelDest:
		return absent(k.DelDestination(s, d))
	}
	return fmt.Errorf("%v: %w", c.Op, errors.ErrUnsupported)
}

// absent forgives a delete of something that is not there: ip_vs says ESRCH
// for a service and ENOENT for a destination.
func absent(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// explain adds what ENOENT means when a service is written.
func explain(err error, c Command) error {
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("the kernel has no scheduler %s: %w", c.Service.Scheduler, err)
	}
	return err
}

// Service flags and their values when nothing special is wanted
// (<linux/ip_vs.h>).
const (
	flagPersistent = 0x1
	flagHashed     = 0x2
	netmaskIPv4    = 0xffffffff
	netmaskIPv6    = 128 // a prefix length, unlike IPv4's
)

// toKernel returns the service as the kernel wants it. A persistence netmask
// of 0 would be refused for IPv6 and would lump all clients together for IPv4.
func toKernel(s Service) *moby.Service {
	m := &moby.Service{
		Address:       s.Address.AsSlice(),
		Protocol:      uint16(s.Protocol),
		Port:          s.Port,
		SchedName:     s.Scheduler,
		AddressFamily: unix.AF_INET,
		Netmask:       netmaskIPv4,
	}
	if s.Address.Is6() {
		m.AddressFamily, m.Netmask = unix.AF_INET6, netmaskIPv6
	}
	if s.Persistence > 0 {
		m.Flags |= flagPersistent
		m.Timeout = uint32(s.Persistence / time.Second)
	}
	return m
}

// fromKernel returns the service that m describes, without destinations.
func fromKernel(m *moby.Service) (Service, error) {
	addr, ok := netip.AddrFromSlice(m.Address)
	if !ok {
		return Service{}, fmt.Errorf("reading ipvs services: %d bytes of address", len(m.Address))
	}
	s := Service{
		Key:        Key{Address: addr, Port: m.Port, Protocol: Protocol(m.Protocol)},
		Scheduler:  m.SchedName,
		Unmodelled: m.Flags&^(flagPersistent|flagHashed) != 0,
	}
	if m.Flags&flagPersistent != 0 {
		s.Persistence = time.Duration(m.Timeout) * time.Second
		s.Unmodelled = s.Unmodelled || m.Netmask != toKernel(s).Netmask
	}
	return s, nil
}
