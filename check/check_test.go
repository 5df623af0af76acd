package check_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"harmony/check"
)

// spec returns a valid check.
func spec(rise, fall int) check.Spec {
	return check.Spec{
		Target:   netip.MustParseAddrPort("192.0.2.1:80"),
		Interval: time.Second,
		Timeout:  500 * time.Millisecond,
		Rise:     rise,
		Fall:     fall,
	}
}

// verdicts plays results ("+" success, "-" failure) and returns the verdict
// after each ("U" up, "D" down).
func verdicts(s check.Spec, results string) string {
	var state check.State
	var b strings.Builder
	for _, r := range results {
		state = state.Fold(s, r == '+')
		if state.Down {
			b.WriteByte('D')
		} else {
			b.WriteByte('U')
		}
	}
	return b.String()
}

func TestFold(t *testing.T) {
	for _, tt := range []struct {
		name       string
		rise, fall int
		results    string
		want       string
	}{
		{"first failure counts", 1, 1, "-", "D"},
		{"up from the start", 2, 2, "+", "U"},
		{"dead from the start", 2, 3, "---", "UUD"},
		{"falls after fall failures", 1, 3, "+---", "UUUD"},
		{"a success breaks the streak", 1, 3, "--+--+---", "UUUUUUUUD"},
		{"rises after rise successes", 2, 1, "-++", "DDU"},
		{"a failure breaks the rise", 3, 1, "-++-++-+++", "DDDDDDDDDU"},
		{"rise and fall are not mixed up", 3, 2, "--+++", "UDDDU"},
		{"the streak starts afresh after a change", 2, 2, "--++--", "UDDUUD"},
		{"flapping faster than the limits changes nothing", 2, 2, "-+-+-+-+", "UUUUUUUU"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := verdicts(spec(tt.rise, tt.fall), tt.results); got != tt.want {
				t.Errorf("results %s: verdicts %s, want %s", tt.results, got, tt.want)
			}
		})
	}
}

// dumb is the definition of the verdict: look back at all results for the last
// run of Fall failures or Rise successes, whichever ended later.
func dumb(rise, fall int, results string) string {
	var b strings.Builder
	for i := range results {
		verdict := byte('U')
		for end := 1; end <= i+1; end++ {
			switch {
			case strings.HasSuffix(results[:end], strings.Repeat("-", fall)):
				verdict = 'D'
			case strings.HasSuffix(results[:end], strings.Repeat("+", rise)):
				verdict = 'U'
			}
		}
		b.WriteByte(verdict)
	}
	return b.String()
}

func FuzzFold(f *testing.F) {
	f.Add(uint8(1), uint8(1), []byte{0, 1, 0, 1})
	f.Add(uint8(2), uint8(3), []byte{1, 1, 1, 0, 0, 1, 1, 1})
	f.Add(uint8(3), uint8(2), []byte{0, 0, 1, 1, 0, 1, 1, 1, 0, 0})
	f.Fuzz(func(t *testing.T, rise, fall uint8, bits []byte) {
		r, l := int(rise%5)+1, int(fall%5)+1
		var b strings.Builder
		for _, bit := range bits[:min(len(bits), 100)] {
			b.WriteByte("-+"[bit&1])
		}
		results := b.String()
		if got, want := verdicts(spec(r, l), results), dumb(r, l, results); got != want {
			t.Errorf("rise %d fall %d results %s:\n got %s\nwant %s", r, l, results, got, want)
		}
	})
}

func TestValidate(t *testing.T) {
	if err := spec(1, 1).Validate(); err != nil {
		t.Errorf("valid spec: %v", err)
	}
	for name, spoil := range map[string]func(*check.Spec){
		"no target":   func(s *check.Spec) { s.Target = netip.AddrPort{} },
		"no port":     func(s *check.Spec) { s.Target = netip.AddrPortFrom(s.Target.Addr(), 0) },
		"no interval": func(s *check.Spec) { s.Interval = 0 },
		"no timeout":  func(s *check.Spec) { s.Timeout = 0 },
		"no rise":     func(s *check.Spec) { s.Rise = 0 },
		"no fall":     func(s *check.Spec) { s.Fall = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(1, 1)
			spoil(&s)
			if s.Validate() == nil {
				t.Errorf("%+v was accepted", s)
			}
		})
	}
}
