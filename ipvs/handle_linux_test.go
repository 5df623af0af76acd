package ipvs

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// fakeDoor is a kernel that answers as it is told. It understands requests by
// the commands that they were made of.
type fakeDoor struct {
	names    map[string]string // of encoded commands
	calls    []string          // by the kernel's numbers, one batch a line
	errs     map[string]error  // by command
	hang     string            // the command whose batch gets no answer
	closed   bool
	services [][]byte
	dests    map[string][][]byte // by the request
}

// newFakeDoor makes a door that knows these commands by name.
func newFakeDoor(cmds ...Command) *fakeDoor {
	f := &fakeDoor{names: map[string]string{}, dests: map[string][][]byte{}}
	for _, c := range cmds {
		f.names[string(encode([]byte{commands[c.Op]}, c))] = c.String()
	}
	return f
}

func (f *fakeDoor) handle() *Handle {
	return &Handle{open: func() (door, error) { return f, nil }}
}

func (f *fakeDoor) batch(messages []message) ([]error, error) {
	var names []string
	results := make([]error, len(messages))
	for i, m := range messages {
		name := f.names[string(m.write([]byte{m.command}))]
		if name == f.hang && name != "" {
			return nil, errSilent
		}
		names = append(names, name)
		results[i] = f.errs[name]
	}
	f.calls = append(f.calls, strings.Join(names, "; "))
	return results, nil
}

func (f *fakeDoor) dump(m message) ([][]byte, error) {
	if m.command == cmdGetService {
		return f.services, nil
	}
	return f.dests[string(m.write(nil))], f.errs["get"]
}

func (f *fakeDoor) close() { f.closed = true }

func TestApplyGoesOnAfterFailures(t *testing.T) {
	have := parse(t, `
		-A -t 192.0.2.2:80 -s rr
		-a -t 192.0.2.2:80 -r 10.0.0.9:80 -g -w 1
		-A -t 192.0.2.3:80 -s rr`)
	want := parse(t, `
		-A -t 192.0.2.1:80 -s odd
		-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1
		-A -t 192.0.2.2:80 -s rr
		-a -t 192.0.2.2:80 -r 10.0.0.1:80 -g -w 1
		-a -t 192.0.2.2:80 -r 10.0.0.2:80 -g -w 1`)
	cmds := Diff(have, want, keySet(have))
	f := newFakeDoor(cmds...)
	f.errs = map[string]error{
		"-A -t 192.0.2.1:80 -s odd":                 unix.ENOENT,
		"-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1": unix.ESRCH,
		"-D -t 192.0.2.3:80":                        unix.ESRCH,
		"-d -t 192.0.2.2:80 -r 10.0.0.9:80":         unix.ENOENT,
		"-a -t 192.0.2.2:80 -r 10.0.0.1:80 -g -w 1": unix.EINVAL,
	}
	err := f.handle().Apply(cmds)
	const text = `ipvs -A -t 192.0.2.1:80 -s odd: the kernel has no scheduler odd: no such file or directory
ipvs -a -t 192.0.2.2:80 -r 10.0.0.1:80 -g -w 1: invalid argument`
	if err == nil || err.Error() != text {
		t.Errorf("error\n%v\nwant\n%s", err, text)
	}
	var all []string
	for _, c := range cmds {
		all = append(all, c.String())
	}
	if d := cmp.Diff([]string{strings.Join(all, "; ")}, f.calls); d != "" {
		t.Errorf("batches (-want +got):\n%s", d)
	}
}

// TestApplyBatches: as many commands as fit go together, and those of a service
// that could not be added are not sent any more.
func TestApplyBatches(t *testing.T) {
	cmds := Diff(nil, table(3, 2*batchSize, 1), nil)
	f := newFakeDoor(cmds...)
	f.errs = map[string]error{cmds[0].String(): unix.ENOMEM}
	err := f.handle().Apply(cmds)
	if len(failed(err)) != 1 || !strings.HasSuffix(err.Error(), "cannot allocate memory") {
		t.Errorf("want one failure, got %v", err)
	}
	sent, most := 0, 0
	for _, line := range f.calls {
		n := len(strings.Split(line, "; "))
		sent, most = sent+n, max(most, n)
	}
	// The first batch was under way; the rest of the first service is left out.
	if want := batchSize + 2*(2*batchSize+1); most != batchSize || sent > want || sent < want-batchSize {
		t.Errorf("%d commands sent, at most %d at a time; want about %d and %d", sent, most, want, batchSize)
	}
}

func TestApplyGivesUpOnASilentKernel(t *testing.T) {
	cmds := Diff(nil, table(3*batchSize, 0, 0), nil)
	f := newFakeDoor(cmds...)
	f.hang = cmds[batchSize].String()
	h := f.handle()
	err := h.Apply(cmds)
	if !errors.Is(err, errSilent) || len(failed(err)) != 2*batchSize || len(f.calls) != 1 || !f.closed {
		t.Errorf("%d batches answered, %d services failed, closed: %v", len(f.calls), len(failed(err)), f.closed)
	}
	fresh := newFakeDoor(cmds...)
	h.open = func() (door, error) { return fresh, nil }
	if err := h.Apply(cmds); err != nil || len(fresh.calls) != 3 {
		t.Errorf("after a reconnection: %d batches, error %v", len(fresh.calls), err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// entryOf is a part as the kernel shows it in a dump.
func entryOf(kind uint16, write func(*attributes)) []byte {
	var a attributes
	a.nest(kind, write)
	return a
}

func serviceEntry(s Service) []byte {
	return entryOf(attrService, func(a *attributes) { encodeKey(a, s.Key); encodeSettings(a, s) })
}

func destEntry(d Destination) []byte {
	return entryOf(attrDest, func(a *attributes) { encodeDestination(a, d) })
}

func TestServicesReadsTheKernel(t *testing.T) {
	want := parse(t, `
		-A -t 192.0.2.1:80 -s rr
		-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1
		-a -t 192.0.2.1:80 -r 10.0.0.2:80 -m -w 2
		-A -t [2001:db8::1]:443 -s mh -p 60`)
	f := newFakeDoor()
	for i := len(want) - 1; i >= 0; i-- { // in no order, as the kernel
		f.services = append(f.services, serviceEntry(want[i]))
		request := string(entryOf(attrService, func(a *attributes) { encodeKey(a, want[i].Key) }))
		for _, d := range want[i].Destinations {
			f.dests[request] = append([][]byte{destEntry(d)}, f.dests[request]...)
		}
	}
	got, err := f.handle().Services()
	if d := cmp.Diff(want, got, sameTable...); d != "" || err != nil {
		t.Errorf("error %v; services (-want +got):\n%s", err, d)
	}
	f.errs = map[string]error{"get": unix.ESRCH} // all vanish while they are read
	if got, err := f.handle().Services(); err != nil || len(got) != 0 {
		t.Errorf("services %v, error %v", got, err)
	}
}
