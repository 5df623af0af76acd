package agent

import (
	"sync"
	"testing"

	"harmony/notify"
	"harmony/vrrp"
)

// TestOutboxOfTwoGoroutines: every event arrives once, in order.
func TestOutboxOfTwoGoroutines(t *testing.T) {
	e := elector{moved: make(chan struct{}, 1)}
	const n = 2000
	var engine sync.WaitGroup
	engine.Go(func() {
		for range n / 2 {
			e.observe(vrrp.Transition{To: vrrp.Master})
			e.observe(vrrp.Transition{To: vrrp.Leaving})
			e.observeRival(vrrp.Rival{})
		}
	})
	var got []notify.Event
	for len(got) < n {
		<-e.moved
		got = append(got, e.outbox.take()...)
	}
	engine.Wait()
	for i, ev := range got {
		if ev.Seq != uint64(i+1) || ev.Rival != (i%2 == 1) {
			t.Fatalf("event %d: %+v", i, ev)
		}
	}
	if len(got) != n || len(e.outbox.take()) != 0 {
		t.Errorf("%d events", len(got))
	}
}

// TestMessagesKeepEvents: what a busy worker has not read yet is neither lost
// nor put out of order, and bounded.
func TestMessagesKeepEvents(t *testing.T) {
	var m toWorker
	const n = notify.MaxPending + 10
	for i := range uint64(n) {
		m = m.with(toWorker{Events: []notify.Event{{Seq: i + 1}}})
	}
	m = m.with(toWorker{Stop: true})
	if len(m.Events) != notify.MaxPending || m.Events[0].Seq != 11 || m.Events[notify.MaxPending-1].Seq != n {
		t.Errorf("%d events from %d", len(m.Events), m.Events[0].Seq)
	}
	first := toWorker{Told: []notify.Event{{Seq: 1}}, Events: []notify.Event{{Seq: 2}}}
	if m = first.with(toWorker{Events: []notify.Event{{Seq: 3}}}); len(m.Told) != 1 || len(m.Events) != 2 {
		t.Errorf("%+v", m)
	}
}
