package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"harmony/bench/probe"
)

// outcome is what was seen in a cell.
type outcome struct {
	cell
	// What the observer saw from the event until it was undone, and then.
	During, After probe.Owning
	Complaints    []string // of the peer, of tcpdump and of ours
	Err           error    // the cell did not go as it shall
	Logs          string   // of all, if something is wrong
}

// run plays a cell.
func (o options) run(ctx context.Context, c cell, index int) outcome {
	out := outcome{cell: c}
	s, err := o.open(ctx, c, index)
	if err != nil {
		out.Err = err
		return out
	}
	out.Err = o.act(ctx, s, &out)
	for _, who := range []string{ours, theirs} {
		if sp := s.cast[who]; sp != nil {
			for _, text := range sp.complaints(ctx) {
				out.Complaints = append(out.Complaints, who+": "+text)
			}
			out.Logs += fmt.Sprintf("── %s\n%s", who, sp.log())
		}
	}
	for _, text := range s.wireObjections() {
		out.Complaints = append(out.Complaints, "tcpdump: "+text)
	}
	out.Logs += "── tcpdump\n" + s.wire.String()
	out.Err = errors.Join(out.Err, s.close())
	return out
}

// wireObjections is what tcpdump finds wrong. It knows only one of the two
// checksums that the RFCs can be read to mean.
func (s *stage) wireObjections() []string {
	if s.Feature == messageOnly {
		return objections(s.wire.String(), "bad vrrp cksum")
	}
	return objections(s.wire.String())
}

// act is the play: first owns, something happens to it, it is undone.
func (o options) act(ctx context.Context, s *stage, out *outcome) error {
	first, second := s.First, other(s.First)
	joins := s.Event == "preempt" || s.Event == "nopreempt"
	priority := low
	if joins {
		priority = higher
	}
	err := errors.Join(o.play(s, first, high, false), o.play(s, second, priority, s.Event == "nopreempt"))
	if err != nil {
		return err
	}
	if err := errors.Join(s.look(ctx), s.cast[first].start(ctx)); err != nil {
		return err
	}
	if err := s.owns(ctx, first, "at first"); err != nil {
		return err
	}
	if !joins {
		if err := s.join(ctx, second); err != nil {
			return err
		}
	}
	if err := pause(ctx, holding+rand.N(s.interval())); err != nil {
		return err
	}
	struck := time.Now()
	undone, err := s.happen(ctx, first, second)
	if err != nil {
		return err
	}
	if err := pause(ctx, max(holding, 2*s.interval())); err != nil { // it stays so
		return err
	}
	end := time.Now()
	out.During, out.After = s.seen(struck, undone), s.seen(undone, end)
	if last := s.seen(end.Add(-holding+2*askGap), end); last.Overlap > 0 || len(last.By) == 0 {
		return errors.New("in the end there is not one owner")
	}
	return nil
}

// join starts the second speaker, which is to stay in the background.
func (s *stage) join(ctx context.Context, who string) error {
	if err := s.cast[who].start(ctx); err != nil {
		return err
	}
	if err := poll(ctx, patience, who+" listens", func() bool { return s.cast[who].ready(ctx) }); err != nil {
		return err
	}
	if err := pause(ctx, s.down()+holding); err != nil { // long enough to take over, did it hear nothing
		return err
	}
	return s.owns(ctx, other(who), "when the other has joined")
}

// happen lets the event come and pass. undone is when it began to pass.
func (s *stage) happen(ctx context.Context, first, second string) (undone time.Time, err error) {
	a, b := s.cast[first], s.cast[second]
	steps := map[string]struct{ strike, undo func() error }{
		"stop":      {a.stop, func() error { return a.start(ctx) }},
		"kill":      {a.kill, func() error { return a.start(ctx) }},
		"cut":       {s.nodes[first].Cut, s.nodes[first].Heal},
		"pause":     {a.pause, a.resume},
		"one-way":   {func() error { return s.deafen(ctx, second, first, true) }, func() error { return s.deafen(ctx, second, first, false) }},
		"priority":  {func() error { return a.setPriority(lower) }, func() error { return a.setPriority(high) }},
		"preempt":   {func() error { return b.start(ctx) }, b.stop},
		"nopreempt": {func() error { return b.start(ctx) }, a.stop},
	}
	step, known := steps[s.Event]
	if !known {
		return undone, fmt.Errorf("unknown event %q", s.Event)
	}
	if err := step.strike(); err != nil {
		return undone, err
	}
	if err := s.takes(ctx, first, second); err != nil {
		return undone, err
	}
	if err := pause(ctx, max(holding, 2*s.interval())); err != nil {
		return undone, err
	}
	undone = time.Now()
	if err := step.undo(); err != nil {
		return undone, err
	}
	owner := first
	if s.Event == "nopreempt" {
		owner = second
	}
	return undone, s.owns(ctx, owner, "after it has passed")
}

// takes waits for what an event shall have done.
func (s *stage) takes(ctx context.Context, first, second string) error {
	switch {
	case s.Event == "nopreempt": // nothing, though it could
		if err := poll(ctx, patience, second+" listens", func() bool { return s.cast[second].ready(ctx) }); err != nil {
			return err
		}
		if err := pause(ctx, 2*s.down()); err != nil {
			return err
		}
		return s.owns(ctx, first, "though the other has the higher priority")
	case s.lingers(first): // two answer, as long as it lasts
		return poll(ctx, patience, second+" answers too", func() bool { return s.answers(second) })
	}
	return s.owns(ctx, second, "after "+s.Event)
}

// lingers says whether the first goes on to answer after the event: it is not
// to know that it has been replaced, or is dead and its kernel is not.
func (s *stage) lingers(first string) bool {
	return s.Event == "one-way" || first == theirs && (s.Event == "kill" || s.Event == "pause")
}

// answers says whether a speaker, maybe beside the other, has lately answered.
func (s *stage) answers(who string) bool {
	to := time.Now()
	for _, e := range s.eyes {
		if s.named(probe.Owners(e.Results(), to.Add(-6*askGap), to, askGap).By, who) == 0 {
			return false
		}
	}
	return true
}

// deafen makes a node lose all that comes from the other one, before its IP
// sees it.
func (s *stage) deafen(ctx context.Context, who, from string, on bool) error {
	if !on {
		_, err := s.nodes[who].Output(ctx, "nft", "delete", "table", "netdev", "lab")
		return err
	}
	rules := fmt.Sprintf("table netdev lab { chain in { type filter hook ingress device \"eth0\" priority 0; ether saddr { %v, 00:00:5e:00:01:%02x, 00:00:5e:00:02:%02x } drop; }; }",
		s.hardware(from), vrid, vrid)
	_, err := s.nodes[who].Output(ctx, "nft", strings.Fields(rules)...)
	return err
}

// seen is what the observers saw, the worst of all addresses.
func (s *stage) seen(from, to time.Time) (worst probe.Owning) {
	worst.By = map[string]int{}
	for _, e := range s.eyes {
		o := probe.Owners(e.Results(), from, to, askGap)
		worst.Dark, worst.Overlap = max(worst.Dark, o.Dark), max(worst.Overlap, o.Overlap)
		for mac, n := range o.By {
			worst.By[mac] += n
		}
	}
	return worst
}
