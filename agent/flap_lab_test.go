package agent_test

import (
	"testing"
	"time"

	"harmony/bench/lab"
)

// A link that was away, for however short a time, is announced on again: the
// switch may have forgotten, and so may the hosts behind it.
func TestLabLinkUpIsAnnounced(t *testing.T) {
	n := lab.New(t)
	h := newHost(t, n, "a", "10.9.0.1/24", 150)
	h.await("owns the addresses", h.owns)
	h.await("is ready", h.ready)
	lab.Poll(t, 15*time.Second, "the bursts of the take-over are over", func() bool {
		s, err := h.status()
		return err == nil && s.Election.Routers[0].Counters.Announced >= 10
	})
	for _, down := range []time.Duration{0, 5 * time.Millisecond, 300 * time.Millisecond} {
		before, _ := h.status()
		if err := h.node.Cut(); err != nil {
			t.Fatal(err)
		}
		passes(t, down)
		if err := h.node.Heal(); err != nil {
			t.Fatal(err)
		}
		h.await("announces again", func() bool {
			s, err := h.status()
			return err == nil && s.Election.Routers[0].Counters.Announced >= before.Election.Routers[0].Counters.Announced+5 && h.master()
		})
		after, _ := h.status()
		t.Logf("down for %v: %d transitions", down, after.Election.Routers[0].Counters.Transitions-before.Election.Routers[0].Counters.Transitions)
	}
}
