package notify

import (
	"maps"
	"slices"
	"time"
)

// Status says what has been told.
type Status struct {
	Scripts []ScriptStatus `json:"scripts"`        // those that objects name for it, by name
	Waiting int            `json:"waiting"`        // runs that wait for an earlier one of the same router or group
	FIFO    *FIFOStatus    `json:"fifo,omitempty"` // nil: there is none
}

// ScriptStatus counts the runs of one script since the worker started.
type ScriptStatus struct {
	Name        string   `json:"name"`
	Succeeded   uint64   `json:"succeeded"`
	Failed      uint64   `json:"failed"` // not started, or ended with another exit status than 0
	TimedOut    uint64   `json:"timedOut"`
	Dropped     uint64   `json:"dropped"` // never started: too many waited
	LastFailure *Failure `json:"lastFailure,omitempty"`
}

// Failure is a run that went wrong.
type Failure struct {
	At    time.Time `json:"at"`
	About string    `json:"about"` // "INSTANCE edge MASTER"
	Error string    `json:"error"`
}

// FIFOStatus counts the lines of the FIFO since the worker started.
type FIFOStatus struct {
	Path    string `json:"path"`
	Written uint64 `json:"written"`
	Dropped uint64 `json:"dropped"` // nobody reads, and the FIFO is full, or cannot be opened
	Error   string `json:"error,omitempty"`
}

// Status returns what has been told.
func (n *Notifier) Status() Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := Status{FIFO: n.fifo.status()}
	for _, name := range slices.Sorted(maps.Keys(n.stats)) {
		s.Scripts = append(s.Scripts, *n.stats[name])
	}
	for _, q := range n.queues {
		s.Waiting += len(q)
	}
	return s
}
