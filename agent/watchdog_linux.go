package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"harmony/nft"
)

// watchdog watches the elector from the worker, in a goroutine of its own that
// ends with close: nothing else that the worker does may hold it up.
type watchdog struct {
	pulse *pulse
	mute  *nft.Mute
	log   *slog.Logger
	stop  context.CancelFunc
	done  chan struct{}

	mu     sync.Mutex
	status WatchdogStatus
}

// watch starts the watchdog on the pulse that is behind file.
func watch(file *os.File, log *slog.Logger) (*watchdog, error) {
	p, err := openPulse(file)
	if err != nil {
		return nil, fmt.Errorf("the worker is started by `harmony agent`, not by hand: %w", err)
	}
	mute, err := nft.NewMute()
	if err != nil {
		p.close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watchdog{pulse: p, mute: mute, log: log, stop: cancel, done: make(chan struct{})}
	go w.run(ctx)
	return w, nil
}

// close ends the watch and lifts the silence: the elector is well, or its
// addresses are gone.
func (w *watchdog) close() error {
	w.stop()
	<-w.done
	w.pulse.close()
	return errors.Join(w.mute.Set(false), w.mute.Close())
}

// report is what has been seen so far.
func (w *watchdog) report() WatchdogStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

func (w *watchdog) run(ctx context.Context) {
	defer close(w.done)
	w.lift() // what a watchdog has left that died
	timer := time.NewTimer(0)
	defer timer.Stop()
	var since time.Duration // of the stall; 0 for none
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := monotonic()
		late, again := look(w.pulse.limit(), now)
		switch {
		case late && since == 0:
			since = now
			w.silence()
		case !late && since != 0:
			w.recovered(now - since)
			since = 0
		}
		timer.Reset(again)
	}
}

// silence acts first and talks later.
func (w *watchdog) silence() {
	err := w.mute.Set(true)
	w.mu.Lock()
	w.status.Stalls++
	w.status.Silent, w.status.Problem = err == nil, ""
	if err != nil {
		w.status.Problem = err.Error()
	}
	w.mu.Unlock()
	if err != nil {
		w.log.Error("the elector is late, and its addresses cannot be silenced", "err", err)
		return
	}
	w.log.Warn("the elector is late: its addresses are silenced until it is back")
}

func (w *watchdog) recovered(after time.Duration) {
	w.lift()
	w.mu.Lock()
	w.status.Silent, w.status.Longest = false, max(w.status.Longest, after)
	w.mu.Unlock()
	w.log.Warn("the elector is back and has judged what it missed", "after", after.Round(time.Millisecond))
}

func (w *watchdog) lift() {
	if err := w.mute.Set(false); err != nil {
		w.log.Error("addresses stay silent", "err", err)
	}
}
