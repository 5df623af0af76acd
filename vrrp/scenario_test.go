package vrrp

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	update    = flag.Bool("update", false, "write the traces of testdata/*.txt anew; understand the difference before you commit it")
	scenarios = flag.String("scenarios", "testdata/scenarios/*.txt", "the scenarios to run")
)

// TestScenarios runs the scripts in testdata/scenarios. Lines that start with
// ">" are commands, "#" are comments; everything else is the trace, compared
// as a whole. The commands are the cases of (*script).command, worldCommand,
// nodeCommand and simulated.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob(*scenarios)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("trace differs (-want +got):\n%s", diff)
			}
		})
	}
}

// script is a scenario being played.
type script struct {
	*world
	out strings.Builder
	all bool // adverts and announcements too
}

// newScript returns a script that writes its trace.
func newScript(t testing.TB) *script {
	s := &script{world: newWorld(t)}
	s.trace = func(line string) {
		if s.all || !strings.Contains(line, ": advert ") && !strings.Contains(line, ": announce ") {
			s.out.WriteString(line + "\n")
		}
	}
	return s
}

func play(t *testing.T, text string) string {
	s := newScript(t)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			s.out.WriteString(line + "\n")
		case strings.HasPrefix(line, "> "):
			s.out.WriteString(line + "\n")
			s.all = true
			s.command(strings.Fields(line[2:]))
		}
	}
	return s.out.String()
}

func (s *script) command(f []string) {
	name, args := f[0], f[1:]
	switch name {
	case "node": // node NAME PREFIX...
		var addrs []netip.Prefix
		for _, a := range args[1:] {
			addrs = append(addrs, netip.MustParsePrefix(a))
		}
		s.add(args[0], addrs...)
	case "drop": // drop PREFIX: no packet from there arrives any more; "none" ends it
		s.dropped = netip.Prefix{}
		if args[0] != "none" {
			s.dropped = netip.MustParsePrefix(args[0])
		}
	case "run": // run DURATION: everything is printed
		s.all = true
		s.run(s.duration(args[0]))
	case "skip": // skip DURATION: adverts and announcements are not printed
		s.all = false
		s.run(s.duration(args[0]))
	default: // all others: COMMAND NODE ...
		if s.worldCommand(name, args) {
			return
		}
		if m := s.find(args[0]); m != nil {
			s.count(name)
			s.nodeCommand(name, m, args[1:])
			s.reflect(m)
		}
	}
}

func (s *script) nodeCommand(name string, m *member, args []string) {
	switch name {
	case "set": // set NODE ROUTER key=value...: what is not given stays
		s.configure(m, s.amend(m.routers, args))
	case "unset": // unset NODE ROUTER
		s.configure(m, slices.DeleteFunc(slices.Clone(m.routers), func(r Router) bool { return r.Name == args[0] }))
	case "again": // again NODE: the same configuration once more
		s.configure(m, m.routers)
		fmt.Fprintf(&s.out, "%10s %s %d actions\n", s.clock(), m.name, m.acted)
	case "cut", "heal":
		s.setLink(m, name == "heal")
	case "addresses": // addresses NODE PREFIX...: those of its interface
		m.link.Addresses = nil
		for _, a := range args {
			m.link.Addresses = append(m.link.Addresses, netip.MustParsePrefix(a))
		}
		s.hand(m, m.link)
	case "link": // link NODE INTERFACE up|down: of an interface that is tracked
		s.setAside(m, Link{Interface: args[0], Up: args[1] == "up"})
	case "mtu": // mtu NODE BYTES
		m.link.MTU = s.number(args[0])
		s.step(m, m.link)
	case "take": // take NODE PREFIX...: somebody removes addresses
		for _, a := range args {
			p := netip.MustParsePrefix(a)
			if m.onDevice(p) {
				continue // whose links are not told of
			}
			delete(m.present, p)
			m.taken[p.Addr()] = true
		}
		s.hand(m, m.link)
	case "deafen", "hear":
		m.deaf = name == "deafen"
	case "mute", "unmute":
		m.mute = name == "mute"
	case "stall":
		s.stall(m)
	case "resume":
		s.resume(m)
	case "handover": // handover NODE ROUTER
		s.hand(m, Resign{Name: args[0]})
	case "stop":
		m.halted = true
		s.hand(m, Halt{})
	case "leave":
		m.halted = true
		s.hand(m, Halt{Keep: true})
	case "relive": // a new life beside the addresses that the last one left
		m.node, m.routers = NewNode(), nil
		s.step(m, m.link)
		s.step(m, Inherit{Addresses: map[string][]netip.Prefix{"eth0": m.virtual()}})
	case "kill":
		m.halted = true
		s.hand(m, Halt{Now: true})
	case "inject": // inject NODE SRC DST VRID PRIORITY TTL
		s.inject(m, args)
	case "counters":
		for _, st := range m.node.Status() {
			fmt.Fprintf(&s.out, "%10s %s %v: rivals %d, split %d\n", s.clock(), m.name, st.Router.Key, st.Counters.Rivals, st.Counters.SplitBrains)
		}
	case "status":
		for _, st := range m.node.Status() {
			fmt.Fprintf(&s.out, "%10s %s %v: %s; owner %v (%d)\n", s.clock(), m.name, st.Router.Key, st.Why, st.Owner.Addr, st.Owner.Priority)
		}
	default:
		s.simulated(name, m, args)
	}
}

func (s *script) inject(m *member, args []string) {
	src, dst := netip.MustParseAddr(args[0]), netip.MustParseAddr(args[1])
	a := Advert{VRID: uint8(s.number(args[2])), Priority: uint8(s.number(args[3])), Interval: time.Second}
	packet, err := a.Marshal(src, dst)
	if err != nil {
		s.fatal("%v", err)
	}
	s.step(m, Received{Interface: "eth0", Src: src, Dst: dst, TTL: s.number(args[4]), Packet: packet})
	for _, st := range m.node.Status() {
		fmt.Fprintf(&s.out, "%10s %s %v: received %d, dropped %s\n", s.clock(), m.name, st.Router.Key, st.Counters.Received, drops(st.Counters.Dropped))
	}
	fmt.Fprintf(&s.out, "%10s %s strays %s\n", s.clock(), m.name, drops(m.node.Strays()))
}

func drops(d Drops) string {
	var list []string
	for r := DropReason(1); r < dropReasons; r++ {
		if d[r] > 0 {
			list = append(list, fmt.Sprintf("%s:%d", r.String(), d[r]))
		}
	}
	return "[" + strings.Join(list, " ") + "]"
}

// amend returns routers with one of them changed or added. NAME/IPv6 is the one
// of that family, where both have the name.
func (s *script) amend(routers []Router, args []string) []Router {
	routers = slices.Clone(routers)
	name, six := strings.CutSuffix(args[0], "/IPv6")
	i := slices.IndexFunc(routers, func(r Router) bool { return r.Name == name && (!six || r.Family == IPv6) })
	if i < 0 {
		i = len(routers)
		routers = append(routers, Router{Key: Key{name, IPv4}, Interface: "eth0", AdvertInterval: time.Second})
	}
	r := &routers[i]
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "vrid":
			s.vague = s.vague || r.VRID != 0
			r.VRID = uint8(s.number(value))
		case "interface":
			r.Interface = value
		case "addresses":
			r.Addresses = nil
			for _, a := range strings.Split(value, ",") {
				r.Addresses = append(r.Addresses, netip.MustParsePrefix(a))
			}
			r.Family = familyOf(r.Addresses[0].Addr())
		case "priority":
			r.Priority.Base = uint8(s.number(value))
		case "term":
			r.Priority.Terms = nil
			if n := s.number(value); n != 0 {
				r.Priority.Terms = []Term{{Reason: "track nginx down", Delta: n}}
			}
		case "advert":
			r.AdvertInterval = s.duration(value)
		case "preempt":
			if err := r.Preempt.UnmarshalText([]byte(value)); err != nil {
				s.fatal("%v", err)
			}
		case "delay":
			r.PreemptDelay = s.duration(value)
		case "down":
			r.DownAdverts = uint8(s.number(value))
		case "startup":
			r.StartupDelay = s.duration(value)
		case "linkup":
			r.LinkUpDelay = s.duration(value)
		case "group":
			r.Group = value
		case "fault":
			r.Fault = value
		case "track": // INTERFACE:WEIGHT[:UPDELAY:DOWNDELAY],...
			r.Track = nil
			for _, text := range strings.Split(value, ",") {
				part := strings.Split(text, ":")
				t := TrackInterface{Interface: part[0], Weight: s.number(part[1])}
				if len(part) > 2 {
					t.UpDelay, t.DownDelay = s.duration(part[2]), s.duration(part[3])
				}
				r.Track = append(r.Track, t)
			}
		case "minttl":
			r.MinTTL = uint8(s.number(value))
		case "device": // with the virtual MAC
			r.Device = value
		case "gossip":
			r.Gossip = uint32(s.number(value))
			r.VRID = uint8(r.Gossip)
		case "auth": // none, TYPE:PASSWORD, or hmac:KEY, a number
			r.Auth = s.auth(value)
		case "version":
			if err := r.Version.UnmarshalText([]byte(value)); err != nil {
				s.fatal("%v", err)
			}
		case "announce": // REPEAT,DELAY,REFRESH
			part := strings.Split(value, ",")
			r.Announcing = Announcing{s.number(part[0]), s.duration(part[1]), s.duration(part[2])}
		case "unicast":
			r.Unicast = nil
			for _, a := range strings.Split(value, ",") {
				r.Unicast = append(r.Unicast, netip.MustParseAddr(a))
			}
		default:
			s.fatal("unknown key %q", key)
		}
	}
	return routers
}

func (s *script) auth(v string) Auth {
	kind, secret, _ := strings.Cut(v, ":")
	var a Auth
	if err := a.Type.UnmarshalText([]byte(kind)); err != nil {
		s.fatal("%v", err)
	}
	switch a.Type {
	case AuthPassword, AuthAH:
		a.Keys = []AuthKey{{Secret: NewSecret([]byte(secret))}}
	case AuthHMAC:
		a.Active = uint8(s.number(secret))
		a.Keys = []AuthKey{{a.Active, hmacKey(a.Active)}}
	}
	return a
}

func (s *script) duration(v string) time.Duration {
	d, err := time.ParseDuration(v)
	if err != nil {
		s.fatal("%v", err)
	}
	return d
}

func (s *script) number(v string) int {
	n, err := strconv.Atoi(v)
	if err != nil {
		s.fatal("%v", err)
	}
	return n
}
