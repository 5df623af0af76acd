package probe

import (
	"slices"
	"time"
)

// Owning is who answered for an address over a span of time.
type Owning struct {
	Dark    time.Duration // the longest time in which nobody answered
	Overlap time.Duration // the longest time in which two or more did
	By      map[string]int
}

// stalled is the kind of result by which an observer tells that it has asked
// nobody for a while.
const stalled = "stalled"

// spell is a time in which one node answered.
type spell struct{ from, to time.Time }

// Owners looks at the answers that an observer has reported in [from, to). A
// node counts as silent between two answers of its that are further apart than
// gap: some intervals of the observer. Nobody is blamed for not having been
// asked.
func Owners(results []Result, from, to time.Time, gap time.Duration) Owning {
	o := Owning{By: map[string]int{}}
	spells := map[string][]spell{}
	var stalls []spell
	for _, r := range results {
		if r.Kind == stalled {
			stalls = append(stalls, spell{r.Start, r.Start.Add(r.Took)})
		}
		if r.Kind != "observe" || r.Start.Before(from) || !r.Start.Before(to) {
			continue
		}
		o.By[r.By]++
		list := spells[r.By]
		if n := len(list); n > 0 && r.Start.Sub(list[n-1].to) <= gap {
			list[n-1].to = r.Start
			continue
		}
		spells[r.By] = append(list, spell{r.Start, r.Start})
	}
	var all []spell
	for _, list := range spells {
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b spell) int { return a.from.Compare(b.from) })
	lit := from // until when somebody has answered
	for _, s := range all {
		if dark := unlit(lit, s.from, stalls); dark > gap {
			o.Dark = max(o.Dark, dark)
		}
		if both := earlier(lit, s.to).Sub(s.from); lit.After(from) {
			o.Overlap = max(o.Overlap, both)
		}
		if s.to.After(lit) {
			lit = s.to
		}
	}
	if dark := unlit(lit, to, stalls); dark > gap {
		o.Dark = max(o.Dark, dark)
	}
	return o
}

// unlit is the time between two answers without what the observer has missed.
func unlit(from, to time.Time, stalls []spell) time.Duration {
	d := to.Sub(from)
	for _, s := range stalls {
		d -= max(0, earlier(to, s.to).Sub(later(from, s.from)))
	}
	return d
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
