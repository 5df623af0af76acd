// Package check probes real servers (and, later, trackers) and turns results
// into verdicts. The verdict is a pure fold of results; the Runner owns the
// clocks and sockets.
package check

import (
	"net/netip"
	"time"
)

// Spec is one health check. It is comparable: equal Specs are one check, and
// its state survives reloads.
type Spec struct {
	Target   netip.AddrPort `json:"target"`
	Interval time.Duration  `json:"interval"` // between the starts of two probes, > 0
	Timeout  time.Duration  `json:"timeout"`  // of one probe, > 0
	Rise     int            `json:"rise"`     // successes in a row until up, >= 1
	Fall     int            `json:"fall"`     // failures in a row until down, >= 1
}
