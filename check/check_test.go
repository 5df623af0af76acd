package check_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
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
		state = state.Fold(s, check.Result{OK: r == '+'})
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

// TestFoldEager: the first result counts at once, the others as usual, and a
// restored state has had its first.
func TestFoldEager(t *testing.T) {
	for _, tt := range []struct {
		name  string
		state check.State
		plays string
		want  string
	}{
		{"dead from the start", check.State{}, "-", "D"},
		{"well from the start", check.State{}, "+--", "UUD"},
		{"up again as usual", check.State{}, "-++", "DDU"},
		{"restored up", check.State{Known: true}, "--", "UD"},
		{"restored down", check.State{Known: true, Down: true}, "++", "DU"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, got := spec(2, 2), ""
			s.Eager = true
			for _, r := range tt.plays {
				tt.state = tt.state.Fold(s, check.Result{OK: r == '+'})
				got += map[bool]string{true: "D", false: "U"}[tt.state.Down]
				if !tt.state.Known {
					t.Error("not known after a result")
				}
			}
			if got != tt.want {
				t.Errorf("results %s: %s, want %s", tt.plays, got, tt.want)
			}
		})
	}
}

// TestFoldValue: the value is that of the last good result.
func TestFoldValue(t *testing.T) {
	s := spec(1, 1)
	var state check.State
	for i, r := range []struct {
		check.Result
		want int
	}{
		{check.Result{OK: true, Value: 7}, 7},
		{check.Result{Value: 9}, 7},
		{check.Result{}, 7},
		{check.Result{OK: true, Value: -3}, -3},
		{check.Result{OK: true}, 0},
	} {
		if state = state.Fold(s, r.Result); state.Value != r.want {
			t.Errorf("after result %d: %d, want %d", i, state.Value, r.want)
		}
	}
}

func TestValidate(t *testing.T) {
	target := netip.MustParseAddrPort("[::1]:80")
	base := check.Spec{Interval: 1, Timeout: 1, Rise: 1, Fall: 1}
	request := check.Request{Path: "/", MinStatus: 200, MaxStatus: 399}
	with := func(change func(*check.Spec)) check.Spec {
		s := base
		change(&s)
		return s
	}
	for _, tt := range []struct {
		name string
		spec check.Spec
		want string // its String; "" for invalid
	}{
		{"TCP", with(func(s *check.Spec) { s.Target = target }), "tcp [::1]:80"},
		{"no target", base, ""},
		{"no port", with(func(s *check.Spec) { s.Target = netip.AddrPortFrom(target.Addr(), 0) }), ""},
		{"no interval", with(func(s *check.Spec) { s.Target, s.Interval = target, 0 }), ""},
		{"no timeout", with(func(s *check.Spec) { s.Target, s.Timeout = target, 0 }), ""},
		{"no rise", with(func(s *check.Spec) { s.Target, s.Rise = target, 0 }), ""},
		{"no fall", with(func(s *check.Spec) { s.Target, s.Fall = target, 0 }), ""},
		{"HTTP", with(func(s *check.Spec) { s.Type, s.Target, s.HTTP = check.HTTP, target, request }), "http://[::1]:80/"},
		{"HTTPS", with(func(s *check.Spec) { s.Type, s.Target, s.HTTP, s.TLS.On = check.HTTP, target, request, true }), "https://[::1]:80/"},
		{"HTTP without path", with(func(s *check.Spec) {
			s.Type, s.Target, s.HTTP.MinStatus, s.HTTP.MaxStatus = check.HTTP, target, 200, 299
		}), ""},
		{"HTTP with statuses reversed", with(func(s *check.Spec) {
			s.Type, s.Target, s.HTTP = check.HTTP, target, check.Request{Path: "/", MinStatus: 300, MaxStatus: 200}
		}), ""},
		{"HTTP without statuses", with(func(s *check.Spec) { s.Type, s.Target, s.HTTP.Path = check.HTTP, target, "/" }), ""},
		{"gRPC", with(func(s *check.Spec) { s.Type, s.Target = check.GRPC, target }), "grpc [::1]:80"},
		{"gRPC service", with(func(s *check.Spec) { s.Type, s.Target, s.Name = check.GRPC, target, "shop" }), "grpc [::1]:80 shop"},
		{"gRPC without target", with(func(s *check.Spec) { s.Type = check.GRPC }), ""},
		{"script", with(func(s *check.Spec) { s.Type, s.Name = check.Script, "chk" }), "script chk"},
		{"script by path", with(func(s *check.Spec) { s.Type, s.Name = check.Script, "/bin/chk" }), ""},
		{"file", with(func(s *check.Spec) { s.Type, s.Name = check.File, "/run/x" }), "file /run/x"},
		{"relative file", with(func(s *check.Spec) { s.Type, s.Name = check.Number, "x" }), ""},
		{"process", with(func(s *check.Spec) { s.Type, s.Name = check.Process, "haproxy" }), "process haproxy"},
		{"process without name", with(func(s *check.Spec) { s.Type = check.Process }), ""},
		{"pid file", with(func(s *check.Spec) { s.Type, s.Name = check.PIDFile, "/run/x.pid" }), "pid-file /run/x.pid"},
		{"NGINX", with(func(s *check.Spec) { s.Type = check.NGINX }), "nginx"},
		{"unknown type", with(func(s *check.Spec) { s.Type, s.Target = 99, target }), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.spec.Validate()
			if (err == nil) != (tt.want != "") {
				t.Fatalf("%+v: %v", tt.spec, err)
			}
			if err == nil && tt.spec.String() != tt.want {
				t.Errorf("called %q, want %q", tt.spec, tt.want)
			}
		})
	}
}

// TestCompare: each field makes another check, and JSON keeps all of them.
func TestCompare(t *testing.T) {
	var full check.Spec
	v := reflect.ValueOf(&full).Elem()
	seen := []check.Spec{full}
	var fill func(reflect.Value)
	fill = func(v reflect.Value) {
		switch {
		case v.Type() == reflect.TypeFor[netip.AddrPort]():
			v.Set(reflect.ValueOf(netip.MustParseAddrPort("192.0.2.1:80")))
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i))
			}
			return
		case v.Kind() == reflect.String:
			v.SetString("x")
		case v.Kind() == reflect.Bool:
			v.SetBool(true)
		case v.CanUint():
			v.SetUint(1)
		default:
			v.SetInt(1)
		}
		seen = append(seen, full)
	}
	fill(v)
	for i, a := range seen {
		for j, b := range seen {
			if got := a.Compare(b); got != cmp.Compare(i, j) {
				t.Errorf("%+v with %+v: %d", a, b, got)
			}
		}
		text, err := json.Marshal(a)
		var back check.Spec
		if err := errors.Join(err, json.Unmarshal(text, &back)); err != nil || back != a {
			t.Errorf("%s became %+v: %v", text, back, err)
		}
	}
}
