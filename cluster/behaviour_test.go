package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"harmony/vrrp"
)

// TestBehaviour: what a router waits for and how it announces reaches the
// election.
func TestBehaviour(t *testing.T) {
	base := vrrp.Router{DownAdverts: 3, Announcing: vrrp.DefaultAnnouncing} // a default is the same in both places
	tests := []struct {
		name, spec string
		want       func(*vrrp.Router)
	}{
		{"defaults", "", func(*vrrp.Router) {}},
		{"waiting", "downTimerAdverts: 5, startupDelay: 1m, linkUpDelay: 30s", func(r *vrrp.Router) {
			r.DownAdverts, r.StartupDelay, r.LinkUpDelay = 5, time.Minute, 30*time.Second
		}},
		{"sync group", "syncGroup: edge", func(r *vrrp.Router) { r.Group = "edge" }},
		{"announcing", "announce: {repeat: 2, delay: 0s, refresh: 10s}", func(r *vrrp.Router) {
			r.Announcing = vrrp.Announcing{Repeat: 2, Refresh: 10 * time.Second}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, problems := Translate(snapshot(t, router("a", tt.spec)))
			if len(problems) > 0 || len(state.Routers) != 1 {
				t.Fatalf("routers %v, problems %v", state.Routers, problems)
			}
			r, want := state.Routers[0].Router, base
			tt.want(&want)
			got := vrrp.Router{DownAdverts: r.DownAdverts, StartupDelay: r.StartupDelay, LinkUpDelay: r.LinkUpDelay, Group: r.Group, Announcing: r.Announcing}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
