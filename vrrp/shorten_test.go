package vrrp

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// report shortens a schedule that breaks a rule, prints it, and keeps it as a
// scenario.
func report(t *testing.T, seed uint64, wrong violation) {
	schedule := generate(seed)
	short := shorten(schedule, wrong.rule)
	text := scenario(seed, short)
	file := filepath.Join(os.TempDir(), fmt.Sprintf("harmony-schedule-%d.txt", seed))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Error(err)
	}
	t.Errorf("schedule %d breaks the rule %q: %s\nshortened from %d commands to %d:\n%s\nthe whole trace: go test ./vrrp -run TestSimulator -v -seed %d\nthis one again:  go test ./vrrp -run TestScenarios -scenarios %s\nto keep it:      put it into vrrp/testdata/scenarios, and -update once it is mended",
		seed, wrong.rule, wrong.text, len(schedule), len(short), text, seed, file)
}

// scenario is a schedule with its trace, as TestScenarios reads it.
func scenario(seed uint64, schedule []string) string {
	s := newScript(nil)
	for _, line := range schedule {
		s.out.WriteString("> " + line + "\n")
		s.all = true
		s.command(strings.Fields(line))
	}
	return fmt.Sprintf("# Schedule %d: %s: %s\n%s", seed, s.wrong.rule, s.wrong.text, s.out.String())
}

// shortenFor is how long it may take.
const shortenFor = 20 * time.Second

// shorten leaves out what a schedule does not need to break a rule: commands,
// in ever smaller parts, then time.
func shorten(schedule []string, rule string) []string {
	end := time.Now().Add(shortenFor)
	breaks := func(s []string) bool {
		if time.Now().After(end) {
			return false
		}
		wrong := playback(s, nil)
		return wrong != nil && wrong.rule == rule
	}
	for size := len(schedule) / 2; size > 0; {
		again := false
		for at := 0; at+size <= len(schedule); {
			if less := slices.Concat(schedule[:at], schedule[at+size:]); breaks(less) {
				schedule, again = less, true
			} else {
				at += size
			}
		}
		if size > 1 || !again {
			size /= 2
		}
	}
	for i, line := range schedule {
		for _, d := range []time.Duration{0, time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
			less := slices.Clone(schedule)
			less[i] = "skip " + d.String()
			if strings.HasPrefix(line, "skip ") && len(less[i]) < len(line) && breaks(less) {
				schedule = less
				break
			}
		}
	}
	return schedule
}
