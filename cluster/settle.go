package cluster

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"harmony/api/v1alpha1"
	"harmony/source"
)

// Settle is Translate for a daemon that is serving already. last is the
// Snapshot that the previous Settle returned (or that was loaded from disk),
// next is what was read now, and loaded are the Problems of reading it.
//
// An object that is refused keeps its version in last, if it has one there; of
// a file or document that cannot be read, every object that was read from that
// file before stays unless next has it. What is gone from files that can be read
// is gone. An object that has not changed goes before those that have when both
// claim the same, so nothing that is served is pushed aside by a mistake.
//
// The returned Snapshot has no refused objects and is what to keep as last; the
// State is its State; the Problems are those of loaded, of next, and of what was
// kept, sorted.
func Settle(last, next source.Snapshot, loaded []source.Problem) (source.Snapshot, State, []source.Problem) {
	s := settlement{last: last, kept: make(map[source.Ref]bool), known: refSet(last)}
	s.unread(next, loaded)
	for {
		now := s.merge(next)
		state, problems := translate(now, s.incumbents(now))
		if s.revert(problems) {
			continue
		}
		refused := refusedOf(problems)
		problems = append(s.problems, problems...)
		slices.SortStableFunc(problems, source.Problem.Compare)
		return now.Filter(func(r source.Ref) bool { return !refused[r] }), state, problems
	}
}

// settlement is one Settle.
type settlement struct {
	last     source.Snapshot
	known    map[source.Ref]bool // objects of last
	kept     map[source.Ref]bool // whose version in last is used
	problems []source.Problem    // about what was replaced by a kept version
}

// unread keeps what the Problems of loading keep us from knowing.
func (s *settlement) unread(next source.Snapshot, loaded []source.Problem) {
	there := refSet(next)
	for _, p := range loaded {
		switch {
		case !p.Refused:
		case p.Object != (source.Ref{}):
			s.keep(&p)
		default:
			some := false
			for ref, o := range s.last.Origins {
				if !there[ref] && s.known[ref] && (o.File == p.File || strings.HasPrefix(o.File, p.File+"/")) {
					s.kept[ref], some = true, true
				}
			}
			if some {
				p.Text += "; keeping what was read from it before"
			}
		}
		s.problems = append(s.problems, p)
	}
}

// keep uses the last version of p's object, if there is one, and says so in p.
func (s *settlement) keep(p *source.Problem) {
	if s.known[p.Object] {
		s.kept[p.Object] = true
		p.Text += "; keeping the last good version"
	}
}

// revert keeps the last version of every object that problems refuse. It
// reports whether that is new for any of them.
func (s *settlement) revert(problems []source.Problem) (changed bool) {
	refused := refusedOf(problems)
	changed = s.keepSecrets(refused)
	maps.DeleteFunc(refused, func(r source.Ref, _ bool) bool { return !s.known[r] || s.kept[r] })
	for _, p := range problems {
		if refused[p.Object] {
			s.keep(&p)
			s.problems = append(s.problems, p)
		}
	}
	return changed || len(refused) > 0
}

// keepSecrets keeps the last version of the Secrets of refused routers and
// Settings as well: without them their own last versions would be refused too, and lose their
// addresses. It reports whether that is new for any of them.
func (s *settlement) keepSecrets(refused map[source.Ref]bool) (changed bool) {
	for i := range s.last.VirtualRouters {
		vr := &s.last.VirtualRouters[i]
		if !refused[source.RefOf(v1alpha1.KindVirtualRouter, vr)] {
			continue
		}
		for _, ref := range secretsOf(vr) {
			if s.known[ref] && !s.kept[ref] {
				s.kept[ref], changed = true, true
			}
		}
	}
	for i := range s.last.Settings {
		obj := &s.last.Settings[i]
		if !refused[source.RefOf(v1alpha1.KindSettings, obj)] || obj.Spec.Gossip == nil {
			continue
		}
		for _, k := range obj.Spec.WithDefaults().Gossip.Keys {
			ref := source.Ref{Kind: source.KindSecret, Namespace: k.Namespace, Name: k.Name}
			if s.known[ref] && !s.kept[ref] {
				s.kept[ref], changed = true, true
			}
		}
	}
	return changed
}

// merge returns next with the kept objects in place of its own.
func (s *settlement) merge(next source.Snapshot) source.Snapshot {
	if len(s.kept) == 0 {
		return next
	}
	old := s.last.Filter(func(r source.Ref) bool { return s.kept[r] })
	for ref, o := range old.Origins {
		old.Origins[ref] = source.Origin{File: o.File} // its lines are those of another text
	}
	return next.Filter(func(r source.Ref) bool { return !s.kept[r] }).Merge(old)
}

// incumbents returns the objects that claim things and are as they were.
func (s *settlement) incumbents(now source.Snapshot) map[source.Ref]bool {
	out := make(map[source.Ref]bool)
	unchanged(out, v1alpha1.KindVirtualRouter, s.last.VirtualRouters, now.VirtualRouters)
	unchanged(out, v1alpha1.KindL4Service, s.last.L4Services, now.L4Services)
	return out
}

// unchanged adds the objects that are equal in both lists. Equal is what has the
// same JSON: after a restart, last has been through it.
func unchanged[T any, P interface {
	*T
	metav1.Object
}](out map[source.Ref]bool, kind string, last, now []T) {
	before := make(map[source.Ref]string, len(last))
	for i := range last {
		if text, err := json.Marshal(&last[i]); err == nil {
			before[source.RefOf(kind, P(&last[i]))] = string(text)
		}
	}
	for i := range now {
		ref := source.RefOf(kind, P(&now[i]))
		text, err := json.Marshal(&now[i])
		if old, ok := before[ref]; ok && err == nil && old == string(text) {
			out[ref] = true
		}
	}
}

func refSet(s source.Snapshot) map[source.Ref]bool {
	set := make(map[source.Ref]bool)
	for _, ref := range s.Refs() {
		set[ref] = true
	}
	return set
}

func refusedOf(problems []source.Problem) map[source.Ref]bool {
	refused := make(map[source.Ref]bool)
	for _, p := range problems {
		if p.Refused {
			refused[p.Object] = true
		}
	}
	return refused
}
