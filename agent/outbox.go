package agent

import (
	"sync"

	"harmony/notify"
	"harmony/vrrp"
)

// outbox is a notify.Outbox between the engine's goroutine, which fills it, and
// the elector's. Neither waits long for the other.
type outbox struct {
	mu  sync.Mutex
	box notify.Outbox
}

func (o *outbox) add(e notify.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.box.Add(e)
}

func (o *outbox) take() []notify.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.box.Take()
}

func (o *outbox) restart() (told, pending []notify.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.box.Restart()
}

func (o *outbox) done(seqs []uint64) {
	if len(seqs) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.box.Done(seqs)
}

func (o *outbox) lost() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.box.Lost()
}

// observe runs in the engine's goroutine.
func (e *elector) observe(t vrrp.Transition) {
	if ev, ok := notify.Changed(t); ok {
		e.outbox.add(ev)
	}
	e.wake()
}

// observeRival runs in the engine's goroutine.
func (e *elector) observeRival(r vrrp.Rival) {
	e.outbox.add(notify.Rivalled(r))
	e.wake()
}

// wake has the worker told what has happened.
func (e *elector) wake() {
	select {
	case e.moved <- struct{}{}:
	default:
	}
}
