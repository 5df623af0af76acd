package check

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Options configure a Runner.
type Options struct {
	Log *slog.Logger // required

	// Changed is called after a verdict has changed, from the goroutine of the
	// check: it may run several times at once, must not block, and must not
	// call Set or Close. Nil means nobody listens.
	Changed func()

	// Jitter picks the delay of a new check's first probe out of [0, interval),
	// so that a thousand checks do not fire at once. Required. Eager checks have
	// no delay.
	Jitter func(interval time.Duration) time.Duration

	// CutOff says that this node has lost its own way to the target, such as
	// the carrier of its link: then a failure proves nothing about the target,
	// and the verdict stays. It is called after failures, from the goroutines
	// of checks. It is not asked about Eager ones, which may be there to find
	// just that. Nil means never.
	CutOff func(spec Spec) bool

	// Probe is one probe; a nil error is a success, and value is that of a
	// Number. It must return when ctx is done, which is after Spec.Timeout at
	// the latest. Nil means that of a zero Prober.
	Probe func(ctx context.Context, spec Spec) (value int, err error)
}

// Verdict is what is known about one check.
type Verdict struct {
	Up        bool      `json:"up"`
	Known     bool      `json:"known"`               // there was a result
	Value     int       `json:"value,omitempty"`     // of a Number
	Since     time.Time `json:"since"`               // when the verdict was reached, or the check was set
	Checked   time.Time `json:"checked,omitzero"`    // end of the last probe; zero before the first
	LastError string    `json:"lastError,omitempty"` // of the last probe; empty if it succeeded
}

// Runner runs checks. Its methods may be called from any goroutine.
type Runner struct {
	opt Options
	wg  sync.WaitGroup // one for each check's goroutine

	mu     sync.Mutex // guards the rest, and what checks point to
	checks map[Spec]*run
	past   map[Spec]State // what new checks begin with
	closed bool
}

// run is one running check.
type run struct {
	cancel  context.CancelFunc
	state   State
	verdict Verdict
	cutOff  bool // the last probe failed while the node was cut off
}

// NewRunner returns a Runner without checks. The caller closes it.
func NewRunner(opt Options) *Runner {
	if opt.Probe == nil {
		opt.Probe = new(Prober).Probe
	}
	if opt.Changed == nil {
		opt.Changed = func() {}
	}
	return &Runner{opt: opt, checks: make(map[Spec]*run)}
}

// Restore makes states those with which their checks begin when the next Set
// adds them: an earlier life of the same checks, or of their predecessors.
func (r *Runner) Restore(states map[Spec]State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.past = maps.Clone(states)
}

// Set makes specs the whole set of checks. One that runs already goes on with
// its state and its rhythm; one that is gone is forgotten and its probe
// cancelled; a new one is up until it has failed. An invalid Spec is logged and
// not run, so its target counts as up. Set does not wait for probes.
func (r *Runner) Set(specs []Spec) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	wanted := make(map[Spec]bool, len(specs))
	for _, spec := range specs {
		if err := spec.Validate(); err != nil {
			r.opt.Log.Error("check refused", "check", spec.String(), "err", err)
			continue
		}
		wanted[spec] = true
		if r.checks[spec] == nil {
			r.start(spec)
		}
	}
	for spec, c := range r.checks {
		if !wanted[spec] {
			c.cancel()
			delete(r.checks, spec)
		}
	}
	r.past = nil
}

// start adds a check and its goroutine, which ends when the check is cancelled.
// The caller holds the lock.
func (r *Runner) start(spec Spec) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &run{cancel: cancel, state: r.past[spec], verdict: Verdict{Since: time.Now()}}
	c.verdict.take(c.state)
	r.checks[spec] = c
	r.wg.Go(func() { r.loop(ctx, spec, c) })
}

// loop probes until ctx is done. A probe that takes longer than the interval
// makes the ticker drop ticks, so there is never more than one in flight.
func (r *Runner) loop(ctx context.Context, spec Spec, c *run) {
	first := time.Duration(0)
	if !spec.Eager {
		first = r.opt.Jitter(spec.Interval)
	}
	delay := time.NewTimer(first)
	defer delay.Stop()
	select {
	case <-ctx.Done():
		return
	case <-delay.C:
	}
	tick := time.NewTicker(spec.Interval)
	defer tick.Stop()
	for {
		r.probe(ctx, spec, c)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// probe runs one probe and judges its result, unless the check was cancelled
// meanwhile.
func (r *Runner) probe(ctx context.Context, spec Spec, c *run) {
	limited, cancel := context.WithTimeout(ctx, spec.Timeout)
	defer cancel()
	value, err := r.opt.Probe(limited, spec)
	cutOff := err != nil && !spec.Eager && r.opt.CutOff != nil && r.opt.CutOff(spec)
	verdict, streak, changed := r.judge(ctx, spec, c, value, err, cutOff)
	if !changed {
		return
	}
	r.opt.Log.Info("check verdict changed", "check", spec.String(), "up", verdict.Up, "value", verdict.Value,
		"streak", streak, "rise", spec.Rise, "fall", spec.Fall, "err", verdict.LastError)
	r.opt.Changed()
}

// judge folds one result into the check. It returns the verdict, the results in
// a row that spoke against the one before, and whether that has changed.
//
// A failure while the node is cut off does not count, nor does the first one
// after it: that probe may have begun before the way was there again.
func (r *Runner) judge(ctx context.Context, spec Spec, c *run, value int, err error, cutOff bool) (v Verdict, streak int, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return c.verdict, 0, false
	}
	was := c.state
	c.verdict.Checked = time.Now()
	c.verdict.LastError = reason(err)
	ignored := err != nil && (cutOff || c.cutOff)
	c.cutOff = cutOff
	if ignored {
		return c.verdict, 0, false
	}
	c.state = was.Fold(spec, Result{OK: err == nil, Value: value})
	if c.state.Down != was.Down {
		c.verdict.Since = c.verdict.Checked
	}
	c.verdict.take(c.state)
	return c.verdict, was.Streak + 1, was.news(spec, c.state)
}

// take makes the verdict that of the state.
func (v *Verdict) take(s State) { v.Up, v.Known, v.Value = !s.Down, s.Known, s.Value }

// Verdicts returns a copy of what is known about every check that is set.
func (r *Runner) Verdicts() map[Spec]Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	verdicts := make(map[Spec]Verdict, len(r.checks))
	for spec, c := range r.checks {
		verdicts[spec] = c.verdict
	}
	return verdicts
}

// Close cancels all probes and waits until every goroutine of the Runner has
// ended: nothing is called back afterwards. Later Sets do nothing.
func (r *Runner) Close() {
	r.mu.Lock()
	r.closed = true
	for _, c := range r.checks {
		c.cancel()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// reason is the text of a probe's error in one printable line, without the words
// and addresses that net puts before it, which the Spec says already.
func reason(err error) string {
	if err == nil {
		return ""
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "timed out"
	}
	return plain(err.Error())
}

// plain makes printable what a server may have written, such as the names in
// its certificate, and cuts it.
func plain(text string) string {
	const most = 200
	var b strings.Builder
	for i, r := range []rune(text) {
		switch {
		case i == most:
			return b.String() + "..."
		case unicode.IsPrint(r) && r != unicode.ReplacementChar:
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}
