package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"harmony/check"
	"harmony/source"
	"harmony/vrrp"
)

// scripted is a Settings object in a file that declares the script chk.
func scripted() string {
	return object("Settings", "default", "scripts: [{name: chk, command: [/usr/bin/true]}]")
}

func TestTrackers(t *testing.T) {
	track := func(list string) string { return router("a", "track: ["+list+"]") }
	const at = "VirtualRouter a spec.track[0]"
	for _, tt := range []struct {
		name     string
		text     string
		want     []string
		problems []string
	}{
		{"defaults", track("{name: web, nginx: {}}"), []string{"web 0: nginx, 1s 1s 2 3"}, nil},
		{"every field", track("{name: web, weight: -10, interval: 2s, timeout: 500ms, rise: 1, fall: 4, nginx: {}}"), []string{"web -10: nginx, 2s 500ms 1 4"}, nil},
		{"timeout follows the interval", track("{name: web, interval: 5s, nginx: {}}"), []string{"web 0: nginx, 5s 5s 2 3"}, nil},
		{"script", track("{name: web, script: chk}"), []string{"web 0: script chk, 1s 1s 2 3"}, nil},
		{"script that is not declared", track("{name: web, script: other}, {name: b, nginx: {}}"), []string{"b 0: nginx, 1s 1s 2 3"},
			[]string{"error NotFound " + at + `.script: no Settings declare a script "other": not tracked`}},
		{"file", track("{name: web, file: {path: /run/ok}}"), []string{"web 0: file /run/ok, 1s 1s 2 3"}, nil},
		{"number", track("{name: web, weight: 253, file: {path: /run/n, content: Number}}"), []string{"web 253: number /run/n, 1s 1s 2 3"}, nil},
		{"relative file", track("{name: web, file: {path: ../n, content: x}}"), nil, []string{
			"error Invalid " + at + `.file.content: must be Exists or Number, not "x"`,
			"error Invalid " + at + `.file.path: "../n" is not an absolute path without . and .. in it`}},
		{"process", track("{name: web, process: {name: haproxy, min: 2, max: 4}}"), []string{"web 0: process haproxy, 1s 1s 2 3 min 2 max 4"}, nil},
		{"one process", track("{name: web, process: {name: haproxy}}"), []string{"web 0: process haproxy, 1s 1s 2 3 min 1 max 0"}, nil},
		{"pid file", track("{name: web, process: {pidFile: /run/x.pid}}"), []string{"web 0: pid-file /run/x.pid, 1s 1s 2 3"}, nil},
		{"process by two names", track("{name: web, process: {name: x, pidFile: /run/x.pid}}"), nil, []string{"error Required " + at + ".process: exactly one of name and pidFile is needed"}},
		{"process with folder", track("{name: web, process: {name: /bin/x}}"), nil, []string{"error Invalid " + at + `.process.name: "/bin/x" is not the name of a program's file, without its folder`}},
		{"fewer processes than needed", track("{name: web, process: {name: x, min: 3, max: 2}}"), nil, []string{"error OutOfRange " + at + ".process.max: must be 0 or at least min, 3, not 2"}},
		{"how many of one", track("{name: web, process: {pidFile: /run/x, min: 2}}"), nil, []string{"error Invalid " + at + ".process.pidFile: names one process: min and max belong to name, so remove them"}},
		{"HTTP", track("{name: web, http: {url: 'http://127.0.0.1/'}}"), []string{"web 0: http://127.0.0.1:80/, 1s 1s 2 3 200-399"}, nil},
		{"HTTP with all", track("{name: web, http: {url: 'https://[::1]:8443/a%20b?c=d', host: 'x.example.com:1', minStatus: 204, maxStatus: 204, tls: {ca: /etc/ca, name: x.org}}}"),
			[]string{"web 0: https://[::1]:8443/a%20b?c=d, 1s 1s 2 3 x.example.com:1 204-204 verify by /etc/ca for x.org"}, nil},
		{"HTTPS", track("{name: web, http: {url: 'https://127.0.0.1'}}"), []string{"web 0: https://127.0.0.1:443/, 1s 1s 2 3 200-399 verify by  for "}, nil},
		{"HTTPS unverified", track("{name: web, http: {url: 'https://127.0.0.1', tls: {insecure: true}}}"), []string{"web 0: https://127.0.0.1:443/, 1s 1s 2 3 200-399"}, nil},
		{"both ways", track("{name: web, http: {url: 'https://127.0.0.1', tls: {insecure: true, ca: /x}}}"), nil, []string{"error Invalid " + at + ".http.tls.insecure: accepts any certificate: remove it, or ca and name"}},
		{"TLS on HTTP", track("{name: web, http: {url: 'http://127.0.0.1', tls: {insecure: true}}}"), nil, []string{"error Invalid " + at + ".http.tls: belongs to https: change the url, or remove it"}},
		{"HTTP by name", track("{name: web, http: {url: 'http://localhost/'}}"), nil, []string{"error Invalid " + at + `.http.url: "localhost" is not an IP address: names are not resolved`}},
		{"FTP", track("{name: web, http: {url: 'ftp://127.0.0.1/'}}"), nil, []string{"error Invalid " + at + `.http.url: "ftp://127.0.0.1/" is not a URL of http or https with at most 2048 bytes`}},
		{"HTTP with a password", track("{name: web, http: {url: 'http://a:b@127.0.0.1/'}}"), nil, []string{"error Invalid " + at + `.http.url: "http://a:b@127.0.0.1/" has a user or a fragment: neither is sent`}},
		{"HTTP to no port", track("{name: web, http: {url: 'http://127.0.0.1:65536/'}}"), nil, []string{"error OutOfRange " + at + `.http.url: "http://127.0.0.1:65536/" has no port from 1 to 65535`}},
		{"HTTP to a group", track("{name: web, http: {url: 'http://224.0.0.1/'}}"), nil, []string{"error OutOfRange " + at + `.http.url: "224.0.0.1" is not an address of one host`}},
		{"hostile host", track(`{name: web, http: {url: 'http://127.0.0.1/', host: "a\r\nx: y"}}`), nil, []string{"error Invalid " + at + `.http.host: "a\r\nx: y" is not a host, with or without port`}},
		{"statuses", track("{name: web, http: {url: 'http://127.0.0.1/', minStatus: 300, maxStatus: 200}}"), nil, []string{"error OutOfRange " + at + ".http.maxStatus: must be at least minStatus, 300, not 200"}},
		{"TCP", track("{name: web, tcp: {address: '::1', port: 22}}"), []string{"web 0: tcp [::1]:22, 1s 1s 2 3"}, nil},
		{"TCP port", track("{name: web, tcp: {address: 127.0.0.1, port: 0}}"), nil, []string{"error OutOfRange " + at + ".tcp.port: must be from 1 to 65535, not 0"}},
		{"gRPC", track("{name: web, grpc: {address: 127.0.0.1, port: 50051, service: shop.Cart}}"), []string{"web 0: grpc 127.0.0.1:50051 shop.Cart, 1s 1s 2 3"}, nil},
		{"gRPC over TLS", track("{name: web, grpc: {address: 127.0.0.1, port: 50051, tls: {}}}"), []string{"web 0: grpc 127.0.0.1:50051, 1s 1s 2 3 verify by  for "}, nil},
		{"kube-apiserver", track("{name: api, kubeAPIServer: {}}"), []string{"api 0: https://127.0.0.1:6443/readyz, 1s 1s 2 3 200-200"}, nil},
		{"kube-apiserver with authority", track("{name: api, kubeAPIServer: {port: 443, ca: /etc/kubernetes/pki/ca.crt}}"),
			[]string{"api 0: https://127.0.0.1:443/readyz, 1s 1s 2 3 200-200 verify by /etc/kubernetes/pki/ca.crt for kubernetes"}, nil},
		{"interface", track("{name: up, interface: {name: eth1}}"), []string{"eth1 0 0s 0s"}, nil},
		{"interface with all", track("{name: up, weight: -10, interface: {name: eth1, upDelay: 5s, downDelay: 100ms}}"), []string{"eth1 -10 5s 100ms"}, nil},
		{"interface reversed", track("{name: up, reverse: true, interface: {name: eth1}}"), []string{"eth1 0 0s 0s reverse"}, nil},
		{"reverse", track("{name: web, reverse: true, file: {path: /x}}"), []string{"web 0: file /x, 1s 1s 2 3 reverse"}, nil},
		{"hostile interface", track("{name: up, interface: {name: ../x, upDelay: -1s}}"), nil, []string{
			"error Invalid " + at + `.interface.name: "../x" is not the name of a network interface`,
			"error OutOfRange " + at + ".interface.upDelay: must be from 0s to 16m40s, not -1s"}},
		{"nothing", track("{name: web}"), nil, []string{"error Required " + at + ": exactly one of interface, script, file, process, http, tcp, grpc, nginx and kubeAPIServer is needed, not 0"}},
		{"two things", track("{name: web, nginx: {}, tcp: {address: 127.0.0.1, port: 1}}"), nil, []string{"error Required " + at + ": exactly one of interface, script, file, process, http, tcp, grpc, nginx and kubeAPIServer is needed, not 2"}},
		{"bounds", track("{name: web, weight: 254, rise: 0, fall: 101, interval: 1ms, timeout: 2h, nginx: {}}"), nil, []string{
			"error OutOfRange " + at + ".fall: must be from 1 to 100, not 101",
			"error OutOfRange " + at + ".interval: must be from 10ms to 1h0m0s, not 1ms",
			"error OutOfRange " + at + ".rise: must be from 1 to 100, not 0",
			"error OutOfRange " + at + ".timeout: must be from 1ms to 1h0m0s, not 2h0m0s",
			"error OutOfRange " + at + ".weight: must be from -253 to 253, not 254"}},
		{"the same name", track("{name: web, nginx: {}}, {name: web, nginx: {}}"), nil, []string{`error Duplicate VirtualRouter a spec.track[1].name: "web" is there already`}},
		{"weight of the owner", router("a", "priority: 255, track: [{name: web, weight: 5, nginx: {}}]"), []string{"web 5: nginx, 1s 1s 2 3"},
			[]string{"warning Conflict " + at + ".weight: has no effect where the priority is 255: the address owner's never changes"}},
		{"too many", track(strings.Repeat("{name: web, nginx: {}}, ", 65)), nil, []string{"error TooLarge VirtualRouter a spec.track: at most 64, not 65"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, problems := read(t, map[string]string{"a.yaml": tt.text + scripted()})
			state, more := Translate(s)
			for _, p := range more {
				p.File, p.Line = "", 0
				problems = append(problems, p)
			}
			var got []string
			for _, r := range state.Routers {
				for _, l := range r.Track {
					got = append(got, strings.TrimSuffix(fmt.Sprint(l.Interface, " ", l.Weight, " ", l.UpDelay, " ", l.DownDelay, " ", map[bool]string{true: "reverse"}[l.Reverse]), " "))
				}
				for _, tr := range r.Trackers {
					got = append(got, trackerText(tr))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.problems, lines(problems)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func trackerText(t Tracker) string {
	c := t.Check
	text := fmt.Sprintf("%s %d: %s, %v %v %d %d", t.Name, t.Weight, c, c.Interval, c.Timeout, c.Rise, c.Fall)
	if err := c.Validate(); err != nil || !c.Eager {
		text += fmt.Sprintf(" INVALID: %v", err)
	}
	if c.Type == check.Process {
		text += fmt.Sprintf(" min %d max %d", c.Min, c.Max)
	}
	if c.Type == check.HTTP {
		if c.HTTP.Host != "" {
			text += " " + c.HTTP.Host
		}
		text += fmt.Sprintf(" %d-%d", c.HTTP.MinStatus, c.HTTP.MaxStatus)
	}
	if t.Reverse {
		text += " reverse"
	}
	if c.TLS.Verify {
		text += fmt.Sprintf(" verify by %s for %s", c.TLS.CA, c.TLS.Name)
	}
	return text
}

// TestFollow: what verdicts do to priority and fault.
func TestFollow(t *testing.T) {
	up, down := check.Verdict{Known: true, Up: true}, check.Verdict{Known: true, LastError: "exit status 1"}
	unknown := check.Verdict{Up: true}
	at := func(n int) check.Verdict { return check.Verdict{Known: true, Up: true, Value: n} }
	const reversed = check.Type(128) // a flag beside the kind
	type tracked struct {
		weight  int
		verdict check.Verdict
		kind    check.Type
	}
	for _, tt := range []struct {
		name    string
		waiting bool // the router does not take part yet
		tracks  []tracked
		want    string // priority, terms, fault
	}{
		{"nothing", false, nil, "100 []"},
		{"positive, up", false, []tracked{{10, up, 0}}, "110 [10 track t0 up]"},
		{"positive, down", false, []tracked{{10, down, 0}}, "100 []"},
		{"positive, unknown", true, []tracked{{10, unknown, 0}}, "100 []"},
		{"negative, up", false, []tracked{{-10, up, 0}}, "100 []"},
		{"negative, down", false, []tracked{{-10, down, 0}}, "90 [-10 track t0 down]"},
		{"negative, unknown", true, []tracked{{-10, unknown, 0}}, "100 []"},
		{"no weight, up", false, []tracked{{0, up, 0}}, "100 []"},
		{"no weight, down", false, []tracked{{0, down, 0}}, "100 [] track t0: exit status 1"},
		{"no weight, down since before", false, []tracked{{0, check.Verdict{Known: true}, 0}}, "100 [] track t0: down"},
		{"no weight, unknown, taking part", false, []tracked{{0, unknown, 0}}, "100 []"},
		{"no weight, unknown, not taking part", true, []tracked{{0, unknown, 0}}, "100 [] track t0: no result yet"},
		{"no weight, up, not taking part", true, []tracked{{0, up, 0}}, "100 []"},
		{"no weight, never asked", true, []tracked{{0, check.Verdict{}, 0}}, "100 [] track t0: no result yet"},
		{"several", false, []tracked{{-10, down, 0}, {20, up, 0}, {-5, up, 0}, {0, up, 0}}, "110 [-10 track t0 down, 20 track t1 up]"},
		{"several faults", false, []tracked{{0, down, 0}, {0, up, 0}, {0, down, 0}}, "100 [] track t0: exit status 1; track t2: exit status 1"},
		{"below the lowest", false, []tracked{{-253, down, 0}}, "1 [-253 track t0 down]"},
		{"above the highest", false, []tracked{{253, up, 0}}, "254 [253 track t0 up]"},
		{"number", false, []tracked{{-2, at(7), check.Number}}, "86 [-14 track t0 at 7]"},
		{"negative number", false, []tracked{{2, at(-7), check.Number}}, "86 [-14 track t0 at -7]"},
		{"number 0", false, []tracked{{2, at(0), check.Number}, {0, at(0), check.Number}}, "100 []"},
		{"number without weight", false, []tracked{{0, at(3), check.Number}}, "100 [] track t0: the file says 3"},
		{"lowest number", false, []tracked{{-1, at(253), check.Number}}, "1 [-253 track t0 at 253]"},
		{"number too low", false, []tracked{{-1, at(254), check.Number}}, "100 [] track t0: the file says 254, times weight -1"},
		{"number too high", false, []tracked{{253, at(1000000), check.Number}}, "254 [253 track t0 at 1000000]"},
		{"number that cannot be read", false, []tracked{{-1, check.Verdict{Known: true, Value: 4, LastError: "no number"}, check.Number}}, "96 [-4 track t0 at 4]"},
		{"number not known", true, []tracked{{0, unknown, check.Number}}, "100 [] track t0: no result yet"},
		{"reverse, positive, up", false, []tracked{{10, up, reversed}}, "90 [-10 track t0 up]"},
		{"reverse, positive, down", false, []tracked{{10, down, reversed}}, "100 []"},
		{"reverse, negative, down", false, []tracked{{-10, down, reversed}}, "110 [10 track t0 down]"},
		{"reverse, negative, up", false, []tracked{{-10, up, reversed}}, "100 []"},
		{"reverse, no weight, up", false, []tracked{{0, up, reversed}}, "100 [] track t0: up"},
		{"reverse, no weight, down", false, []tracked{{0, down, reversed}}, "100 []"},
		{"reverse number", false, []tracked{{2, at(7), check.Number | reversed}}, "86 [-14 track t0 at 7]"},
		{"reverse number without weight", false, []tracked{{0, at(7), check.Number | reversed}, {0, at(0), check.Number | reversed}}, "100 [] track t1: the file says 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Router{Router: vrrp.Router{Key: vrrp.Key{Name: "a", Family: vrrp.IPv4}}, Priority: 100}
			f := Facts{Tracked: map[check.Spec]check.Verdict{}, Active: map[vrrp.Key]bool{r.Key: !tt.waiting}}
			for i, tr := range tt.tracks {
				spec := check.Spec{Type: tr.kind &^ reversed, Name: fmt.Sprint(i), Interval: time.Second}
				r.Trackers = append(r.Trackers, Tracker{Name: fmt.Sprintf("t%d", i), Weight: tr.weight, Reverse: tr.kind&reversed != 0, Check: spec})
				if tr.verdict != (check.Verdict{}) {
					f.Tracked[spec] = tr.verdict
				}
			}
			plan, problems := Plan(State{Routers: []Router{r}}, f)
			own := plan.Routers[0]
			var terms []string
			for _, term := range own.Priority.Terms {
				terms = append(terms, fmt.Sprintf("%d %s", term.Delta, term.Reason))
			}
			got := strings.TrimSpace(fmt.Sprintf("%d [%s] %s", own.Priority.Effective(), strings.Join(terms, ", "), own.Fault))
			if got != tt.want || len(problems) > 0 || len(plan.Checks) != len(tt.tracks) {
				t.Errorf("got  %s (%d checks, %v)\nwant %s", got, len(plan.Checks), problems, tt.want)
			}
		})
	}
}

// TestScriptTakenBack: Settings that lose a script cost no router more than the
// tracker.
func TestScriptTakenBack(t *testing.T) {
	text := router("a", "track: [{name: web, script: chk}]")
	first, problems := read(t, map[string]string{"a.yaml": text, "s.yaml": scripted()})
	last, state, problems := Settle(source.Snapshot{}, first, problems)
	if len(problems) > 0 || len(state.Routers) != 1 || len(state.Routers[0].Trackers) != 1 {
		t.Fatal(state, problems)
	}
	next, problems := read(t, map[string]string{"a.yaml": text})
	_, state, problems = Settle(last, next, problems)
	want := []string{`error NotFound a.yaml:5: VirtualRouter a spec.track[0].script: no Settings declare a script "chk": not tracked`}
	if diff := cmp.Diff(want, lines(problems)); diff != "" || len(state.Routers) != 1 || len(state.Routers[0].Trackers) != 0 {
		t.Error(state.Routers, diff)
	}
}
