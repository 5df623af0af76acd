package vrrp

import (
	"flag"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	schedules = flag.Uint64("schedules", 0, "number of random schedules that TestLongSimulator simulates")
	seed      = flag.Uint64("seed", 0, "simulate this one schedule, and print its trace")
)

const (
	// few schedules are for a test with the race detector, or with a mutant.
	few = 2000
	// many are for make test: a minute's work of two processors at most.
	many = 100_000
	// enough cover everything that can be covered.
	enough = 50_000
)

// TestSimulator runs random schedules of faults and commands over random
// networks. Afterwards the network is made whole, and must come to rest with
// exactly one owner of each router. invariant_test.go and settle_test.go say
// what must hold; a schedule that breaks a rule is shortened and printed.
func TestSimulator(t *testing.T) {
	if *seed != 0 {
		explore(t, *seed)
		return
	}
	simulate(t, 1, few)
}

// TestLongSimulator goes on where TestSimulator ends. It simulates many
// networks if HARMONY_LONG is set, or as many as the flag says, prints what
// they have covered, and fails if something was not.
func TestLongSimulator(t *testing.T) {
	n := uint64(few / 10)
	if os.Getenv("HARMONY_LONG") != "" {
		n = many
	}
	if *schedules > 0 {
		n = *schedules
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // they make much garbage, and keep nothing
	start := time.Now()
	seen := simulate(t, few+1, few+n)
	t.Logf("%d schedules in %v: %v", n, time.Since(start).Round(time.Second), seen)
	if missing := seen.missing(); n >= enough && len(missing) > 0 {
		t.Errorf("not covered: %s", strings.Join(missing, "; "))
	}
}

// simulate runs the schedules of the seeds from first to last.
func simulate(t *testing.T, first, last uint64) *coverage {
	var next atomic.Uint64
	next.Store(first)
	total := newCoverage()
	var mu sync.Mutex // guards total and the reports
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			seen := newCoverage()
			for !t.Failed() {
				n := next.Add(1) - 1
				if n > last {
					break
				}
				if wrong := playback(generate(n), seen); wrong != nil {
					mu.Lock()
					report(t, n, *wrong)
					mu.Unlock()
				}
			}
			mu.Lock()
			defer mu.Unlock()
			total.merge(seen)
		})
	}
	workers.Wait()
	return total
}

// playback runs a schedule and returns the first rule that it breaks, or nil.
func playback(schedule []string, seen *coverage) *violation {
	s := &script{world: newWorld(nil)}
	s.seen = seen
	for _, line := range schedule {
		s.command(strings.Fields(line))
		if s.wrong != nil {
			break
		}
	}
	return s.wrong
}

// explore runs one schedule and prints its trace.
func explore(t *testing.T, seed uint64) {
	s := &script{world: newWorld(nil)}
	s.trace = func(line string) { t.Log(line) }
	for _, line := range generate(seed) {
		t.Log("> " + line)
		s.command(strings.Fields(line))
		if s.wrong != nil {
			t.Fatalf("%s: %s", s.wrong.rule, s.wrong.text)
		}
	}
}

// TestSetWall shows that a jump of the wall clock is one.
func TestSetWall(t *testing.T) {
	before := time.Now()
	after := setWall(before, -time.Hour)
	if d := after.Sub(before); d != 0 {
		t.Errorf("the monotonic clock has changed by %v", d)
	}
	if d := after.Round(0).Sub(before.Round(0)); d != -time.Hour {
		t.Errorf("the wall clock has changed by %v, want -1h", d)
	}
}

// TestWallClock shows that nothing changes when the wall clock jumps, unless
// adverts carry the time.
func TestWallClock(t *testing.T) {
	trace := func(schedule []string, jumps ...string) string {
		s := newScript(nil)
		for i, line := range schedule {
			s.command(strings.Fields(line))
			if len(jumps) > 0 {
				s.command([]string{"jump", jumps[i%len(jumps)]})
			}
		}
		return s.out.String()
	}
	compared := 0
	for seed := uint64(1); compared < 100; seed++ {
		schedule := generate(seed)
		if strings.Contains(strings.Join(schedule, "\n"), "auth=") {
			continue
		}
		compared++
		schedule = slices.DeleteFunc(schedule, func(line string) bool { return strings.HasPrefix(line, "jump") })
		if diff := cmp.Diff(trace(schedule), trace(schedule, "1h", "-3h", "24h", "-1s")); diff != "" {
			t.Fatalf("schedule %d: trace without jumps (-) and with them (+):\n%s", seed, diff)
		}
	}
}
