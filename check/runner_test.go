package check_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"harmony/check"
)

// target is a fake real server: its probes answer err after delay.
type target struct {
	mu       sync.Mutex
	err      error
	value    int
	delay    time.Duration
	starts   []time.Time
	inFlight int
	most     int // most probes in flight at once
}

func (s *target) probe(ctx context.Context, _ check.Spec) (int, error) {
	s.mu.Lock()
	s.starts = append(s.starts, time.Now())
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	value, err, delay := s.value, s.err, s.delay
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.inFlight--
		s.mu.Unlock()
	}()
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(delay):
		return value, err
	}
}

func (s *target) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func noJitter(time.Duration) time.Duration { return 0 }

// start returns a Runner that is closed with the test, and a counter of its
// calls to Changed.
func start(t *testing.T, opt check.Options) (*check.Runner, *atomic.Int64) {
	t.Helper()
	changes := new(atomic.Int64)
	opt.Changed = func() { changes.Add(1) }
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Jitter == nil {
		opt.Jitter = noJitter
	}
	r := check.NewRunner(opt)
	t.Cleanup(r.Close)
	return r, changes
}

// after advances the bubble's clock and lets every goroutine settle.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestRunnerVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		srv := &target{}
		r, changes := start(t, check.Options{Probe: srv.probe, Log: slog.New(slog.NewTextHandler(&log, nil))})
		s := spec(2, 3)
		begin := time.Now()
		r.Set([]check.Spec{s})
		if got, want := r.Verdicts()[s], (check.Verdict{Up: true, Since: begin}); got != want {
			t.Errorf("before the first probe: %+v, want %+v", got, want)
		}
		after(time.Millisecond)
		if got, want := r.Verdicts()[s], (check.Verdict{Up: true, Known: true, Since: begin, Checked: begin}); got != want {
			t.Errorf("after a success: %+v, want %+v", got, want)
		}

		srv.fail(errors.New("it burns"))
		after(2 * time.Second) // two failures: not yet
		if v := r.Verdicts()[s]; !v.Up || v.LastError != "it burns" || changes.Load() != 0 {
			t.Errorf("after two failures: %+v, %d changes", v, changes.Load())
		}
		after(time.Second)
		down := begin.Add(3 * time.Second)
		want := check.Verdict{Known: true, Since: down, Checked: down, LastError: "it burns"}
		if got := r.Verdicts()[s]; got != want || changes.Load() != 1 {
			t.Errorf("after three failures: %+v, want %+v; %d changes", got, want, changes.Load())
		}
		for _, part := range []string{`check="tcp 192.0.2.1:80"`, "up=false", "streak=3", "fall=3", `err="it burns"`} {
			if strings.Count(log.String(), "verdict changed") != 1 || !strings.Contains(log.String(), part) {
				t.Errorf("log lacks %s or has other lines:\n%s", part, &log)
			}
		}

		srv.fail(nil)
		after(2 * time.Second)
		up := begin.Add(5 * time.Second)
		want = check.Verdict{Up: true, Known: true, Since: up, Checked: up}
		if got := r.Verdicts()[s]; got != want || changes.Load() != 2 {
			t.Errorf("after two successes: %+v, want %+v; %d changes", got, want, changes.Load())
		}
	})
}

func TestRunnerSetKeepsWhatIsUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &target{err: errors.New("down")}
		r, _ := start(t, check.Options{Probe: srv.probe})
		a, b := spec(1, 2), spec(1, 1)
		r.Set([]check.Spec{a})
		after(500 * time.Millisecond) // one failure of a
		r.Set([]check.Spec{a, a, b})  // b is new and fails at once
		after(time.Millisecond)
		after(500 * time.Millisecond) // a's second failure, in its old rhythm
		for _, s := range []check.Spec{a, b} {
			if v := r.Verdicts()[s]; v.Up {
				t.Errorf("fall %d: still up: its state was lost", s.Fall)
			}
		}
		r.Set([]check.Spec{a})
		if v := r.Verdicts(); len(v) != 1 || v[a].Up {
			t.Errorf("after b is gone: %+v", v)
		}
		probes := len(srv.starts)
		r.Set(nil)
		after(time.Minute)
		if len(r.Verdicts()) != 0 || len(srv.starts) != probes {
			t.Errorf("checks that are gone still run: %d verdicts, %d more probes", len(r.Verdicts()), len(srv.starts)-probes)
		}
		r.Set([]check.Spec{a})
		if v := r.Verdicts()[a]; !v.Up {
			t.Error("a check that comes back must start afresh")
		}
	})
}

func TestRunnerProbesDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &target{delay: time.Hour}
		r, _ := start(t, check.Options{Probe: srv.probe})
		s := spec(1, 1)
		s.Timeout = 3500 * time.Millisecond // longer than the interval
		r.Set([]check.Spec{s})
		after(time.Minute)
		if srv.most != 1 {
			t.Errorf("%d probes in flight at once, want 1", srv.most)
		}
		if v := r.Verdicts()[s]; v.Up || v.LastError != "timed out" {
			t.Errorf("a probe that times out: %+v", v)
		}
	})
}

func TestRunnerJitterSpreadsOnlyTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &target{}
		asked := time.Duration(0)
		r, _ := start(t, check.Options{Probe: srv.probe, Jitter: func(interval time.Duration) time.Duration {
			asked = interval
			return 300 * time.Millisecond
		}})
		begin := time.Now()
		r.Set([]check.Spec{spec(1, 1)})
		after(2500 * time.Millisecond)
		var got []time.Duration
		for _, s := range srv.starts {
			got = append(got, s.Sub(begin))
		}
		want := []time.Duration{300 * time.Millisecond, 1300 * time.Millisecond, 2300 * time.Millisecond}
		if d := cmp.Diff(want, got); d != "" || asked != time.Second {
			t.Errorf("jitter was asked for %v; probes (-want +got):\n%s", asked, d)
		}
	})
}

func TestRunnerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &target{delay: time.Hour}
		r, changes := start(t, check.Options{Probe: srv.probe})
		s := spec(1, 1)
		s.Timeout = time.Hour
		r.Set([]check.Spec{s})
		after(time.Second)
		r.Close() // waits: synctest fails the test if a goroutine stays
		if srv.inFlight != 0 || changes.Load() != 0 || !r.Verdicts()[s].Up {
			t.Errorf("%d probes in flight, %d changes, %+v: a cancelled probe is no failure",
				srv.inFlight, changes.Load(), r.Verdicts()[s])
		}
		r.Set([]check.Spec{spec(2, 2)})
		if len(r.Verdicts()) != 1 {
			t.Error("Set after Close started a check")
		}
	})
}

func TestRunnerRefusesInvalidSpec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r, _ := start(t, check.Options{Probe: (&target{}).probe, Log: slog.New(slog.NewTextHandler(&log, nil))})
		bad := spec(1, 1)
		bad.Interval = 0
		r.Set([]check.Spec{bad, spec(1, 1)})
		if _, ok := r.Verdicts()[bad]; ok || len(r.Verdicts()) != 1 {
			t.Errorf("verdicts %+v", r.Verdicts())
		}
		if !strings.Contains(log.String(), "interval must be above 0") {
			t.Errorf("the refusal is not logged: %s", &log)
		}
	})
}

// TestRunnerTCP probes real sockets on loopback: one that listens and one that
// refuses.
func TestRunnerTCP(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut.Close()

	specOf := func(l net.Listener) check.Spec {
		return check.Spec{
			Target:   netip.MustParseAddrPort(l.Addr().String()),
			Interval: 10 * time.Millisecond, Timeout: 5 * time.Second, Rise: 1, Fall: 1,
		}
	}
	changed := make(chan struct{}, 1)
	r := check.NewRunner(check.Options{
		Log:    slog.New(slog.DiscardHandler),
		Jitter: noJitter,
		Changed: func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		},
	})
	defer r.Close()
	r.Set([]check.Spec{specOf(open), specOf(shut)})
	conn, err := open.Accept() // a probe has come
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	<-changed
	v := r.Verdicts()
	if got := v[specOf(shut)]; got.Up || got.LastError != "connect: connection refused" {
		t.Errorf("closed port: %+v", got)
	}
	if got := v[specOf(open)]; !got.Up || got.LastError != "" {
		t.Errorf("open port: %+v", got)
	}
}

// TestCutOff: while this node has no way to the target, failures prove nothing,
// nor does the first one after that.
func TestCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cutOff atomic.Bool
		spec := check.Spec{Target: netip.MustParseAddrPort("10.0.0.1:80"), Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 2}
		server := &target{err: errors.New("no route to host")}
		r := check.NewRunner(check.Options{
			Log: slog.New(slog.DiscardHandler), Jitter: noJitter, Probe: server.probe,
			CutOff: func(check.Spec) bool { return cutOff.Load() },
		})
		defer r.Close()
		after := func(d time.Duration, up bool) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := r.Verdicts()[spec].Up; got != up {
				t.Errorf("up: %v, want %v", got, up)
			}
		}
		cutOff.Store(true)
		r.Set([]check.Spec{spec})
		after(10*time.Second+time.Millisecond, true)
		cutOff.Store(false)
		after(2*time.Second, true) // one is forgiven, one counts
		after(time.Second, false)
		cutOff.Store(true)
		after(5*time.Second, false) // it does not bring back the dead either
	})
}
