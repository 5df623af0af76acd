package vrrp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// coverage counts what schedules have done and what has come of it.
type coverage struct {
	moves  map[move]int
	faults map[string]int // commands, and what they led to
	steps  int
}

func newCoverage() *coverage { return &coverage{moves: map[move]int{}, faults: map[string]int{}} }

func (c *coverage) merge(d *coverage) {
	for k, n := range d.moves {
		c.moves[k] += n
	}
	for k, n := range d.faults {
		c.faults[k] += n
	}
	c.steps += d.steps
}

// count counts something that has happened.
func (w *world) count(what string) {
	if w.seen != nil {
		w.seen.faults[what]++
	}
}

// String lists what was covered, how often.
func (c *coverage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d steps\ntransitions:\n", c.steps)
	sorted := slices.SortedFunc(maps.Keys(c.moves), func(a, b move) int { return strings.Compare(a.String(), b.String()) })
	for _, m := range sorted {
		fmt.Fprintf(&b, "%12d  %v\n", c.moves[m], m)
	}
	fmt.Fprintf(&b, "faults and commands:\n")
	for _, f := range slices.Sorted(maps.Keys(c.faults)) {
		fmt.Fprintf(&b, "%12d  %s\n", c.faults[f], f)
	}
	return b.String()
}

// missing lists what should have been covered and was not.
func (c *coverage) missing() (list []string) {
	for m := range moves {
		if c.moves[m] == 0 {
			list = append(list, m.String())
		}
	}
	for _, f := range faultKinds {
		if c.faults[f] == 0 {
			list = append(list, f)
		}
	}
	slices.Sort(list)
	return list
}

// faultKinds are the commands of random schedules, and what else goes wrong.
var faultKinds = []string{
	"path blocked", "path loss", "path dup", "path slow", "partition", "join", "jump",
	"cut", "heal", "deafen", "hear", "mute", "unmute", "stall", "resume", "pause", "crash", "restart",
	"stop", "kill", "leave", "inherit", "gossip", "noise", "handover", "want", "unwant", "apply", "link", "addresses", "take",
	"lost", "duplicated", "overtaken", "queue overflow", "silenced by the watchdog",
	"announcement missed", "client asks", "client repaired late",
}
