package probe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSummarise(t *testing.T) {
	start := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	// x is lost, a letter is answered by that backend; one a millisecond.
	results := func(s string) (out []Result) {
		for i, c := range s {
			r := Result{Kind: "udp", Start: start.Add(time.Duration(i) * time.Millisecond)}
			if c == 'x' {
				r.Err = "no answer"
			} else {
				r.By = string(c)
			}
			out = append([]Result{r}, out...) // newest first: order must not matter
		}
		return out
	}
	for _, tt := range []struct {
		name, results string
		want          Window
	}{
		{"none", "", Window{}},
		{"all answered", "aba", Window{Sent: 3, By: map[string]int{"a": 2, "b": 1}}},
		{"one lost", "axa", Window{Sent: 3, Lost: 1, Dark: time.Millisecond, By: map[string]int{"a": 2}}},
		{"longest run counts", "axaxxxbx", Window{Sent: 8, Lost: 5, Dark: 3 * time.Millisecond, By: map[string]int{"a": 2, "b": 1}}},
		{"dark to the end", "axx", Window{Sent: 3, Lost: 2, Dark: 9 * time.Millisecond, By: map[string]int{"a": 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Summarise(results(tt.results), "udp", start, start.Add(10*time.Millisecond))
			if got.Errs["no answer"] != tt.want.Lost {
				t.Errorf("losses by reason: got %v", got.Errs)
			}
			got.Errs = nil
			if tt.want.By == nil {
				tt.want.By = map[string]int{}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
