package agent

import (
	"sync"

	"harmony/notify"
	"harmony/vrrp"
)

// outbox is a notify.Outbox that the engine's goroutine fills and the elector's
// owns. The engine waits for an append at most.
type outbox struct {
	notify.Outbox

	mu    sync.Mutex
	fresh []notify.Event // not yet in the Outbox
}

func (o *outbox) add(e notify.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fresh = append(o.fresh, e)
}

// collect moves what is fresh into the Outbox. The elector's goroutine calls it
// when it is woken.
func (o *outbox) collect() {
	o.mu.Lock()
	fresh := o.fresh
	o.fresh = nil
	o.mu.Unlock()
	for _, e := range fresh {
		o.Add(e)
	}
}

// take is Take, with what is fresh.
func (o *outbox) take() []notify.Event {
	o.collect()
	return o.Take()
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
