package agent

import (
	"strings"
	"testing"
	"time"
)

// What an operator has ordered, and what the watchdog has seen, stand in the
// table.
func TestTableShowsOrdersAndStalls(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status Status
		want   string
	}{
		{"drained", Status{Node: "a", Election: ElectionReport{Overrides: Overrides{allRouters: Yield}}}, "drained: last in line for every router, until `harmony undrain a`"},
		{"yield", Status{Election: ElectionReport{Overrides: Overrides{"edge": Yield}}}, "override: yield, until `harmony failover edge --undo`"},
		{"late", Status{Worker: WorkerReport{Watchdog: &WatchdogStatus{Stalls: 2, Longest: 1234567 * time.Microsecond}}}, "the elector was late 2 times and silenced so long, at most 1.235s"},
		{"defenceless", Status{Worker: WorkerReport{Watchdog: &WatchdogStatus{Stalls: 1, Problem: "no nft"}}}, "the elector was late 1 times, and could not be silenced: no nft"},
	} {
		var b strings.Builder
		if err := WriteTable(&b, tt.status, false, time.Now()); err != nil || !strings.Contains(b.String(), tt.want) {
			t.Errorf("%s: %v, want %q in\n%s", tt.name, err, tt.want, b.String())
		}
	}
}
