package agent

import "time"

// The worker watches the elector. Both see one word of memory, the pulse: the
// elector's engine writes there, each time before it sleeps, by when it will
// write again. A worker that finds it late silences the addresses, for the
// kernel answers ARP and ND on behalf of a process that is stopped, and lifts
// that as soon as the engine has judged what had arrived meanwhile.

const (
	// watchIdle is how often the worker looks while no address answers.
	watchIdle = 100 * time.Millisecond
	// watchMax bounds the sleep until a limit, should a nearer one be set.
	watchMax = time.Second
	// watchLate is how often it looks whether a late elector is back.
	watchLate = 10 * time.Millisecond
)

// WatchdogStatus is what the worker has seen of the elector.
type WatchdogStatus struct {
	Stalls  uint64        `json:"stalls"`            // times the elector was late
	Silent  bool          `json:"silent,omitempty"`  // it is, and its addresses are silenced
	Longest time.Duration `json:"longest,omitempty"` // stall that is over
	Problem string        `json:"problem,omitempty"` // why addresses cannot be silenced
}

// look says whether the elector is late by its pulse, and when to look again.
// Times are of one clock, and the zero limit means that nothing is at stake.
func look(limit, now time.Duration) (late bool, again time.Duration) {
	switch {
	case limit == 0:
		return false, watchIdle
	case now > limit:
		return true, watchLate
	}
	return false, min(max(limit-now, time.Millisecond), watchMax)
}
