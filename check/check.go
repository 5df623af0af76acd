// Package check probes real servers (and, later, trackers) and turns results
// into verdicts. The verdict is a pure fold of results; the Runner owns the
// clocks and sockets.
package check

import (
	"errors"
	"net/netip"
	"time"
)

// Spec is one health check: a TCP connection to Target. It is comparable:
// equal Specs are one check, and its state survives reloads. Other kinds of
// check will be told apart by a Type, whose zero value is this one.
type Spec struct {
	Target   netip.AddrPort `json:"target"`
	Interval time.Duration  `json:"interval"` // between the starts of two probes, > 0
	Timeout  time.Duration  `json:"timeout"`  // of one probe, > 0
	Rise     int            `json:"rise"`     // successes in a row until up, >= 1
	Fall     int            `json:"fall"`     // failures in a row until down, >= 1
}

// Validate returns nil if the Spec can be run, and else the reason.
func (s Spec) Validate() error {
	switch {
	case !s.Target.IsValid() || s.Target.Port() == 0:
		return errors.New("target must be an address and a port")
	case s.Interval <= 0:
		return errors.New("interval must be above 0")
	case s.Timeout <= 0:
		return errors.New("timeout must be above 0")
	case s.Rise < 1:
		return errors.New("rise must be at least 1")
	case s.Fall < 1:
		return errors.New("fall must be at least 1")
	}
	return nil
}

// State is what a check remembers of its results. The zero State is that of a
// check without results: it is up, because a real server takes traffic until
// its check has failed.
//
//	          Fall failures in a row
//	   ┌────┐ ──────────────────────► ┌──────┐
//	──►│ up │                         │ down │
//	   └────┘ ◄────────────────────── └──────┘
//	          Rise successes in a row
type State struct {
	Down   bool
	Streak int // results in a row that speak against the verdict
}

// Fold returns the state after one more result. The start is nothing special:
// a server that is dead from the start goes down after Fall probes.
func (s State) Fold(spec Spec, ok bool) State {
	if ok != s.Down {
		return State{Down: s.Down}
	}
	limit := spec.Fall
	if s.Down {
		limit = spec.Rise
	}
	if s.Streak+1 >= limit {
		return State{Down: !s.Down}
	}
	return State{Down: s.Down, Streak: s.Streak + 1}
}
