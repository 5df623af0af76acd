package agent

import (
	"context"
	"time"

	"harmony/check"
	"harmony/nginxconf"
	"harmony/script"
)

const (
	// greeting is how long a worker waits for the elector's first message,
	// which is under way when it starts.
	greeting = time.Second
	// firstResults is for how long a new worker keeps its routers out of the
	// election until there is a result of everything that they track. They
	// stay as the last worker wished; a new agent has none yet.
	firstResults = 3 * time.Second
)

// prober makes the probes of checks.
func (w *worker) prober() *check.Prober {
	p := &check.Prober{
		Scripts: w.script,
		NGINX:   func(ctx context.Context) error { return nginxconf.Answers(ctx, string(w.o.RunDir)) },
	}
	var err error
	w.scripts, err = script.NewRunner()
	w.fault("scripts", err)
	p.Runner = w.scripts
	return p
}

// declare makes scripts those that checks find, from now on.
func (w *worker) declare(scripts []script.Script) {
	byName := make(map[string]script.Script, len(scripts))
	for _, s := range scripts {
		byName[s.Name] = s
	}
	w.declared.Store(&byName)
}

// script finds a declared script. It runs in the goroutines of checks.
func (w *worker) script(name string) (script.Script, bool) {
	s, ok := (*w.declared.Load())[name]
	return s, ok
}

// greeted takes the first message of the elector, which says what the last
// worker knew, before anything is decided. ended says that it was the last one
// too.
func (w *worker) greeted() (ended bool, err error) {
	timer := time.NewTimer(greeting)
	defer timer.Stop()
	select {
	case m, ok := <-w.msgs:
		if !ok {
			return true, w.surrender()
		}
		if m.Stop {
			return true, w.cleanUp(m.Keep)
		}
		w.told(m)
	case <-timer.C:
		w.o.Log.Warn("the elector has not said what it knows", "waited", greeting)
	}
	return false, nil
}

// knowing says whether the routers may join the election.
func (w *worker) knowing() bool {
	return known(w.state.Routers, w.checks.Verdicts()) || time.Since(w.started) > firstResults
}
