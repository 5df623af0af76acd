package agent

import (
	"fmt"
	"maps"

	"harmony/check"
	"harmony/cluster"
	"harmony/vrrp"
)

// memory is what is known of what routers track, by trackerKey, so that it
// outlives the worker and an edit of the tracker: neither is a reason to move
// an address.
type memory map[string]check.State

func trackerKey(r cluster.Router, t cluster.Tracker) string { return r.Name + "/" + t.Name }

// after is the memory once verdicts are known. What is tracked no longer is
// forgotten. m is not changed.
func (m memory) after(routers []cluster.Router, verdicts map[check.Spec]check.Verdict) memory {
	next := memory{}
	for _, r := range routers {
		for _, t := range r.Trackers {
			key := trackerKey(r, t)
			if v, ok := verdicts[t.Check]; ok && v.Known {
				next[key] = check.State{Known: true, Down: !v.Up, Value: v.Value}
			} else if old, ok := m[key]; ok {
				next[key] = old
			}
		}
	}
	return next
}

// states are the states with which the checks of routers begin.
func (m memory) states(routers []cluster.Router) map[check.Spec]check.State {
	states := map[check.Spec]check.State{}
	for _, r := range routers {
		for _, t := range r.Trackers {
			if state, ok := m[trackerKey(r, t)]; ok {
				states[t.Check] = state
			}
		}
	}
	return states
}

// facts are verdicts, and what is remembered of checks that are about to begin.
func (m memory) facts(routers []cluster.Router, verdicts map[check.Spec]check.Verdict) map[check.Spec]check.Verdict {
	facts := maps.Clone(verdicts)
	for spec, state := range m.states(routers) {
		if _, runs := verdicts[spec]; !runs {
			facts[spec] = check.Verdict{Up: !state.Down, Known: state.Known, Value: state.Value}
		}
	}
	return facts
}

// active are the routers that take part in the election.
func active(routers []vrrp.RouterStatus) map[vrrp.Key]bool {
	in := map[vrrp.Key]bool{}
	for _, r := range routers {
		in[r.Router.Key] = r.State != vrrp.Stopped && r.State != vrrp.Fault
	}
	return in
}

// known says whether there is a result of everything that routers track.
func known(routers []cluster.Router, verdicts map[check.Spec]check.Verdict) bool {
	for _, r := range routers {
		for _, t := range r.Trackers {
			if !verdicts[t.Check].Known {
				return false
			}
		}
	}
	return true
}

// trackers joins what routers track with the verdicts. A router of both
// families tracks the same in both, which is shown once.
func trackers(routers []cluster.Router, verdicts map[check.Spec]check.Verdict) []TrackerStatus {
	var out []TrackerStatus
	for i, r := range routers {
		if i > 0 && routers[i-1].Name == r.Name {
			continue // they are sorted
		}
		for _, t := range r.Trackers {
			out = append(out, TrackerStatus{
				Router: r.Name, Name: t.Name, Check: t.Check.String(), Weight: t.Weight, Reverse: t.Reverse, Verdict: verdicts[t.Check],
			})
		}
	}
	return out
}

// effect says in a few words what a tracker does.
func (t TrackerStatus) effect() string {
	weight := t.Weight
	if t.Reverse {
		weight = -weight
	}
	switch {
	case t.Weight == 0 && !t.Reverse:
		return "fault if down"
	case t.Weight == 0:
		return "fault if up"
	case t.Weight > 0:
		return fmt.Sprintf("%+d if up", weight)
	}
	return fmt.Sprintf("%+d if down", weight)
}

// state says in a few words how a tracker is.
func (t TrackerStatus) state() string {
	text := "down"
	if t.Up {
		text = "up"
	}
	if t.Value != 0 {
		text += fmt.Sprintf(" at %d", t.Value)
	}
	switch {
	case !t.Known:
		return "no result yet"
	case t.LastError != "" && t.Up:
		return text + ", last: " + t.LastError
	case t.LastError != "":
		return text + ": " + t.LastError
	case !t.Up:
		return text + ", last: well"
	}
	return text
}
