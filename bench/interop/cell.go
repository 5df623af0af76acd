package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// The two speakers of a cell.
const (
	ours   = "harmony"
	theirs = "peer"
)

// The priorities: of the one that starts first and owns, of the other one, and
// what a change of priority makes of the first.
const (
	high   = 150
	low    = 100
	lower  = 50
	higher = 200 // of the other one that shall, or shall not, preempt
)

const (
	vrid     = 51
	password = "secret"

	messageOnly = "message-only checksum"
)

// cell is one line of the table.
type cell struct {
	Peer    string // "keepalived 2.2.7", "keepalived 2.3.4", "FRR 8.4.4"
	Version int
	Family  int
	Unicast bool
	Feature string // "", or one of features
	First   string // who starts first and owns: ours or theirs
	Event   string // what happens to it, one of events
}

// events are what happens in a cell.
var events = []string{"stop", "kill", "cut", "pause", "one-way", "priority", "preempt", "nopreempt"}

// features are what a cell has besides, each with the events worth it.
var features = []struct {
	name   string
	bases  []cell
	events []string
}{
	{"PASS", []cell{{Version: 2, Family: 4}, {Version: 2, Family: 4, Unicast: true}}, []string{"stop", "cut"}},
	{"AH", []cell{{Version: 2, Family: 4}, {Version: 2, Family: 4, Unicast: true}}, []string{"stop", "cut"}},
	{messageOnly, []cell{{Version: 3, Family: 4}, {Version: 3, Family: 4, Unicast: true}}, []string{"stop", "cut"}},
	{"sync group", []cell{{Version: 3, Family: 4}}, []string{"stop", "kill", "cut", "priority"}},
	{"VMAC", []cell{{Version: 3, Family: 4}, {Version: 3, Family: 6}, {Version: 2, Family: 4}}, []string{"stop", "cut", "priority"}},
}

func (c cell) String() string {
	cast := "multicast"
	if c.Unicast {
		cast = "unicast"
	}
	text := fmt.Sprintf("%s, v%d, IPv%d, %s", c.Peer, c.Version, c.Family, cast)
	if c.Feature != "" {
		text += ", " + c.Feature
	}
	return text + ", " + c.First + " first, " + c.Event
}

// cells are all that there are for a peer.
func cells(peer string) (out []cell) {
	add := func(c cell, events []string) {
		for _, first := range []string{ours, theirs} {
			for _, e := range events {
				c.Peer, c.First, c.Event = peer, first, e
				out = append(out, c)
			}
		}
	}
	frr := strings.HasPrefix(peer, "FRR")
	for _, c := range []cell{{Version: 3, Family: 4}, {Version: 3, Family: 6}, {Version: 2, Family: 4}} {
		if frr && c.Version == 2 {
			continue
		}
		add(c, events)
		if !frr { // which has no unicast
			c.Unicast = true
			add(c, events)
		}
	}
	for _, f := range features {
		for _, c := range f.bases {
			if !frr && !(f.name == messageOnly && peer < "keepalived 2.3") { // which has no such keyword
				c.Feature = f.name
				add(c, f.events)
			}
		}
	}
	return out
}

// interval is the shortest that the version has, or one of a tenth second.
func (c cell) interval() time.Duration {
	if c.Version == 2 {
		return time.Second
	}
	return 100 * time.Millisecond
}

// skew and down are the Skew_Time and the Master_Down_Interval of a backup
// (RFC 9568 §6.1; RFC 3768 §6.1).
func (c cell) skew() time.Duration {
	return (256 - low) * c.interval() / 256
}

func (c cell) down() time.Duration { return 3*c.interval() + c.skew() }

// addresses are the virtual ones: one, or in a sync group one of each family.
func (c cell) addresses() []netip.Prefix {
	v4, v6 := netip.MustParsePrefix("10.92.0.100/24"), netip.MustParsePrefix("fd92::100/64")
	switch {
	case c.Feature == "sync group":
		return []netip.Prefix{v4, v6}
	case c.Family == 4:
		return []netip.Prefix{v4}
	}
	return []netip.Prefix{v6}
}

// node is the address of a speaker (1, 2) or of the observer (3).
func (c cell) node(i int, family int) netip.Addr {
	if family == 4 {
		return netip.AddrFrom4([4]byte{10, 92, 0, byte(i)})
	}
	return netip.AddrFrom16([16]byte{0xfd, 0x92, 15: byte(i)})
}

func familyOf(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 4
	}
	return 6
}
