package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"harmony/script"
	"harmony/vrrp"
)

// stage is a Notifier whose scripts are played: each takes as long as its
// timeout says, and fails if its name is "bad".
type stage struct {
	*Notifier
	mu   sync.Mutex
	ran  []string      // "SECOND SCRIPT ARGUMENTS"
	done chan struct{} // Done was called; capacity 1
}

var errBad = errors.New("exit status 1")

// newStage has routers c and d, whose scripts take 1s, and e, whose script
// takes an hour.
func newStage() *stage {
	s := &stage{done: make(chan struct{}, 1)}
	began := time.Now()
	s.Notifier = New(Options{
		Log: slog.New(slog.DiscardHandler),
		Run: func(ctx context.Context, sc script.Script, in script.Input) script.Result {
			s.mu.Lock()
			s.ran = append(s.ran, fmt.Sprintf("%v %s %s", time.Since(began), sc.Name, strings.Join(in.Args, " ")))
			s.mu.Unlock()
			timer := time.NewTimer(sc.Timeout)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				return script.Result{Err: context.Cause(ctx)}
			}
			switch sc.Name {
			case "bad":
				return script.Result{Err: errBad}
			case "late":
				return script.Result{Err: fmt.Errorf("%w after a while", script.ErrTimeout)}
			}
			return script.Result{}
		},
		Done: func() {
			select {
			case s.done <- struct{}{}:
			default:
			}
		},
	})
	takes := func(name string, d time.Duration) *script.Script { return &script.Script{Name: name, Timeout: d} }
	four := func(name string) vrrp.Key { return vrrp.Key{Name: name, Family: vrrp.IPv4} }
	_ = s.Set(Config{Instances: []Instance{
		{Key: four("c"), Name: "c", Hooks: Hooks{Any: takes("good", time.Second)}},
		{Key: four("d"), Name: "d", Hooks: Hooks{Any: takes("bad", time.Second)}},
		{Key: four("e"), Name: "e", Hooks: Hooks{Any: takes("late", time.Hour)}},
	}})
	return s
}

// scripts are the runs so far, sorted.
func (s *stage) scripts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.ran))
}

func (s *stage) told(t *testing.T, texts ...string) {
	var events []Event
	for i, text := range texts {
		e := event(t, text)
		e.Seq = uint64(i + 1)
		events = append(events, e)
	}
	s.Tell(events)
}

// TestLanes: of one router one script runs after the other, whatever becomes of
// them; routers do not wait for each other.
func TestLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.told(t, "e MASTER", "c BACKUP", "d BACKUP", "c MASTER", "d MASTER", "c BACKUP")
		time.Sleep(10 * time.Second)
		<-s.done
		want := []string{
			"0s bad INSTANCE d BACKUP 100", "0s good INSTANCE c BACKUP 100", "0s late INSTANCE e MASTER 100",
			"1s bad INSTANCE d MASTER 100", "1s good INSTANCE c MASTER 100", "2s good INSTANCE c BACKUP 100",
		}
		if diff := cmp.Diff(want, s.scripts()); diff != "" {
			t.Error(diff)
		}
		if got := slices.Sorted(slices.Values(s.Fetch())); !slices.Equal(got, []uint64{2, 3, 4, 5, 6}) {
			t.Errorf("done: %v", got)
		}
		<-s.done // in an hour
		if got := s.Fetch(); !slices.Equal(got, []uint64{1}) {
			t.Errorf("done: %v", got)
		}
		s.Close(t.Context())
		status := s.Status()
		var counts []string
		for _, c := range status.Scripts {
			text := fmt.Sprintf("%s %d %d %d %d", c.Name, c.Succeeded, c.Failed, c.TimedOut, c.Dropped)
			if c.LastFailure != nil {
				text += " " + c.LastFailure.About + ": " + c.LastFailure.Error
			}
			counts = append(counts, text)
		}
		wantCounts := []string{"bad 0 2 0 0 INSTANCE d MASTER: exit status 1", "good 3 0 0 0", "late 0 0 1 0 INSTANCE e MASTER: timed out after a while"}
		if diff := cmp.Diff(wantCounts, counts); diff != "" || status.Waiting != 0 {
			t.Errorf("%s\nwaiting %d", diff, status.Waiting)
		}
	})
}

// TestQueueIsBounded: the oldest go, and count as told.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		var texts []string
		for range maxQueue/2 + 1 {
			texts = append(texts, "e MASTER", "e BACKUP")
		}
		s.told(t, texts[0])
		synctest.Wait() // it runs
		s.told(t, texts...)
		if got := s.Status(); got.Scripts[2].Dropped != 1 || got.Waiting != maxQueue {
			t.Errorf("%+v", got)
		}
		s.Notifier.cancel(errClosing)
		s.Close(t.Context())
		if got := s.Status(); got.Scripts[2].Dropped != maxQueue+1 || got.Waiting != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// TestRunningIsBounded: scripts of many routers wait for each other before they
// begin, not on their own time.
func TestRunningIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		var c Config
		var texts []string
		for i := range maxRunning + 2 {
			key := vrrp.Key{Name: fmt.Sprint("r", i), Family: vrrp.IPv4}
			c.Instances = append(c.Instances, Instance{Key: key, Name: key.Name, Hooks: Hooks{Any: &script.Script{Name: "good", Timeout: time.Second}}})
			texts = append(texts, key.Name+" MASTER")
		}
		_ = s.Set(c)
		s.told(t, texts...)
		s.Close(t.Context())
		if ran := s.scripts(); len(ran) != maxRunning+2 || !strings.HasPrefix(ran[maxRunning-1], "0s ") || !strings.HasPrefix(ran[maxRunning], "1s ") {
			t.Errorf("%q", ran)
		}
	})
}

// TestClose: what is pending has time, but not for ever; what was ended is not
// done.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.told(t, "c BACKUP", "c MASTER", "e MASTER", "e BACKUP")
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		began := time.Now()
		s.Close(ctx)
		if took := time.Since(began); took != 8*time.Second {
			t.Errorf("took %v", took)
		}
		if got := s.Fetch(); !slices.Equal(got, []uint64{1, 2}) {
			t.Errorf("done: %v", got)
		}
		if ran := s.scripts(); len(ran) != 3 {
			t.Errorf("ran: %v", ran)
		}
	})
}

// TestEarly: a worker that hears what has happened before it has read its
// source tells it then, and neither sooner nor what was told before.
func TestEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int32
		n := New(Options{Log: slog.New(slog.DiscardHandler), Done: func() {}, Run: func(context.Context, script.Script, script.Input) script.Result {
			ran.Add(1)
			return script.Result{}
		}})
		n.Recall([]Event{event(t, "a MASTER"), event(t, "b MASTER"), event(t, "c BACKUP")})
		n.Tell([]Event{event(t, "c MASTER"), event(t, "c FAULT")})
		synctest.Wait()
		if ran.Load() != 0 || len(n.Fetch()) != 0 {
			t.Errorf("%d scripts without a configuration", ran.Load())
		}
		for range 2 {
			_ = n.Set(config())
			synctest.Wait()
			if ran.Load() != 4 {
				t.Errorf("%d scripts", ran.Load())
			}
		}
		if done := n.Fetch(); len(done) != 2 {
			t.Errorf("done: %v", done)
		}
		n.Close(t.Context())
	})
}
