package cluster

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/ipvs"
)

// TestBalancing: what an L4Service says reaches the kernel's table, in
// ipvsadm's words.
func TestBalancing(t *testing.T) {
	mark := func(more string) string {
		return object("L4Service", "a", completed(more, "realServers: [{address: 10.0.0.1}]"))
	}
	tests := []struct{ name, text, want string }{
		{"flags", service("a", "scheduler: mh, schedulerFlags: [Port, Fallback]"),
			"-A -t 192.0.2.1:80 -s mh -b mh-fallback,mh-port\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1\n"},
		{"one packet", service("a", "protocol: UDP, onePacket: true"), "-A -u 192.0.2.1:80 -s wlc -o\n-a -u 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1\n"},
		{"networks persist", service("a", "persistence: 60s, persistenceNetmask: 24"),
			"-A -t 192.0.2.1:80 -s wlc -p 60 -M 255.255.255.0\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1\n"},
		{"the whole address persists", service("a", "persistence: 60s, persistenceNetmask: 32"),
			"-A -t 192.0.2.1:80 -s wlc -p 60\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1\n"},
		{"calls persist", service("a", "protocol: UDP, persistence: 60s, persistenceEngine: sip"),
			"-A -u 192.0.2.1:80 -s wlc -p 60 --pe sip\n-a -u 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1\n"},
		{"thresholds", service("a", "realServers: [{address: 10.0.0.1, upperThreshold: 9, lowerThreshold: 5}]"),
			"-A -t 192.0.2.1:80 -s wlc\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1 -x 9 -y 5\n"},
		{"tunnel", service("a", "forwarding: TUN"), "-A -t 192.0.2.1:80 -s wlc\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -i -w 1 --tun-type ipip\n"},
		{"tunnel in UDP", service("a", "forwarding: TUN, tunnel: {type: GUE, port: 6080, checksum: Remote}"),
			"-A -t 192.0.2.1:80 -s wlc\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum\n"},
		{"tunnel to the other family", service("a", "forwarding: TUN, tunnel: {type: GRE, checksum: Full}, realServers: [{address: 'fd00::1'}]"),
			"-A -t 192.0.2.1:80 -s wlc\n-a -t 192.0.2.1:80 -r [fd00::1]:80 -i -w 1 --tun-type gre --tun-csum\n"},
		{"mark", mark("fwmark: {mark: 7}"), "-A -f 7 -s wlc\n-a -f 7 -r 10.0.0.1:0 -m -w 1\n"},
		{"mark of IPv6", mark("fwmark: {mark: 7, family: IPv6}, forwarding: DR, check: {type: TCP, port: 80}, realServers: [{address: 'fd00::1'}]"),
			"-A -f 7 -6 -s wlc\n-a -f 7 -6 -r [fd00::1]:0 -g -w 1\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.ReplaceAll(strings.ReplaceAll(tt.text, "address: 10.0.0.100", "address: 192.0.2.1"), "port: 7000", "port: 80")
			state, problems := Translate(snapshot(t, text))
			for _, p := range problems {
				if p.Refused {
					t.Fatalf("refused: %v", p)
				}
			}
			plan, _ := Plan(state, Facts{Node: "edge-1"})
			var got strings.Builder
			if err := ipvs.Save(&got, plan.Services); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			for _, s := range plan.Services {
				if err := s.Validate(); err != nil {
					t.Errorf("the actuator refuses it: %v", err)
				}
			}
			for _, c := range plan.Checks {
				if err := c.Validate(); err != nil {
					t.Errorf("the runner refuses %v: %v", c, err)
				}
			}
		})
	}
}
