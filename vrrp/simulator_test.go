package vrrp

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

var (
	schedules = flag.Int("schedules", 3000, "number of random schedules to simulate")
	seed      = flag.Uint64("seed", 0, "simulate this one schedule, and print its trace")
)

// TestSimulator runs random schedules of faults and commands over random
// configurations. Afterwards the network is made whole, and must come to rest
// with exactly one owner of each router.
func TestSimulator(t *testing.T) {
	if *seed != 0 {
		simulate(t, *seed, func(line string) { t.Log(line) })
		return
	}
	for n := uint64(1); n <= uint64(*schedules); n++ {
		simulate(t, n, nil)
		if t.Failed() {
			t.Fatalf("schedule %d; trace: go test ./vrrp -run TestSimulator -v -seed %d", n, n)
		}
	}
}

// sim is one schedule.
type sim struct {
	*world
	rnd      *rand.Rand
	keys     []Key
	longest  time.Duration // advert interval
	always   bool          // every router preempts always
	maxDelay time.Duration // of preemption
	wanted   map[*member][]Router
}

func simulate(t *testing.T, seed uint64, trace func(string)) {
	s := &sim{world: newWorld(t), rnd: rand.New(rand.NewPCG(seed, 0)), always: true, wanted: map[*member][]Router{}}
	s.trace = trace
	s.delay = func() time.Duration { return time.Duration(s.rnd.IntN(3000)) * time.Microsecond }
	s.populate()
	for range 5 + s.rnd.IntN(20) {
		s.disturb()
		s.run(time.Duration(s.rnd.Int64N(int64(3 * s.longest))))
	}
	s.heal()
	s.settle()
	s.verify()
}

// populate makes nodes with one router per family and random settings.
func (s *sim) populate() {
	intervals := []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second}
	s.keys = []Key{{"web", IPv4}, {"web", IPv6}}
	unicast := s.rnd.IntN(3) == 0
	count := 2 + s.rnd.IntN(3)
	first := s.rnd.IntN(len(intervals) - 1) // neighbours only: 10 ms beside 1 s costs much and shows no more
	for i := range count {
		m := s.add(fmt.Sprintf("n%d", i), s.address(i, IPv4), s.address(i, IPv6))
		for _, k := range s.keys {
			r := Router{
				Key: k, VRID: 51, Interface: "eth0", AdvertInterval: intervals[first],
				Addresses: []netip.Prefix{s.virtual(k.Family, 0)},
				Priority:  Priority{Base: uint8(1 + s.rnd.IntN(254))},
			}
			if s.rnd.IntN(4) == 0 {
				r.Priority.Base = 100 // ties
			}
			if s.rnd.IntN(5) == 0 {
				r.AdvertInterval = intervals[first+s.rnd.IntN(2)]
			}
			s.choosePreempt(&r)
			if unicast {
				for j := range count {
					if j != i {
						r.Unicast = append(r.Unicast, s.address(j, k.Family).Addr())
					}
				}
			}
			s.longest = max(s.longest, r.AdvertInterval)
			s.wanted[m] = append(s.wanted[m], r)
		}
		s.configure(m, s.wanted[m])
	}
}

func (s *sim) choosePreempt(r *Router) {
	switch s.rnd.IntN(6) {
	case 0:
		r.Preempt, s.always = PreemptNever, false
	case 1:
		r.Preempt, r.PreemptDelay = PreemptDelay, time.Duration(s.rnd.IntN(3000))*time.Millisecond
		s.maxDelay = max(s.maxDelay, r.PreemptDelay)
	}
}

func (s *sim) address(i int, f Family) netip.Prefix {
	if f == IPv4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}), 24)
	}
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfe, 0x80, 15: byte(1 + i)}), 64)
}

func (s *sim) virtual(f Family, i int) netip.Prefix {
	if f == IPv4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(100 + i)}), 24)
	}
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 15: byte(100 + i)}), 64)
}

// disturb does one random thing to one random node.
func (s *sim) disturb() {
	m := s.nodes[s.rnd.IntN(len(s.nodes))]
	kinds := []func(){
		func() { s.setLink(m, m.cut) },
		func() { m.deaf = !m.deaf },
		func() { m.mute = !m.mute },
		func() { m.group = s.rnd.IntN(2) },
		func() { s.toggleStall(m) },
		func() { s.toggleLoss() },
		func() { s.step(m, Resign{Name: "web"}) },
		func() { s.crash(m) },
		func() { s.step(m, Halt{Now: s.rnd.IntN(2) == 0}); s.configure(m, nil) },
		func() { s.configure(m, s.wanted[m]) },
		func() { s.retune(m) },
	}
	what := s.rnd.IntN(len(kinds))
	if s.trace != nil {
		s.trace(fmt.Sprintf("%10s %s disturbance %d", s.clock(), m.name, what))
	}
	if m.stalled && what != 4 {
		return // it does not run
	}
	kinds[what]()
}

func (s *sim) toggleStall(m *member) {
	if m.stalled {
		s.resume(m)
		return
	}
	m.stalled = true
}

func (s *sim) toggleLoss() {
	if percent := s.rnd.IntN(60); percent < 40 {
		s.lose = func() bool { return s.rnd.IntN(100) < percent }
		return
	}
	s.lose = func() bool { return false }
}

// crash forgets all that a node knew; its addresses are cleaned up.
func (s *sim) crash(m *member) {
	m.node = NewNode()
	clear(m.present)
	clear(m.answers)
	s.step(m, m.link)
	m.routers = nil
	s.configure(m, s.wanted[m])
}

// retune changes priority, addresses or preemption of a node's routers.
func (s *sim) retune(m *member) {
	routers := slices.Clone(s.wanted[m])
	r := &routers[s.rnd.IntN(len(routers))]
	switch s.rnd.IntN(3) {
	case 0:
		r.Priority.Terms = []Term{{"test", s.rnd.IntN(200) - 100}}
	case 1:
		r.Addresses = r.Addresses[:1:1]
		for i := range s.rnd.IntN(3) {
			r.Addresses = append(r.Addresses, s.virtual(r.Family, 1+i))
		}
	case 2:
		s.choosePreempt(r)
	}
	s.wanted[m] = routers
	s.configure(m, routers)
}

// heal ends all disturbances.
func (s *sim) heal() {
	s.lose = func() bool { return false }
	for _, m := range s.nodes {
		m.deaf, m.mute, m.group = false, false, 0
		if m.stalled {
			s.resume(m)
		}
		if m.cut {
			s.setLink(m, true)
		}
		s.configure(m, s.wanted[m])
	}
}

// settle waits as long as it may take: a leaving owner gives up, a down timer
// is restarted once after a stall, a delayed preemption follows.
func (s *sim) settle() {
	down := 4 * s.longest
	s.run(3*down + s.maxDelay + 4*s.longest + 100*time.Millisecond + holdAfterLoss)
}

// verify checks what must hold at rest.
func (s *sim) verify() {
	s.moved = 0
	s.run(8 * s.longest)
	if s.moved != 0 {
		s.t.Errorf("%d transitions in a network that was at rest", s.moved)
	}
	for _, k := range s.keys {
		s.verifyRouter(k)
	}
	for _, m := range s.nodes {
		if s.configure(m, s.wanted[m]); m.acted != 0 {
			s.t.Errorf("%s: the same configuration again makes %d actions", m.name, m.acted)
		}
	}
}

func (s *sim) verifyRouter(k Key) {
	var owners []string
	var best, owning uint8
	for _, m := range s.nodes {
		i := slices.IndexFunc(m.node.Status(), func(st RouterStatus) bool { return st.Router.Key == k })
		st := m.node.Status()[i]
		best = max(best, st.Router.Priority.Effective())
		master := st.State == Master
		if master {
			owners = append(owners, m.name)
			owning = st.Router.Priority.Effective()
		} else if st.State != Backup {
			s.t.Errorf("%s: %v is %v", m.name, k, st.State)
		}
		for _, p := range st.Router.Addresses {
			if m.present[p] != master || m.answers[p.Addr()] != master {
				s.t.Errorf("%s: %v is %v; has %v: %v, answers: %v", m.name, k, st.State, p, m.present[p], m.answers[p.Addr()])
			}
		}
	}
	if len(owners) != 1 {
		s.t.Errorf("%v: owners %v", k, owners)
	}
	if s.always && owning != best {
		s.t.Errorf("%v: priority %d owns, and %d is there", k, owning, best)
	}
}
