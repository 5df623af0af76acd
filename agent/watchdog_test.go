package agent

import (
	"testing"
	"time"
)

func TestLook(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name       string
		limit, now time.Duration
		late       bool
		again      time.Duration
	}{
		{"nothing at stake", 0, 5000 * ms, false, watchIdle},
		{"in time", 5100 * ms, 5000 * ms, false, 100 * ms},
		{"far off", 50 * time.Second, 5000 * ms, false, watchMax},
		{"at the limit", 5000 * ms, 5000 * ms, false, ms},
		{"late", 5000 * ms, 5000*ms + 1, true, watchLate},
	} {
		if late, again := look(tt.limit, tt.now); late != tt.late || again != tt.again {
			t.Errorf("%s: %v, %v; want %v, %v", tt.name, late, again, tt.late, tt.again)
		}
	}
}

func TestPulseIsSeenByTheOther(t *testing.T) {
	ours, err := newPulse()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.close()
	theirs, err := openPulse(ours.file)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.close()
	if limit := theirs.limit(); limit != 0 {
		t.Errorf("at first: %v", limit)
	}
	ours.beat(time.Now().Add(time.Minute))
	if left := theirs.limit() - monotonic(); left <= 0 || left > time.Minute {
		t.Errorf("a minute: %v", left)
	}
	ours.beat(time.Time{})
	if limit := theirs.limit(); limit != 0 {
		t.Errorf("nothing at stake: %v", limit)
	}
}
