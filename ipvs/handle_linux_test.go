package ipvs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	moby "github.com/moby/ipvs"
	"golang.org/x/sys/unix"
)

// fakeConn is moby's client with a log of its calls and errors of our choice.
type fakeConn struct {
	conn
	calls    []string
	errs     map[string]error // by call
	hang     string           // the call that gets no answer
	closed   chan struct{}
	services []*moby.Service
	dests    map[uint16][]*moby.Destination // by service port
}

func newFakeConn() *fakeConn { return &fakeConn{closed: make(chan struct{})} }

func (f *fakeConn) handle() *Handle {
	return &Handle{open: func() (conn, error) { return f, nil }, limit: time.Minute}
}

func (f *fakeConn) call(name string) error {
	f.calls = append(f.calls, name)
	if name == f.hang {
		<-f.closed
		return unix.EBADF
	}
	return f.errs[name]
}

func (f *fakeConn) NewService(s *moby.Service) error    { return f.call("new " + s.Address.String()) }
func (f *fakeConn) UpdateService(s *moby.Service) error { return f.call("set " + s.Address.String()) }
func (f *fakeConn) DelService(s *moby.Service) error    { return f.call("del " + s.Address.String()) }
func (f *fakeConn) NewDestination(s *moby.Service, d *moby.Destination) error {
	return f.call("new " + s.Address.String() + " " + d.Address.String())
}
func (f *fakeConn) DelDestination(s *moby.Service, d *moby.Destination) error {
	return f.call("del " + s.Address.String() + " " + d.Address.String())
}
func (f *fakeConn) GetServices() ([]*moby.Service, error) { return f.services, nil }
func (f *fakeConn) GetDestinations(s *moby.Service) ([]*moby.Destination, error) {
	return f.dests[s.Port], f.errs["get"]
}
func (f *fakeConn) Close() { close(f.closed) }

func TestApplyGoesOnAfterFailures(t *testing.T) {
	f := newFakeConn()
	f.errs = map[string]error{
		"new 192.0.2.1":          unix.ENOENT,
		"del 192.0.2.3":          unix.ESRCH,
		"del 192.0.2.2 10.0.0.9": unix.ENOENT,
		"new 192.0.2.2 10.0.0.1": unix.EINVAL,
	}
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
	err := f.handle().Apply(Diff(have, want, keySet(have)))
	const text = `ipvs -A -t 192.0.2.1:80 -s odd: the kernel has no scheduler odd: no such file or directory
ipvs -a -t 192.0.2.2:80 -r 10.0.0.1:80 -g -w 1: invalid argument`
	if err == nil || err.Error() != text {
		t.Errorf("error\n%v\nwant\n%s", err, text)
	}
	calls := []string{
		"new 192.0.2.1", "new 192.0.2.2 10.0.0.1", "new 192.0.2.2 10.0.0.2", "del 192.0.2.2 10.0.0.9", "del 192.0.2.3",
	}
	if d := cmp.Diff(calls, f.calls); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
}

func TestApplyGivesUpOnASilentKernel(t *testing.T) {
	f := newFakeConn()
	f.hang = "new 192.0.0.1"
	h := f.handle()
	h.limit = 10 * time.Millisecond
	cmds := Diff(nil, table(4, 0, 0), nil)
	err := h.Apply(cmds)
	if !errors.Is(err, errSilent) || len(failed(err)) != 3 || strings.Join(f.calls, ", ") != "new 192.0.0.0, new 192.0.0.1" {
		t.Errorf("calls %q, %d services failed, error %v", f.calls, len(failed(err)), err)
	}
	fresh := newFakeConn()
	h.open, h.limit = func() (conn, error) { return fresh, nil }, time.Minute
	if err := h.Apply(cmds); err != nil || len(fresh.calls) != 4 {
		t.Errorf("after a reconnection: calls %q, error %v", fresh.calls, err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

func TestServicesReadsTheKernel(t *testing.T) {
	f := newFakeConn()
	f.services = []*moby.Service{
		{Address: addr("2001:db8::1").AsSlice(), Port: 443, Protocol: 17, SchedName: "mh", Flags: 0x3, Timeout: 60, Netmask: 128, AddressFamily: unix.AF_INET6},
		{FWMark: 7, SchedName: "rr"},
		{Address: addr("192.0.2.1").AsSlice(), Port: 80, Protocol: 6, SchedName: "sh", Flags: 0x2 | 0x10, Netmask: 0xffffffff},
		{Address: addr("192.0.2.2").AsSlice(), Port: 81, Protocol: 6, SchedName: "rr", Flags: 0x3, Timeout: 300, Netmask: 0xffffff},
	}
	f.dests = map[uint16][]*moby.Destination{80: {
		{Address: addr("10.0.0.2").AsSlice(), Port: 80, ConnectionFlags: 0x103, Weight: 4, ActiveConnections: 2, InactiveConnections: 5},
		{Address: addr("10.0.0.1").AsSlice(), Port: 80, UpperThreshold: 9},
	}}
	want := []Service{
		{
			Key: Key{addr("192.0.2.1"), 80, TCP}, Scheduler: "sh", Unmodelled: true,
			Destinations: []Destination{
				{Address: addr("10.0.0.1"), Port: 80, Unmodelled: true},
				{Address: addr("10.0.0.2"), Port: 80, Forwarding: DR, Weight: 4, Stats: Stats{Active: 2, Inactive: 5}},
			},
		},
		{Key: Key{addr("192.0.2.2"), 81, TCP}, Scheduler: "rr", Persistence: 5 * time.Minute, Unmodelled: true},
		{Key: Key{addr("2001:db8::1"), 443, UDP}, Scheduler: "mh", Persistence: time.Minute},
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
