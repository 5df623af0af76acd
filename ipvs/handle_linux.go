package ipvs

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// answerLimit is how long the kernel may take for one exchange; it may load a
// scheduler's module meanwhile.
const answerLimit = 10 * time.Second

// batchSize is how many commands go to the kernel in one system call. They are
// some 30 KB then, a tenth of what a socket takes by default.
const batchSize = 256

// ErrUnavailable is returned by Open when the kernel has no ip_vs and cannot
// load it. Test for it with errors.Is.
var ErrUnavailable = errors.New("the kernel has no ip_vs: load the module (modprobe ip_vs) or use a kernel that has it")

// errSilent ends a request that the kernel does not answer.
var errSilent = errors.New("no answer from the kernel's ip_vs")

// Commands of the IPVS family (IPVS_CMD_*), by which Handle asks.
const (
	cmdGetService = 4
	cmdGetDest    = 8
)

// commands are the kernel's numbers of our operations.
var commands = map[Op]uint8{NewService: 1, SetService: 2, DelService: 3, NewDest: 5, SetDest: 6, DelDest: 7}

// message is a request to the IPVS family.
type message struct {
	command uint8
	write   func([]byte) []byte // appends its attributes
}

// door is the way to the kernel. Its errors are errSilent when it does not
// answer, and then the door is of no use any more.
type door interface {
	// batch sends requests in one system call and returns the error of each.
	batch([]message) ([]error, error)
	// dump returns the attributes of each entry that a request asks for.
	dump(message) ([][]byte, error)
	close()
}

// Handle reads and writes the ip_vs table of one network namespace over
// generic netlink. It is for one goroutine, on threads of that namespace.
type Handle struct {
	open func() (door, error)
	door door // nil after a request without an answer
}

// Open connects to the table of the calling thread's network namespace. The
// kernel loads its ip_vs module for that if it has one and it is not loaded;
// ErrUnavailable means that there is none. The caller closes the Handle.
func Open() (*Handle, error) {
	family, err := netlink.GenlFamilyGet("IPVS") // this is what makes the kernel load the module
	if errors.Is(err, unix.ENOENT) {
		return nil, ErrUnavailable
	}
	if err != nil {
		return nil, fmt.Errorf("looking for ipvs: %w", err)
	}
	h := &Handle{open: func() (door, error) { return dial(family.ID, answerLimit) }}
	return h, h.reopen()
}

// reopen sees to it that there is a connection.
func (h *Handle) reopen() error {
	if h.door != nil {
		return nil
	}
	d, err := h.open()
	if err != nil {
		return fmt.Errorf("opening ipvs: %w", err)
	}
	h.door = d
	return nil
}

// Close ends the connection. The table stays as it is.
func (h *Handle) Close() error {
	if h.door != nil {
		h.door.close()
	}
	return nil
}

// exchange runs one request.
func (h *Handle) exchange(request func(door) error) error {
	if err := h.reopen(); err != nil {
		return err
	}
	err := request(h.door)
	if errors.Is(err, errSilent) {
		h.door.close()
		h.door = nil
	}
	return err
}

func (h *Handle) dump(m message) (entries [][]byte, err error) {
	err = h.exchange(func(d door) (err error) {
		entries, err = d.dump(m)
		return err
	})
	return entries, err
}

// Services reads the whole table in ipvsadm's order. It is not atomic: a
// service that vanishes meanwhile is left out.
func (h *Handle) Services() ([]Service, error) {
	entries, err := h.dump(message{cmdGetService, func(b []byte) []byte { return b }})
	if err != nil {
		return nil, fmt.Errorf("reading ipvs services: %w", err)
	}
	services := make([]Service, 0, len(entries))
	for _, entry := range entries {
		s, _, err := decodeService(entry)
		if err != nil {
			return nil, fmt.Errorf("reading ipvs services: %w", err)
		}
		s.Destinations, err = h.destinations(s.Key)
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

func (h *Handle) destinations(k Key) ([]Destination, error) {
	entries, err := h.dump(message{cmdGetDest, func(b []byte) []byte {
		a := attributes(b)
		a.nest(attrService, func(a *attributes) { encodeKey(a, k) })
		return a
	}})
	if err != nil {
		return nil, fmt.Errorf("reading ipvs destinations of %v: %w", k, err)
	}
	dests := make([]Destination, 0, len(entries))
	for _, entry := range entries {
		d, err := decodeDestination(entry, k.is6())
		if err != nil {
			return nil, fmt.Errorf("reading ipvs destinations of %v: %w", k, err)
		}
		dests = append(dests, d)
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
	for part := range slices.Chunk(cmds, batchSize) {
		part = slices.DeleteFunc(slices.Clone(part), func(c Command) bool { return missing[c.Service.Key] })
		results := slices.Repeat([]error{silence}, len(part))
		if silence == nil {
			results, silence = h.write(part)
		}
		for i, c := range part {
			err := explain(results[i], c)
			if err == nil || missing[c.Service.Key] {
				continue
			}
			errs = append(errs, &CommandError{Command: c, Err: err})
			missing[c.Service.Key] = c.Op == NewService
		}
	}
	return errors.Join(errs...)
}

// write sends commands in one system call and returns the error of each. When
// that itself fails, such as by silence, it is the error of all, for their fate
// is not known.
func (h *Handle) write(cmds []Command) (results []error, err error) {
	if len(cmds) == 0 {
		return nil, nil
	}
	messages := make([]message, len(cmds))
	for i, c := range cmds {
		messages[i] = message{commands[c.Op], func(b []byte) []byte { return encode(b, c) }}
	}
	err = h.exchange(func(d door) (err error) {
		results, err = d.batch(messages)
		return err
	})
	if err != nil {
		results = slices.Repeat([]error{err}, len(cmds))
	}
	return results, err
}

// explain forgives a delete of what is not there, for which ip_vs says ESRCH
// about a service and ENOENT about a destination, and adds what ENOENT means
// when a service is written.
func explain(err error, c Command) error {
	switch {
	case c.Op == DelService || c.Op == DelDest:
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) {
			return nil
		}
	case c.Op == NewService || c.Op == SetService:
		if errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("the kernel has no scheduler %s: %w", c.Service.Scheduler, err)
		}
	}
	return err
}
