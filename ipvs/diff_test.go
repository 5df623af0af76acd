package ipvs

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// parse reads a table in the notation of ipvsadm -S -n.
func parse(t testing.TB, text string) []Service {
	t.Helper()
	var services []Service
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		var s Service
		var d Destination
		for rest := f[1:]; len(rest) > 0; {
			rest = rest[parseOption(t, &s, &d, rest):]
		}
		if f[0] == "-A" {
			services = append(services, s)
			continue
		}
		i := slices.IndexFunc(services, func(o Service) bool { return o.Key == s.Key })
		services[i].Destinations = append(services[i].Destinations, d)
	}
	return services
}

// parseOption reads the option that f begins with and returns how many words
// that were.
func parseOption(t testing.TB, s *Service, d *Destination, f []string) int {
	t.Helper()
	number := func() (n int) {
		if _, err := fmt.Sscan(f[1], &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	protocols := map[string]Protocol{"-t": TCP, "-u": UDP, "--sctp-service": SCTP}
	switch o := f[0]; o {
	case "-t", "-u", "--sctp-service":
		ap := netip.MustParseAddrPort(f[1])
		s.Key = Key{Address: ap.Addr(), Port: ap.Port(), Protocol: protocols[o]}
	case "-f":
		s.FWMark = uint32(number())
	case "-6":
		s.IPv6 = true
		return 1
	case "-s":
		s.Scheduler = f[1]
	case "-p":
		s.Persistence = seconds(t, f[1])
	case "-M":
		if s.is6() {
			s.Netmask = number()
		} else {
			s.Netmask, _ = net.IPMask(net.ParseIP(f[1]).To4()).Size()
		}
	case "--pe":
		s.Engine = f[1]
	case "-o":
		s.OnePacket = true
		return 1
	case "-b":
		s.Fallback, s.HashPort = strings.Contains(f[1], "-fallback"), strings.Contains(f[1], "-port")
	case "-r":
		ap := netip.MustParseAddrPort(f[1])
		d.Address, d.Port = ap.Addr(), ap.Port()
	case "-m", "-g", "-i":
		d.Forwarding = map[string]Forwarding{"-m": NAT, "-g": DR, "-i": TUN}[o]
		return 1
	case "-w":
		d.Weight = number()
	case "-x":
		d.Upper = uint32(number())
	case "-y":
		d.Lower = uint32(number())
	case "--tun-type":
		d.Tunnel.Type = map[string]TunnelType{"ipip": IPIP, "gue": GUE, "gre": GRE}[f[1]]
	case "--tun-port":
		d.Tunnel.Port = uint16(number())
	case "--tun-nocsum", "--tun-csum", "--tun-remcsum":
		d.Tunnel.Checksum = map[string]Checksum{"--tun-csum": WithChecksum, "--tun-remcsum": RemoteChecksum}[o]
		return 1
	default:
		t.Fatalf("option %q", o)
	}
	return 2
}

func seconds(t testing.TB, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s + "s")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDiff(t *testing.T) {
	const web = `
		-A -t 192.0.2.1:80 -s rr
		-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 1
		-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m -w 1`
	for _, tt := range []struct {
		name       string
		have, want string
		ours       []int // of have
		commands   string
		adopted    int
	}{
		{
			name: "empty table",
			want: web,
			commands: `
				-A -t 192.0.2.1:80 -s rr
				-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 1
				-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m -w 1`,
		},
		{name: "nothing to do", have: web, want: web, ours: []int{0}},
		{name: "an equal service that is not ours is adopted without a write", have: web, want: web, adopted: 1},
		{
			name: "a differing service that is not ours is adopted and edited",
			have: `
				-A -t 192.0.2.1:80 -s wlc -p 60
				-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -i -w 1
				-a -t 192.0.2.1:80 -r 10.0.0.9:8080 -m -w 1`,
			want: web,
			commands: `
				-E -t 192.0.2.1:80 -s rr
				-e -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 1
				-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m -w 1
				-d -t 192.0.2.1:80 -r 10.0.0.9:8080`,
			adopted: 1,
		},
		{
			name: "ours and unwanted is deleted whole, foreign stays",
			have: web + `
				-A -t 192.0.2.7:7 -s rr
				-a -t 192.0.2.7:7 -r 10.0.0.7:7 -g -w 1`,
			ours:     []int{0},
			commands: `-D -t 192.0.2.1:80`,
		},
		{
			name:     "weight",
			have:     web,
			want:     strings.Replace(web, "10.0.0.2:8080 -m -w 1", "10.0.0.2:8080 -m -w 0", 1),
			ours:     []int{0},
			commands: `-e -t 192.0.2.1:80 -r 10.0.0.2:8080 -m -w 0`,
		},
		{
			name:     "scheduler",
			have:     web,
			want:     strings.Replace(web, "-s rr", "-s mh", 1),
			ours:     []int{0},
			commands: `-E -t 192.0.2.1:80 -s mh`,
		},
		{
			name:     "persistence",
			have:     web,
			want:     strings.Replace(web, "-s rr", "-s rr -p 300", 1),
			ours:     []int{0},
			commands: `-E -t 192.0.2.1:80 -s rr -p 300`,
		},
		{
			name: "a destination's port is part of its identity",
			have: web,
			want: strings.Replace(web, "10.0.0.1:8080", "10.0.0.1:8081", 1),
			ours: []int{0},
			commands: `
				-a -t 192.0.2.1:80 -r 10.0.0.1:8081 -m -w 1
				-d -t 192.0.2.1:80 -r 10.0.0.1:8080`,
		},
		{
			name: "protocols are apart",
			have: `-A -u 192.0.2.1:53 -s rr`,
			want: `-A -t 192.0.2.1:53 -s rr`,
			ours: []int{0},
			commands: `
				-A -t 192.0.2.1:53 -s rr
				-D -u 192.0.2.1:53`,
		},
		{
			name: "adds of all services come before any delete, in ipvsadm's order",
			have: `
				-A -t 192.0.2.1:80 -s rr
				-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1
				-A -t 192.0.2.0:80 -s rr`,
			want: `
				-A -t [2001:db8::1]:80 -s rr
				-A -u 192.0.2.3:80 -s rr
				-A -t 192.0.2.20:443 -s rr
				-A -t 192.0.2.20:80 -s rr
				-A -t 192.0.2.3:80 -s rr
				-A -t 192.0.2.1:80 -s rr`,
			ours: []int{0, 1},
			commands: `
				-A -t 192.0.2.3:80 -s rr
				-A -t 192.0.2.20:80 -s rr
				-A -t 192.0.2.20:443 -s rr
				-A -u 192.0.2.3:80 -s rr
				-A -t [2001:db8::1]:80 -s rr
				-d -t 192.0.2.1:80 -r 10.0.0.1:80
				-D -t 192.0.2.0:80`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have, want := parse(t, tt.have), parse(t, tt.want)
			ours := make(map[Key]bool)
			for _, i := range tt.ours {
				ours[have[i].Key] = true
			}
			var got []string
			for _, c := range Diff(have, want, ours) {
				got = append(got, c.String())
			}
			var commands []string
			for line := range strings.Lines(tt.commands) {
				if line = strings.TrimSpace(line); line != "" {
					commands = append(commands, line)
				}
			}
			if d := cmp.Diff(commands, got); d != "" {
				t.Errorf("commands (-want +got):\n%s", d)
			}
			if got := Adopted(have, want, ours); len(got) != tt.adopted {
				t.Errorf("adopted %v, want %d", got, tt.adopted)
			}
		})
	}
}

func TestDiffUndoesWhatIsNotModelled(t *testing.T) {
	want := parse(t, `
		-A -t 192.0.2.1:80 -s rr
		-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1`)
	have := parse(t, `
		-A -t 192.0.2.1:80 -s rr
		-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1`)
	have[0].Unmodelled, have[0].Destinations[0].Unmodelled = true, true
	got := Diff(have, want, keySet(have))
	if len(got) != 2 || got[0].Op != SetService || got[1].Op != SetDest {
		t.Errorf("commands %v, want an edit of the service and of its destination", got)
	}
	have = parse(t, `-A -t 192.0.2.1:80 -s rr`)
	have[0].Destinations = []Destination{want[0].Destinations[0]}
	have[0].Destinations[0].Stats = Stats{Active: 3}
	if got := Diff(have, want, nil); len(got) != 0 {
		t.Errorf("live counters caused %v", got)
	}
}

// sameTable are the options to compare tables with.
var sameTable = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

// checkLaw checks the law of Diff: applied to have, its commands give exactly
// want on the part that is ours or wanted, leave all else alone, never break a
// strict table, and a second Diff is empty.
func checkLaw(t testing.TB, have, want []Service, ours map[Key]bool) {
	t.Helper()
	m := newModel(have...)
	cmds := Diff(have, want, ours)
	if err := m.Apply(cmds); err != nil {
		t.Fatalf("have %v\nwant %v\nours %v\ncommands %v\n%v", have, want, ours, cmds, err)
	}
	expected := slices.Clone(want)
	wanted := keySet(want)
	for _, h := range have {
		if !wanted[h.Key] && !ours[h.Key] {
			expected = append(expected, h)
		}
	}
	got, _ := m.Services()
	if d := cmp.Diff(canonical(expected), canonical(got), sameTable...); d != "" {
		t.Errorf("table after %v (-want +got):\n%s", cmds, d)
	}
	if again := Diff(got, want, ours); len(again) != 0 {
		t.Errorf("second diff is not empty: %v", again)
	}
	firstDelete := slices.IndexFunc(cmds, Command.deletes)
	if firstDelete >= 0 && slices.ContainsFunc(cmds[firstDelete:], func(c Command) bool { return !c.deletes() }) {
		t.Errorf("something is added after a delete: %v", cmds)
	}
	slices.Reverse(have)
	slices.Reverse(want)
	if d := cmp.Diff(cmds, Diff(have, want, ours), sameTable...); d != "" {
		t.Errorf("the order of the input shows in the commands:\n%s", d)
	}
}

func (c Command) deletes() bool { return c.Op == DelService || c.Op == DelDest }

// canonical sorts a table throughout.
func canonical(services []Service) []Service {
	services = sorted(services)
	for i := range services {
		services[i].Destinations = sortedDestinations(services[i].Destinations)
	}
	return services
}

// decode makes a table out of bytes, from a universe small enough for have and
// want to meet: three bytes a service, two a destination.
func decode(data []byte) []Service {
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.200"), netip.MustParseAddr("2001:db8::1")}
	protocols := []Protocol{TCP, UDP}
	schedulers := []string{"rr", "wrr", "mh"}
	seen := make(map[Key]bool)
	var services []Service
	for len(data) >= 3 {
		a, b, n := int(data[0]), int(data[1]), int(data[2])%4
		data = data[3:]
		s := Service{
			Key:         Key{Address: addrs[a%3], Protocol: protocols[a/3%2], Port: uint16(80 + a/6%2)},
			Scheduler:   schedulers[b%3],
			Persistence: time.Duration(b/3%2) * time.Minute,
			Fallback:    b/6%2 == 1,
			Netmask:     b / 12 % 2 * 24,
			Unmodelled:  b > 240,
		}
		for ; n > 0 && len(data) >= 2; n-- {
			d := Destination{
				Address:    netip.AddrFrom4([4]byte{10, 0, 0, data[0] % 4}),
				Port:       uint16(80 + data[0]/4%2),
				Forwarding: []Forwarding{NAT, DR}[data[1]%2],
				Weight:     int(data[1] / 2 % 3),
				Upper:      uint32(data[1] / 6 % 2),
				Unmodelled: data[1] > 240,
			}
			data = data[2:]
			if !slices.ContainsFunc(s.Destinations, func(o Destination) bool { return o.endpoint() == d.endpoint() }) {
				s.Destinations = append(s.Destinations, d)
			}
		}
		if !seen[s.Key] {
			services = append(services, s)
		}
		seen[s.Key] = true
	}
	return services
}

// wantable makes a decoded table one that can be wanted.
func wantable(services []Service) []Service {
	for i := range services {
		services[i].Unmodelled = false
		for j := range services[i].Destinations {
			services[i].Destinations[j].Unmodelled = false
		}
	}
	return services
}

// pick returns the members of have and want that the bits choose.
func pick(have, want []Service, bits uint16) map[Key]bool {
	ours := make(map[Key]bool)
	for i, s := range slices.Concat(have, want) {
		if bits>>(i%16)&1 == 1 {
			ours[s.Key] = true
		}
	}
	return ours
}

func FuzzDiff(f *testing.F) {
	f.Add([]byte{}, []byte{0, 0, 2, 0, 0, 1, 0}, uint16(0))
	f.Add([]byte{0, 0, 2, 0, 0, 1, 0, 2, 0, 0}, []byte{0, 1, 2, 0, 3, 2, 0}, uint16(1))
	f.Add([]byte{0, 255, 1, 0, 255}, []byte{0, 255, 1, 0, 255}, uint16(0xffff))
	f.Fuzz(func(t *testing.T, have, want []byte, bits uint16) {
		h, w := decode(have), wantable(decode(want))
		checkLaw(t, h, w, pick(h, w, bits))
	})
}

func TestDiffLaw(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	bytes := func() []byte {
		b := make([]byte, random.IntN(60))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	for range 500 {
		h, w := decode(bytes()), wantable(decode(bytes()))
		checkLaw(t, h, w, pick(h, w, uint16(random.Uint32())))
	}
}

// table returns n services with m destinations each.
func table(n, m, weight int) []Service {
	services := make([]Service, n)
	for i := range services {
		services[i] = Service{
			Key:       Key{Address: netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), Port: 80, Protocol: TCP},
			Scheduler: "mh",
		}
		for j := range m {
			services[i].Destinations = append(services[i].Destinations,
				Destination{Address: netip.AddrFrom4([4]byte{10, 0, byte(j >> 8), byte(j)}), Port: 8080, Weight: weight})
		}
	}
	return services
}

func BenchmarkDiff(b *testing.B) {
	have := table(1000, 10, 1)
	for _, bb := range []struct {
		name string
		want []Service
		n    int
	}{
		{"same", table(1000, 10, 1), 0},
		{"every-weight", table(1000, 10, 2), 10000},
		{"all-gone", nil, 1000},
	} {
		b.Run(bb.name, func(b *testing.B) {
			ours := keySet(have)
			b.ReportAllocs()
			for b.Loop() {
				if got := len(Diff(have, bb.want, ours)); got != bb.n {
					b.Fatalf("%d commands, want %d", got, bb.n)
				}
			}
		})
	}
}
