package vip

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func at(iface, prefix string) place { return place{iface, netip.MustParsePrefix(prefix)} }

func places(list ...place) map[place]bool {
	out := make(map[place]bool)
	for _, p := range list {
		out[p] = true
	}
	return out
}

// The life of one address, told as what happens to it and whose it is then.
func TestLedger(t *testing.T) {
	p, other := at("eth0", "192.0.2.1/24"), at("eth0", "192.0.2.2/24")
	none, there := places(other), places(p, other)
	prepare := func(wanted, present map[place]bool) func(*ledger) bool {
		return func(l *ledger) bool { return slices.Contains(l.prepare(wanted, present), p) }
	}
	added := func(existed bool) func(*ledger) bool {
		return func(l *ledger) bool { return l.added(p, existed) }
	}
	removed := func(l *ledger) bool { return l.removed(p) }
	crash := func(l *ledger) bool { *l = l.journal("boot").ledger(); return false }

	type step struct {
		do     func(*ledger) bool
		says   bool  // what do returns
		claims claim // 0: not known
	}
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"ours, added, removed, added", []step{
			{prepare(places(p), none), false, absent},
			{added(false), false, placed}, {added(true), false, placed},
			{removed, false, absent}, {added(false), false, placed},
		}},
		{"existed before us", []step{
			{prepare(places(p), there), true, foreign},
			{added(true), false, foreign}, {prepare(places(p), there), false, foreign},
			{crash, false, foreign}, {prepare(places(p), there), false, foreign},
		}},
		{"others put it while we were backup", []step{
			{prepare(places(p), none), false, absent},
			{added(true), true, foreign}, {crash, false, foreign},
		}},
		{"its owner removes a foreign one before a reload", []step{
			{prepare(places(p), there), true, foreign},
			{prepare(places(p), none), false, absent},
		}},
		{"its owner removes a foreign one before we add", []step{
			{prepare(places(p), there), true, foreign}, {added(false), true, placed},
		}},
		{"crash as backup or master: we may have put it", []step{
			{prepare(places(p), none), false, absent}, {crash, false, placed},
			{prepare(places(p), there), false, placed}, {added(true), false, placed},
		}},
		{"not wanted any more, still there: ours until removed", []step{
			{prepare(places(p), none), false, absent}, {added(false), false, placed},
			{prepare(places(other), there), false, placed},
			{removed, true, 0},
		}},
		{"not wanted any more, not there", []step{
			{prepare(places(p), none), false, absent}, {added(false), false, placed},
			{prepare(places(other), none), false, 0},
		}},
		{"not wanted any more, never placed", []step{
			{prepare(places(p), none), false, absent}, {prepare(places(other), there), false, 0},
		}},
		{"foreign and not wanted any more", []step{
			{prepare(places(p), there), true, foreign}, {prepare(nil, there), false, 0},
		}},
		{"never prepared", []step{{added(false), true, placed}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := ledger{claims: map[place]claim{other: foreign}}
			for i, s := range tc.steps {
				if says := s.do(&l); says != s.says || l.claims[p] != s.claims {
					t.Fatalf("step %d: got %v and claim %d, want %v and %d", i, says, l.claims[p], s.says, s.claims)
				}
			}
		})
	}
}

func TestLedgerFenced(t *testing.T) {
	l := ledger{claims: map[place]claim{
		at("eth0", "192.0.2.2/24"):   placed,
		at("eth0", "192.0.2.1/24"):   absent,
		at("eth1", "192.0.2.1/24"):   absent,
		at("eth0", "192.0.2.3/24"):   foreign,
		at("eth0", "2001:db8::1/64"): absent,
		at("eth1", "2001:db8::1/64"): foreign, // must go on answering
	}}
	want := []string{"192.0.2.1", "192.0.2.2"}
	var got []string
	for _, a := range l.fenced() {
		got = append(got, a.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fenced (-want +got):\n%s", diff)
	}
}
