package check

// Result is what one probe says.
type Result struct {
	OK    bool
	Value int // of a Number that is OK
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
	Known  bool `json:"known"` // there was a result
	Down   bool `json:"down"`
	Streak int  `json:"streak,omitempty"` // results in a row that speak against the verdict
	Value  int  `json:"value,omitempty"`  // of the last result that was OK
}

// Fold returns the state after one more result. The start is nothing special,
// unless spec is Eager: a server that is dead from the start goes down after
// Fall probes.
func (s State) Fold(spec Spec, r Result) State {
	next := State{Known: true, Down: s.Down, Value: s.Value}
	if r.OK {
		next.Value = r.Value
	}
	if spec.Eager && !s.Known {
		next.Down = !r.OK
		return next
	}
	if r.OK != s.Down {
		return next
	}
	limit := spec.Fall
	if s.Down {
		limit = spec.Rise
	}
	if s.Streak+1 >= limit {
		next.Down = !s.Down
		return next
	}
	next.Streak = s.Streak + 1
	return next
}

// news says whether the change from s to next is one that others act on.
func (s State) news(spec Spec, next State) bool {
	return next.Down != s.Down || next.Value != s.Value || spec.Eager && !s.Known
}
