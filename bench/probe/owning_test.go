package probe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOwners(t *testing.T) {
	start := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	const ms = time.Millisecond
	// Each letter is a node that answers, one a millisecond; a row per node. A
	// row of dashes is when the observer was stalled.
	answers := func(rows ...string) (out []Result) {
		for _, row := range rows {
			for i, c := range row {
				switch c {
				case '-':
					out = append(out, Result{Kind: stalled, Start: start.Add(time.Duration(i) * ms), Took: ms})
				case '.':
				default:
					out = append(out, Result{Kind: "observe", By: string(c), Start: start.Add(time.Duration(i) * ms)})
				}
			}
		}
		return out
	}
	for _, tt := range []struct {
		name string
		rows []string
		want Owning
	}{
		{"nobody", nil, Owning{Dark: 10 * ms, By: map[string]int{}}},
		{"one", []string{"aaaaaaaaaa"}, Owning{By: map[string]int{"a": 10}}},
		{"a late answer is no silence", []string{"aaaa.aaaaa"}, Owning{By: map[string]int{"a": 9}}},
		{"one after the other", []string{"aaaaa.....", ".....bbbbb"}, Owning{By: map[string]int{"a": 5, "b": 5}}},
		{"dark between", []string{"aaa.......", ".......bbb"}, Owning{Dark: 5 * ms, By: map[string]int{"a": 3, "b": 3}}},
		{"both", []string{"aaaaaaa...", "...bbbbbbb"}, Owning{Overlap: 3 * ms, By: map[string]int{"a": 7, "b": 7}}},
		{"one within the other", []string{"aaaaaaaaaa", "...bbb...."}, Owning{Overlap: 2 * ms, By: map[string]int{"a": 10, "b": 3}}},
		{"not asked", []string{"aaa.....aa", "...-----.."}, Owning{By: map[string]int{"a": 5}}},
		{"not asked for a while", []string{"aaa.....aa", "....-----."}, Owning{By: map[string]int{"a": 5}}},
		{"asked in vain", []string{"aaa.....aa", "....--...."}, Owning{Dark: 4 * ms, By: map[string]int{"a": 5}}},
		{"dark at the end", []string{"aaaa......"}, Owning{Dark: 7 * ms, By: map[string]int{"a": 4}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Owners(answers(tt.rows...), start, start.Add(10*ms), 2*ms)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
