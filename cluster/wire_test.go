package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWire(t *testing.T) {
	tests := []struct {
		name, spec string
		want       []string // routers
	}{
		{"defaults", "", []string{"a/IPv4 version 3 pseudo-header every 1s"}},
		{"version 3", "version: 3, checksum: PseudoHeader", []string{"a/IPv4 version 3 pseudo-header every 1s"}},
		{"version 2", "version: 2, advertInterval: 255s", []string{"a/IPv4 version 2 pseudo-header every 4m15s"}},
		{"the other checksum", "checksum: MessageOnly, addresses: [10.0.0.100, 'fd00::1']", []string{
			"a/IPv4 version 3 message-only every 1s", "a/IPv6 version 3 pseudo-header every 1s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, problems := Translate(snapshot(t, router("a", tt.spec)))
			var got []string
			for _, r := range state.Routers {
				got = append(got, fmt.Sprintf("%s version %s %s every %s", r.Key, r.Version, r.Checksum, r.AdvertInterval))
				r.Router.Priority.Base = 1
				if err := r.Validate(); err != nil {
					t.Errorf("the election refuses it: %v", err)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("routers (-want +got)\n%s", diff)
			}
			if len(problems) > 0 {
				t.Error(problems)
			}
		})
	}
}

func TestWireRefused(t *testing.T) {
	tests := []struct{ name, spec, want string }{
		{"version", "version: 4", "Invalid spec.version: must be 2 or 3, not 4"},
		{"version 2 over IPv6", "version: 2, addresses: [10.0.0.100, 'fd00::1/64']", "Invalid spec.version: version 2 is for IPv4 only"},
		{"version 2 below a second", "version: 2, advertInterval: 100ms", "OutOfRange spec.advertInterval: must be from 1s to 4m15s"},
		{"version 2 in parts of seconds", "version: 2, advertInterval: 1500ms", "OutOfRange spec.advertInterval: must be a multiple of 1s"},
		{"version 2 too long", "version: 2, advertInterval: 256s", "OutOfRange spec.advertInterval"},
		{"checksum", "checksum: None", "Invalid spec.checksum: must be"},
		{"checksum of version 2", "checksum: MessageOnly, version: 2", "Invalid spec.checksum: belongs to version 3 over IPv4"},
		{"checksum over IPv6", "checksum: MessageOnly, addresses: ['fd00::1']", "Invalid spec.checksum: belongs to version 3 over IPv4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, problems := Translate(snapshot(t, router("a", tt.spec)))
			if len(problems) != 1 || !problems[0].Refused || len(state.Routers) > 0 {
				t.Fatalf("want one refusal, got %v, routers %v", problems, state.Routers)
			}
			if got := fmt.Sprintf("%s %s: %s", problems[0].Code, problems[0].Field, problems[0].Text); !strings.HasPrefix(got, tt.want) {
				t.Errorf("want %s, got %s", tt.want, got)
			}
		})
	}
}
