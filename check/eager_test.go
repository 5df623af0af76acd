package check_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"harmony/check"
)

// eager returns the check of a tracker.
func eager(rise, fall int) check.Spec {
	s := spec(rise, fall)
	s.Eager = true
	return s
}

func TestRunnerEager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &target{err: errors.New("down")}
		r, changes := start(t, check.Options{
			Probe:  srv.probe,
			Jitter: func(time.Duration) time.Duration { return time.Hour },
			CutOff: func(check.Spec) bool { return true },
		})
		s := eager(2, 3)
		r.Set([]check.Spec{s})
		if v := r.Verdicts()[s]; v.Known || !v.Up {
			t.Errorf("before the first probe: %+v", v)
		}
		after(time.Millisecond)
		if v := r.Verdicts()[s]; !v.Known || v.Up || changes.Load() != 1 {
			t.Errorf("after the first failure: %+v, %d changes", v, changes.Load())
		}
		srv.fail(nil)
		after(time.Second)
		if v := r.Verdicts()[s]; v.Up {
			t.Errorf("after one success: %+v", v)
		}
		after(time.Second)
		if v := r.Verdicts()[s]; !v.Up || changes.Load() != 2 {
			t.Errorf("after two successes: %+v, %d changes", v, changes.Load())
		}
	})
}

// TestRunnerEagerTellsTheFirstSuccess: who waits for a result must hear of a
// good one too.
func TestRunnerEagerTellsTheFirstSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &target{}
		r, changes := start(t, check.Options{Probe: srv.probe})
		r.Set([]check.Spec{eager(1, 1)})
		after(10 * time.Second)
		if changes.Load() != 1 {
			t.Errorf("%d changes", changes.Load())
		}
	})
}

func TestRunnerValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &target{value: 5}
		r, changes := start(t, check.Options{Probe: func(ctx context.Context, s check.Spec) (int, error) { return srv.probe(ctx, s) }})
		s := eager(1, 1)
		r.Set([]check.Spec{s})
		after(time.Millisecond)
		if v := r.Verdicts()[s]; v.Value != 5 || changes.Load() != 1 {
			t.Errorf("%+v, %d changes", v, changes.Load())
		}
		srv.mu.Lock()
		srv.value = 7
		srv.mu.Unlock()
		after(2 * time.Second)
		if v := r.Verdicts()[s]; v.Value != 7 || changes.Load() != 2 {
			t.Errorf("after another value: %+v, %d changes", v, changes.Load())
		}
	})
}

// TestRunnerRestore: a check goes on where an earlier one was, once.
func TestRunnerRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &target{err: errors.New("down")}
		r, _ := start(t, check.Options{Probe: srv.probe})
		up, down := eager(1, 2), eager(1, 3)
		r.Restore(map[check.Spec]check.State{up: {Known: true, Value: 9}, down: {Known: true, Down: true}})
		r.Set([]check.Spec{down})
		if v := r.Verdicts()[down]; !v.Known || v.Up {
			t.Errorf("restored as %+v", v)
		}
		r.Restore(map[check.Spec]check.State{up: {Known: true, Value: 9}})
		r.Set([]check.Spec{up})
		if v := r.Verdicts()[up]; !v.Known || !v.Up || v.Value != 9 {
			t.Errorf("restored as %+v", v)
		}
		after(time.Millisecond)
		if v := r.Verdicts()[up]; !v.Up {
			t.Error("the first failure of a restored check counts at once")
		}
		r.Set(nil)
		r.Set([]check.Spec{up})
		if v := r.Verdicts()[up]; v.Known {
			t.Errorf("restored again: %+v", v)
		}
	})
}
