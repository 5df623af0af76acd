package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"harmony/check"
	"harmony/cluster"
	"harmony/vrrp"
)

func tracking(name string, trackers ...cluster.Tracker) cluster.Router {
	return cluster.Router{Router: vrrp.Router{Key: vrrp.Key{Name: name, Family: vrrp.IPv4}}, Trackers: trackers}
}

func tracker(name, script string) cluster.Tracker {
	return cluster.Tracker{Name: name, Check: check.Spec{Type: check.Script, Name: script, Eager: true}}
}

func TestMemory(t *testing.T) {
	a, b, edited := tracker("a", "x"), tracker("b", "y"), tracker("a", "z")
	downAt3 := check.Verdict{Known: true, Value: 3}
	before := memory{}.after([]cluster.Router{tracking("r", a, b)}, map[check.Spec]check.Verdict{a.Check: downAt3, b.Check: {Up: true}})
	if diff := cmp.Diff(memory{"r/a": {Known: true, Down: true, Value: 3}}, before); diff != "" {
		t.Errorf("what is known:\n%s", diff)
	}
	// Another worker knows nothing yet, and the tracker has been edited.
	routers := []cluster.Router{tracking("r", edited, b), tracking("other", tracker("a", "w"))}
	now := before.after(routers, nil)
	if diff := cmp.Diff(before, now); diff != "" {
		t.Errorf("in another life:\n%s", diff)
	}
	want := map[check.Spec]check.State{edited.Check: {Known: true, Down: true, Value: 3}}
	if diff := cmp.Diff(want, now.states(routers)); diff != "" {
		t.Errorf("states to begin with:\n%s", diff)
	}
	facts := now.facts(routers, map[check.Spec]check.Verdict{b.Check: {Up: true}})
	if diff := cmp.Diff(map[check.Spec]check.Verdict{edited.Check: downAt3, b.Check: {Up: true}}, facts); diff != "" {
		t.Errorf("facts:\n%s", diff)
	}
	up := check.Verdict{Known: true, Up: true}
	if got := now.facts(routers, map[check.Spec]check.Verdict{edited.Check: up}); got[edited.Check] != up {
		t.Errorf("what is remembered hides what is known: %+v", got)
	}
	if left := before.after([]cluster.Router{tracking("r", b)}, nil); len(left) > 0 {
		t.Errorf("what is not tracked any more is remembered: %v", left)
	}
}

func TestKnown(t *testing.T) {
	a, b := tracker("a", "x"), tracker("b", "y")
	routers := []cluster.Router{tracking("r", a), tracking("s", b)}
	verdicts := map[check.Spec]check.Verdict{a.Check: {Known: true}}
	if known(routers, verdicts) {
		t.Error("b has no result")
	}
	verdicts[b.Check] = check.Verdict{Known: true, Up: true}
	if !known(routers, verdicts) || !known(nil, nil) {
		t.Error("all is known")
	}
}

func TestActive(t *testing.T) {
	key := func(name string) vrrp.Key { return vrrp.Key{Name: name, Family: vrrp.IPv6} }
	var list []vrrp.RouterStatus
	want := map[vrrp.Key]bool{}
	for state, in := range map[vrrp.State]bool{vrrp.Stopped: false, vrrp.Fault: false, vrrp.Backup: true, vrrp.Master: true, vrrp.Leaving: true} {
		list = append(list, vrrp.RouterStatus{Router: vrrp.Router{Key: key(state.String())}, State: state})
		want[key(state.String())] = in
	}
	if diff := cmp.Diff(want, active(list)); diff != "" {
		t.Error(diff)
	}
}

func TestTrackerTable(t *testing.T) {
	now := time.Now()
	var s Status
	for _, tt := range []struct {
		verdict check.Verdict
		want    string
	}{
		{check.Verdict{Up: true}, "no result yet"},
		{check.Verdict{Known: true, Up: true}, "up"},
		{check.Verdict{Known: true, Up: true, LastError: "exit status 1"}, "up, last: exit status 1"},
		{check.Verdict{Known: true, LastError: "exit status 1"}, "down: exit status 1"},
		{check.Verdict{Known: true}, "down, last: well"},
		{check.Verdict{Known: true, Up: true, Value: -4}, "up at -4"},
	} {
		tt.verdict.Since = now.Add(-3 * time.Second)
		status := TrackerStatus{Router: "edge", Name: "web", Check: "nginx", Weight: -10, Verdict: tt.verdict}
		if got := status.state(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.verdict, got, tt.want)
		}
		s.Worker.Trackers = []TrackerStatus{status}
	}
	var b strings.Builder
	if err := WriteTable(&b, s, false, now); err != nil {
		t.Fatal(err)
	}
	if line := strings.Join(strings.Fields(b.String()), " "); !strings.Contains(line, "ROUTER TRACK CHECK EFFECT FOR STATE edge web nginx -10 if down 3s up at -4") {
		t.Errorf("table:\n%s", &b)
	}
}

func TestTrackerEffect(t *testing.T) {
	for want, tr := range map[string]TrackerStatus{
		"fault if down": {},
		"fault if up":   {Reverse: true},
		"+10 if up":     {Weight: 10},
		"-10 if up":     {Weight: 10, Reverse: true},
		"-5 if down":    {Weight: -5},
		"+5 if down":    {Weight: -5, Reverse: true},
	} {
		if got := tr.effect(); got != want {
			t.Errorf("%+v: %q, want %q", tr, got, want)
		}
	}
}

// TestTrackersOfBothFamiliesAreOne: a router of both families tracks the same
// things in both.
func TestTrackersOfBothFamiliesAreOne(t *testing.T) {
	v4, v6 := tracking("r", tracker("a", "x")), tracking("r", tracker("a", "x"))
	v6.Family = vrrp.IPv6
	if got := trackers([]cluster.Router{v4, v6, tracking("s", tracker("a", "x"))}, nil); len(got) != 2 || got[0].Router != "r" || got[1].Router != "s" {
		t.Errorf("%+v", got)
	}
}
