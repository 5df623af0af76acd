package cluster

import (
	"cmp"
	"fmt"
	"strings"

	"harmony/check"
	"harmony/vrrp"
)

// maxDelta is how far one tracker moves a priority at most; a number beyond
// -maxDelta is a fault instead, as with keepalived.
const maxDelta = 253

// follow adds to r what its trackers say: terms of its priority, and a fault
// while one without weight is down.
//
// A check without a result yet has no effect, so that a reload which adds a
// tracker takes no address away. Only a router that does not take part yet
// waits in FAULT for the first result of trackers without weight, as with
// keepalived.
func (r Router) follow(own *vrrp.Router, f Facts) {
	var faults []string
	for _, t := range r.Trackers {
		verdict := f.Tracked[t.Check]
		switch {
		case verdict.Known:
			term, fault := t.judge(verdict)
			if term.Delta != 0 {
				own.Priority.Terms = append(own.Priority.Terms, term)
			}
			if fault != "" {
				faults = append(faults, fault)
			}
		case t.Weight == 0 && !f.Active[r.Key]:
			faults = append(faults, fmt.Sprintf("track %s: no result yet", t.Name))
		}
	}
	own.Fault = strings.Join(faults, "; ")
}

// judge is what a known verdict means: a term, which is zero without effect, or
// a fault, which is empty where there is none.
func (t Tracker) judge(v check.Verdict) (term vrrp.Term, fault string) {
	switch {
	case t.Check.Type == check.Number:
		return t.judgeNumber(v.Value)
	case t.Weight == 0 && v.Up == t.Reverse:
		said := cmp.Or(v.LastError, "down")
		if t.Reverse {
			said = "up"
		}
		return vrrp.Term{}, fmt.Sprintf("track %s: %s", t.Name, said)
	case t.Weight > 0 && v.Up:
		return vrrp.Term{Reason: "track " + t.Name + " up", Delta: t.delta(t.Weight)}, ""
	case t.Weight < 0 && !v.Up:
		return vrrp.Term{Reason: "track " + t.Name + " down", Delta: t.delta(t.Weight)}, ""
	}
	return vrrp.Term{}, ""
}

// delta is an adjustment, turned round if t says so.
func (t Tracker) delta(d int) int {
	if t.Reverse {
		return -d
	}
	return d
}

// judgeNumber is what the number in a file means.
func (t Tracker) judgeNumber(n int) (term vrrp.Term, fault string) {
	delta := t.delta(n * t.Weight)
	switch {
	case t.Weight == 0 && (n != 0) != t.Reverse:
		return vrrp.Term{}, fmt.Sprintf("track %s: the file says %d", t.Name, n)
	case delta < -maxDelta:
		return vrrp.Term{}, fmt.Sprintf("track %s: the file says %d, times weight %d", t.Name, n, t.Weight)
	}
	return vrrp.Term{Reason: fmt.Sprintf("track %s at %d", t.Name, n), Delta: min(delta, maxDelta)}, ""
}
