package vrrp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// generate makes a random schedule: the commands of a scenario, which build a
// network, disturb it, mend it and let it settle. A schedule is a function of
// its seed.
func generate(seed uint64) []string {
	g := &generator{rnd: rand.New(rand.NewPCG(seed, 0)), seed: seed}
	g.network()
	g.routers()
	for _, n := range g.nodes {
		g.say("apply", n.name)
		if g.chance(20) {
			g.pass(2)
		}
	}
	g.pass(8)
	for range 2 + g.rnd.IntN(16) {
		g.disturb()
		if !g.chance(20) {
			g.pass(3)
		}
	}
	g.say("settle")
	return g.script
}

// generator writes a schedule.
type generator struct {
	rnd      *rand.Rand
	seed     uint64
	script   []string
	nodes    []*plan
	clients  []string
	names    []Key
	interval time.Duration
	tracking bool // eth1
	grouped  bool // the first two names are in one sync group
	signed   bool // some adverts carry the time
}

// plan is what the generator knows of a node.
type plan struct {
	name  string
	index int
	on    map[string]bool // disturbances that go on
}

func (g *generator) say(words ...string) { g.script = append(g.script, strings.Join(words, " ")) }

func (g *generator) chance(percent int) bool { return g.rnd.IntN(100) < percent }

// pick chooses one of the items.
func pick[T any](g *generator, items ...T) T { return items[g.rnd.IntN(len(items))] }

// some is a random time of up to n advert intervals, in whole milliseconds.
func (g *generator) some(n int) time.Duration {
	return time.Duration(g.rnd.Int64N(int64(n)*int64(g.interval)/int64(time.Millisecond)+1)) * time.Millisecond
}

// pass lets up to n advert intervals pass.
func (g *generator) pass(n int) { g.say("skip", g.some(n).String()) }

// network makes the nodes and the clients.
func (g *generator) network() {
	g.interval = pick(g, 10*time.Millisecond, 100*time.Millisecond, time.Second)
	g.say("seed", strconv.FormatUint(g.seed, 10))
	jitter := time.Duration(g.rnd.IntN(3000)) * time.Microsecond
	g.say("base", (time.Duration(g.rnd.IntN(2000)) * time.Microsecond).String(), jitter.String())
	g.tracking = g.chance(25)
	count := pick(g, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 7, 8, 9)
	for i := range count {
		n := &plan{name: fmt.Sprintf("n%d", i), index: i, on: map[string]bool{}}
		g.nodes = append(g.nodes, n)
		g.say("node", n.name, g.address(i, IPv4).String(), g.address(i, IPv6).String())
		if g.tracking {
			g.say("link", n.name, "eth1", "up")
		}
		if g.chance(30) {
			g.say("watch", n.name)
		}
		if g.chance(10) {
			g.say("room", n.name, strconv.Itoa(1+g.rnd.IntN(5)))
		}
	}
	for i := range 1 + g.rnd.IntN(2) {
		name := fmt.Sprintf("c%d", i)
		g.clients = append(g.clients, name)
		g.say("client", name, (g.interval * pick(g, time.Duration(3), 10, 1000)).String())
	}
}

func (g *generator) address(i int, f Family) netip.Prefix {
	if f == IPv4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}), 24)
	}
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfe, 0x80, 15: byte(1 + i)}), 64)
}

// virtual is the j-th address of the i-th router.
func (g *generator) virtual(f Family, i, j int) netip.Prefix {
	if f == IPv4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(100 + 10*i + j)}), 24)
	}
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 15: byte(100 + 10*i + j)}), 64)
}

// routers configures one to four routers on all nodes.
func (g *generator) routers() {
	families := pick(g, []Family{IPv4}, []Family{IPv4}, []Family{IPv6}, []Family{IPv4, IPv6})
	g.grouped = g.chance(15)
	for i := range pick(g, 1, 1, 1, 2, 2, 3) {
		name := fmt.Sprintf("r%d", i)
		for _, f := range families {
			g.router(i, Key{name, f})
		}
	}
}

// id is how commands name a router.
func id(k Key) string {
	if k.Family == IPv6 {
		return k.Name + "/IPv6"
	}
	return k.Name
}

// router configures one router on all nodes.
func (g *generator) router(i int, k Key) {
	g.names = append(g.names, k)
	ties := g.chance(15)
	version2 := k.Family == IPv4 && g.interval == time.Second && g.chance(40)
	common := append(g.transport(i, k, version2), "addresses="+g.addresses(i, k.Family))
	if g.grouped && i < 2 {
		common = append(common, "group=g")
	}
	if g.chance(60) {
		common = append(common, fmt.Sprintf("announce=%d,%v,%v", 1+g.rnd.IntN(3), g.some(8), g.interval*time.Duration(10+g.rnd.IntN(30))))
	}
	if g.chance(10) {
		common = append(common, fmt.Sprintf("down=%d", 3+g.rnd.IntN(3)))
	}
	for _, n := range g.nodes {
		words := slices.Concat([]string{"want", n.name, id(k)}, common)
		words = append(words, fmt.Sprintf("priority=%d", g.priority(ties)))
		interval := g.interval
		if !version2 && g.chance(8) {
			// Not more: who hears the last word of another owner counts by its
			// interval until the next advert of the slower one.
			interval *= 2
		}
		words = append(words, "advert="+interval.String())
		if g.chance(35) {
			words = append(words, g.preempt()...)
		}
		g.say(append(words, g.holds()...)...)
	}
}

// transport is how the adverts of a router travel.
func (g *generator) transport(i int, k Key, version2 bool) []string {
	words := []string{fmt.Sprintf("vrid=%d", 51+i)}
	kind := g.rnd.IntN(100)
	switch {
	case version2:
		words = append(words, "version=2", pick(g, "auth=none", "auth=password:secret", "auth=ah:secret"))
	case kind < 8:
		return append(words, fmt.Sprintf("gossip=%d", 1024+51+i))
	case kind < 16:
		words = append(words, "auth=hmac:7")
	}
	g.signed = g.signed || kind < 16 || version2
	if g.chance(15) {
		words = append(words, "device="+MACDevice("vrrp", k.Family, uint8(51+i)))
	}
	if g.chance(30) {
		words = append(words, "unicast="+g.peers(k.Family))
	}
	return words
}

func (g *generator) priority(ties bool) int {
	switch {
	case ties:
		return 100
	case !g.grouped && g.chance(3): // in a sync group, one cannot be for ever
		return 255
	}
	return 1 + g.rnd.IntN(254)
}

func (g *generator) addresses(i int, f Family) string {
	var list []string
	for j := range 1 + g.rnd.IntN(2) {
		list = append(list, g.virtual(f, i, j).String())
	}
	return strings.Join(list, ",")
}

func (g *generator) peers(f Family) string {
	var list []string
	for i := range g.nodes {
		list = append(list, g.address(i, f).Addr().String())
	}
	return strings.Join(list, ",")
}

func (g *generator) preempt() []string {
	if g.chance(60) {
		return []string{"preempt=never"}
	}
	return []string{"preempt=delay", "delay=" + g.some(6).String()}
}

// holds are settings that make a router wait, or depend on something.
func (g *generator) holds() []string {
	var words []string
	if g.chance(5) {
		words = append(words, "startup="+g.some(8).String())
	}
	if g.chance(5) {
		words = append(words, "linkup="+g.some(8).String())
	}
	if g.tracking && g.chance(40) {
		words = append(words, fmt.Sprintf("track=eth1:%d:%v:%v", pick(g, -100, 0, 50), g.some(3), g.some(3)))
	}
	return words
}
