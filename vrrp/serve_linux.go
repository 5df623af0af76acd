package vrrp

import (
	"slices"
	"time"
)

// step lets the node take in an event and carries out what it says.
func (l *loop) step(ev Event) {
	actions := l.node.Step(ev, time.Now())
	if !slices.ContainsFunc(actions, changesOwner) {
		for _, a := range actions {
			l.carryOut(a)
		}
		return
	}
	// Routes need their addresses: they go before them and come after them.
	serving := l.node.serving()
	l.serve(slices.DeleteFunc(slices.Clone(l.serving), func(k Key) bool { return !slices.Contains(serving, k) }))
	for _, a := range actions {
		switch a.(type) {
		case Announce, Send:
			l.serve(serving)
		}
		l.carryOut(a)
	}
	l.serve(serving)
}

// changesOwner says whether routers may have won or lost addresses.
func changesOwner(a Action) bool {
	switch a.(type) {
	case Transition, Answer, RemoveAddresses:
		return true
	}
	return false
}

// serve tells the actuator who owns addresses, when that has changed.
func (l *loop) serve(routers []Key) {
	if !slices.Equal(routers, l.serving) {
		l.serving = slices.Clone(routers)
		l.check(Key{}, "routes", l.Actuator.Serve(routers))
	}
}
