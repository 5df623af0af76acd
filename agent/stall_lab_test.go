package agent_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"harmony/bench/lab"
)

// advert is the interval of the router that these tests use.
const advert = 50 * time.Millisecond

func (h *host) signal(sig syscall.Signal, pids ...int) {
	h.t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil {
			h.t.Fatal(err)
		}
	}
}

// silenced says whether the watchdog's table is in the kernel.
func (h *host) silenced() bool {
	return strings.Contains(h.node.Run(h.t, "nft", "list", "tables"), "harmony-mute")
}

// pair is two ready hosts, of which a owns the router, and an observer.
func pair(t *testing.T) (a, b *host, o *observer) {
	lab.Require(t, "root", "nft", "ip")
	n := lab.New(t)
	a, b = newHost(t, n, "a", "10.9.0.1/24", 150), newHost(t, n, "b", "10.9.0.2/24", 100)
	a.await("owns the addresses", a.owns)
	a.await("is ready", a.ready)
	b.await("is ready", b.ready)
	o = observe(t, n, "10.9.0.9", "10.9.0.100")
	o.awaits(a, time.Now())
	return a, b, o
}

func TestLabStalledElectorFallsSilent(t *testing.T) {
	a, b, o := pair(t)
	s, _ := a.status()
	stopped := time.Now()
	a.signal(syscall.SIGSTOP, s.Election.PID)
	taken := o.awaits(b, stopped)
	if d := taken.Sub(stopped); d > brisk.down()+2*advert+slack {
		t.Errorf("taken over after %v", d)
	}
	passes(t, time.Second)
	if d := o.overlap(a, b, stopped); d > slack {
		t.Errorf("a stopped elector's address was answered for %v beside the new owner", d)
	}
	if !a.silenced() {
		t.Error("the watchdog has not acted")
	}
	t.Logf("taken over %v after the stop; the two answered together for %v", taken.Sub(stopped), o.overlap(a, b, stopped))

	resumed := time.Now()
	a.signal(syscall.SIGCONT, s.Election.PID)
	a.await("owns again", func() bool { return a.owns() && b.clean() })
	back := o.awaits(a, resumed)
	passes(t, 4*advert)
	if d := back.Sub(resumed); d < 3*advert-slack {
		t.Errorf("answered %v after it was resumed, without having listened", d)
	}
	if d := o.overlap(b, a, resumed); d > advert+slack {
		t.Errorf("two owners for %v after the stall", d)
	}
	a.await("is well", func() bool { s, err := a.status(); return err == nil && !s.Worker.Watchdog.Silent })
	if a.silenced() {
		t.Error("the watchdog's table is left behind")
	}
	s, _ = a.status()
	for _, r := range s.Election.Routers {
		if r.Counters.Stalls != 1 {
			t.Errorf("%v has counted %d stalls", r.Router.Key, r.Counters.Stalls)
		}
	}
	if s.Worker.Watchdog.Stalls == 0 || s.Worker.Watchdog.Longest < time.Second {
		t.Errorf("watchdog: %+v", *s.Worker.Watchdog)
	}
}

// Where all of a node's processes stand still nobody silences it: its kernel
// answers beside the new owner's until it goes on. Then it judges first, and
// is silent at once. A paused machine is the same without a kernel that
// answers.
func TestLabStalledAltogetherGivesWayAtOnce(t *testing.T) {
	a, b, o := pair(t)
	s, _ := a.status()
	stopped := time.Now()
	a.signal(syscall.SIGSTOP, s.Worker.PID, s.Election.PID)
	o.awaits(b, stopped)
	passes(t, 4*brisk.down())
	resumed := time.Now()
	a.signal(syscall.SIGCONT, s.Worker.PID, s.Election.PID)
	a.await("owns again", func() bool { return a.owns() && b.clean() })
	var last, back time.Time // before it had listened, and after
	for _, at := range o.of(a, resumed) {
		if at.Sub(resumed) < 2*advert {
			last = at
		} else if back.IsZero() {
			back = at
		}
	}
	if d := last.Sub(resumed); d > advert+slack {
		t.Errorf("went on answering for %v", d)
	}
	if d := o.awaits(a, resumed.Add(2*advert)).Sub(resumed); d < 3*advert-slack {
		t.Errorf("answered %v after it was resumed, without having listened", d)
	}
	t.Logf("silent %v after it was resumed, the owner again after %v", max(0, last.Sub(resumed)), back.Sub(resumed))
}
