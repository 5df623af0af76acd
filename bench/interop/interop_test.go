package main

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"harmony/bench/probe"
)

const slack = 100 * time.Millisecond

func TestVerdict(t *testing.T) {
	v3 := cell{Peer: "keepalived", Version: 3, Family: 4, First: ours}
	with := func(first, event string) cell {
		c := v3
		c.First, c.Event = first, event
		return c
	}
	vmac := with(ours, "stop")
	vmac.Feature = "VMAC"
	s := func(dark, both time.Duration) probe.Owning { return probe.Owning{Dark: dark, Overlap: both} }
	const ms = time.Millisecond
	for _, tt := range []struct {
		name string
		out  outcome
		want []string
	}{
		{"a hand-over", outcome{cell: with(ours, "stop"), During: s(90*ms, 190*ms)}, nil},
		{"a dark hand-over", outcome{cell: with(ours, "stop"), During: s(110*ms, 0)},
			[]string{"nobody answered for 110ms, the limit is 100ms"}},
		{"the peer's stop takes the skew time", outcome{cell: with(theirs, "stop"), During: s(150*ms, 0)}, nil},
		{"a cut takes the down interval", outcome{cell: with(ours, "cut"), During: s(460*ms, 0)}, nil},
		{"and no more", outcome{cell: with(ours, "cut"), During: s(462*ms, 0)},
			[]string{"nobody answered for 462ms, the limit is 460.9375ms"}},
		{"our corpse is silent", outcome{cell: with(ours, "kill"), During: s(0, 110*ms)},
			[]string{"two answered for 110ms, the limit is 100ms"}},
		{"the peer's is not", outcome{cell: with(theirs, "kill"), During: s(0, time.Minute), After: s(0, time.Second)}, nil},
		{"two that cannot hear each other", outcome{cell: with(ours, "one-way"), During: s(0, time.Minute)}, nil},
		{"but can again", outcome{cell: with(ours, "one-way"), After: s(0, 300*ms)},
			[]string{"afterwards two answered for 300ms, the limit is 200ms"}},
		{"a return is not dark", outcome{cell: with(ours, "cut"), After: s(150*ms, 0)},
			[]string{"afterwards nobody answered for 150ms, the limit is 100ms"}},
		{"one MAC for both", outcome{cell: vmac, During: s(0, time.Second)}, nil},
		{"complaints", outcome{cell: v3, Complaints: []string{"a", "b", "c", "d", "e"}}, []string{"a", "b", "c", "and 2 more"}},
		{"not as it shall go", outcome{cell: v3, Err: errors.New("no"), During: s(time.Hour, 0)}, []string{"no"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.out.verdict(slack)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCells(t *testing.T) {
	for peer, want := range map[string]int{
		"keepalived 2.2.7": 6*2*8 + 2*2*2 + 2*2*2 + 2*4 + 3*2*3,
		"keepalived 2.3.4": 6*2*8 + 3*2*2*2 + 2*4 + 3*2*3,
		"FRR 8.4.4":        2 * 2 * 8,
	} {
		seen := map[string]bool{}
		for _, c := range cells(peer) {
			seen[c.String()] = true
		}
		if len(seen) != want || len(cells(peer)) != want {
			t.Errorf("%s: want %d cells, got %d, %d different", peer, want, len(cells(peer)), len(seen))
		}
	}
}

func TestObjections(t *testing.T) {
	text := "fine\n  (bad vrrp cksum 1234!)\nReceived checksum\nInvalid TTL\n"
	if diff := cmp.Diff([]string{"(bad vrrp cksum 1234!)", "Invalid TTL"}, objections(text, "Received")); diff != "" {
		t.Error(diff)
	}
}
