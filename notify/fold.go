package notify

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"harmony/vrrp"
)

// Fold turns Events into Notices. It holds what has been told last of each
// router and group, and tells only what differs. The zero Fold is ready.
type Fold struct {
	routers map[vrrp.Key]*router
	groups  map[string]*group
	wanted  Config
}

type router struct {
	Instance // as it was last configured: the end of a router is told as its life was
	word     Word
	priority uint8
}

type group struct {
	Group
	word Word
}

// Set replaces the configuration. Routers do not change their state by it, but
// may come into a sync group or leave one.
func (f *Fold) Set(c Config) []Notice {
	f.wanted = c
	for _, i := range c.Instances {
		if r := f.routers[i.Key]; r != nil {
			r.Instance = i
		}
	}
	for _, g := range c.Groups {
		if have := f.groups[g.Name]; have != nil {
			have.Group = g
		}
	}
	return f.regroupAll()
}

// Recall takes in Events that have been told of already: they are the state to
// begin with.
func (f *Fold) Recall(told []Event) {
	for _, e := range told {
		f.Step(e)
	}
	f.regroupAll()
}

// Step returns what an Event gives to tell: of its router, then of its sync
// group, if the group as a whole has changed.
func (f *Fold) Step(e Event) []Notice {
	r := f.routers[e.Key]
	word := wordOf(e)
	switch {
	case e.Rival && (r == nil || r.word != Master), r == nil && e.To == vrrp.Stopped:
		return nil // overtaken
	case e.Rival:
		r.priority = e.Priority
		return []Notice{r.notice(Rival, e.Cause)}
	case r == nil:
		r = &router{Instance: f.instance(e.Key)}
		f.put(r)
	}
	r.priority = e.Priority
	var out []Notice
	if r.word != word {
		r.word = word
		out = append(out, r.notice(word, e.Cause))
	}
	if e.To == vrrp.Stopped {
		delete(f.routers, e.Key)
	}
	return append(out, f.regroup(r.Group, e.Cause)...)
}

// Present is what holds now, of all routers and then of all groups, without
// Calls.
func (f *Fold) Present() []Notice {
	var out []Notice
	for _, r := range f.routers {
		out = append(out, Notice{Kind: kindInstance, Name: r.Name, Word: r.word, Priority: r.priority})
	}
	for _, g := range f.groups {
		out = append(out, Notice{Kind: kindGroup, Name: g.Name, Word: g.word})
	}
	slices.SortFunc(out, func(a, b Notice) int {
		return cmp.Or(-strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return out
}

func wordOf(e Event) Word {
	switch e.To {
	case vrrp.Master:
		return Master
	case vrrp.Backup:
		return Backup
	case vrrp.Stopped:
		if e.Cause == vrrp.Shutdown {
			return Stop
		}
	}
	return Fault
}

// instance is the configuration of a router; one that has none is told by its
// name.
func (f *Fold) instance(key vrrp.Key) Instance {
	for _, i := range f.wanted.Instances {
		if i.Key == key {
			return i
		}
	}
	return Instance{Key: key, Name: key.Name}
}

// groupOf is the sync group of a router, as of its last Event.
func (f *Fold) groupOf(key vrrp.Key) string {
	if r := f.routers[key]; r != nil {
		return r.Group
	}
	return f.instance(key).Group
}

func (f *Fold) put(r *router) {
	if f.routers == nil {
		f.routers, f.groups = map[vrrp.Key]*router{}, map[string]*group{}
	}
	f.routers[r.Key] = r
}

func (r *router) notice(w Word, why vrrp.Cause) Notice {
	return newNotice(Notice{Kind: kindInstance, Name: r.Name, Word: w, Priority: r.priority, Cause: why}, r.Hooks)
}

// regroupAll sees what has become of each group by a new configuration.
func (f *Fold) regroupAll() []Notice {
	names := map[string]bool{}
	for _, r := range f.routers {
		names[r.Group] = true
	}
	for name := range f.groups {
		names[name] = true
	}
	var out []Notice
	for _, name := range slices.Sorted(maps.Keys(names)) {
		out = append(out, f.regroup(name, vrrp.NoCause)...)
	}
	return out
}

// regroup tells of a group if it has changed as a whole: it is MASTER when all
// its routers are, FAULT when one of them is, else BACKUP, and stops with the
// last of them.
func (f *Fold) regroup(name string, why vrrp.Cause) []Notice {
	members := map[Word]int{}
	all := 0
	for _, r := range f.routers {
		if r.Group == name {
			members[r.word]++
			all++
		}
	}
	g := f.groups[name]
	if name == "" || g == nil && all == 0 {
		return nil
	}
	if g == nil {
		g = &group{Group: f.group(name)}
		f.groups[name] = g
	}
	word := Backup
	switch {
	case all == 0:
		delete(f.groups, name)
		word = wordOf(Event{To: vrrp.Stopped, Cause: why})
	case why == vrrp.Shutdown:
		return nil // the others follow
	case members[Fault] > 0:
		word = Fault
	case members[Master] == all:
		word = Master
	}
	if g.word == word {
		return nil
	}
	g.word = word
	return []Notice{newNotice(Notice{Kind: kindGroup, Name: name, Word: word, Cause: why}, g.Hooks)}
}

func (f *Fold) group(name string) Group {
	for _, g := range f.wanted.Groups {
		if g.Name == name {
			return g
		}
	}
	return Group{Name: name}
}
