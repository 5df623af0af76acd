package vrrp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestTrackInterfaces plays the links and edits of tracked interfaces.
func TestTrackInterfaces(t *testing.T) {
	const eth = "eth0"
	base := Router{
		Key: Key{Name: "web", Family: IPv4}, VRID: 1, Interface: eth, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.100/24")},
		Priority: Priority{Base: 100}, AdvertInterval: time.Second,
	}
	type step struct {
		link  string // "eth1 up"
		track []TrackInterface
		after time.Duration
		want  string // state and effective priority
	}
	weigh := func(name string, weight int) TrackInterface { return TrackInterface{Interface: name, Weight: weight} }
	slow := func(name string, weight int) TrackInterface {
		return TrackInterface{Interface: name, Weight: weight, UpDelay: 10 * time.Second, DownDelay: 10 * time.Second}
	}
	reverse := func(t TrackInterface) TrackInterface { t.Reverse = true; return t }
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"reversed weights", []step{
			{track: []TrackInterface{reverse(weigh("eth1", 10)), reverse(weigh("eth2", -20))}, want: "BACKUP 120"},
			{link: "eth1 up", want: "BACKUP 110"},
			{link: "eth2 up", want: "BACKUP 90"},
		}},
		{"reversed without weight", []step{
			{track: []TrackInterface{reverse(weigh("eth1", 0))}, want: "BACKUP 100"},
			{link: "eth1 up", want: "FAULT 100 track eth1: up"},
			{link: "eth1 down", want: "BACKUP 100"},
		}},
		{"another interface in its place counts at once", []step{
			{link: "eth1 up"},
			{track: []TrackInterface{slow("eth2", 0)}, want: "FAULT 100 track eth2: absent or down"},
			{track: []TrackInterface{slow("eth1", 0)}, want: "BACKUP 100"},
			{track: []TrackInterface{slow("eth1", -10), slow("eth2", -20)}, want: "BACKUP 80"},
		}},
		{"an edit changes nothing of what was known", []step{
			{link: "eth1 up"},
			{track: []TrackInterface{slow("eth1", -10)}, want: "BACKUP 100"},
			{link: "eth1 down", after: time.Second, want: "BACKUP 100"},
			{track: []TrackInterface{weigh("eth2", 5), slow("eth1", -10)}, want: "BACKUP 100"},
			{after: 10 * time.Second, want: "MASTER 90"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, now := NewNode(), time.Unix(1000, 0)
			n.Step(Link{Interface: eth, Up: true, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}, now)
			for i, s := range tt.steps {
				if name, state, ok := strings.Cut(s.link, " "); ok {
					n.Step(Link{Interface: name, Up: state == "up"}, now)
				}
				if s.track != nil {
					r := base
					r.Track = s.track
					admitted, err := Admit(nil, []Router{r})
					if err != nil {
						t.Fatal(err)
					}
					n.Step(Configure{Routers: admitted}, now)
				}
				for end := now.Add(s.after); now.Before(end); {
					now = now.Add(100 * time.Millisecond)
					n.Step(Tick{}, now)
				}
				if s.want == "" {
					continue
				}
				st := n.Status()[0]
				got := fmt.Sprint(st.State, " ", st.Router.Priority.Effective())
				if st.State == Fault {
					got += " " + strings.TrimPrefix(st.Why, "FAULT: ")
				}
				if got != s.want {
					t.Errorf("step %d: %s, want %s", i, got, s.want)
				}
			}
		})
	}
}
