package vrrp

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// disturbances are what goes wrong, or is done, at random. Each is tried as
// often as its weight.
var disturbances = []struct {
	weight int
	do     func(*generator, *plan)
}{
	{4, func(g *generator, n *plan) { g.toggle(n, "cut", "heal") }},
	{3, func(g *generator, n *plan) { g.toggle(n, "deafen", "hear") }},
	{3, func(g *generator, n *plan) { g.toggle(n, "mute", "unmute") }},
	{5, func(g *generator, n *plan) { g.toggle(n, "stall", "resume") }},
	{4, func(g *generator, n *plan) { g.toggle(n, "pause", "resume") }},
	{4, func(g *generator, n *plan) { g.toggle(n, "crash", "restart") }},
	{4, func(g *generator, n *plan) { g.toggle(n, pick(g, "stop", "kill"), "restart") }},
	{1, func(g *generator, n *plan) { g.say("restart", n.name) }},
	{4, func(g *generator, n *plan) { g.say("handover", n.name, pick(g, g.names...).Name) }},
	{5, (*generator).worsen},
	{3, (*generator).partition},
	{2, func(g *generator, _ *plan) { g.say("path * * open"); g.say("join") }},
	{8, (*generator).retune},
	{3, (*generator).conflict},
	{2, func(g *generator, n *plan) { g.say("unwant", n.name, pick(g, g.names...).Name); g.say("apply", n.name) }},
	{2, func(g *generator, n *plan) { g.link(n) }},
	{2, func(g *generator, n *plan) { g.renumber(n) }},
	{1, func(g *generator, n *plan) { g.say("take", n.name, g.virtual(IPv4, 0, 0).String()) }},
	{1, (*generator).jump},
	{3, func(g *generator, n *plan) { g.toggle(n, "leave", "inherit") }},
	{2, func(g *generator, n *plan) { g.say("gossip", n.name, pick(g, "lost", "there")) }},
	{2, func(g *generator, n *plan) {
		g.say("noise", n.name, pick(g, "ttl", "checksum", "short", "type", "version"))
	}},
}

var weights = func() (list []int) {
	for i, d := range disturbances {
		list = append(list, slices.Repeat([]int{i}, d.weight)...)
	}
	return list
}()

// disturb does one random thing to one random node, or undoes one.
func (g *generator) disturb() {
	if n := pick(g, g.nodes...); len(n.on) > 0 && g.chance(50) {
		end := slices.Min(slices.Collect(maps.Keys(n.on)))
		delete(n.on, end)
		g.say(end, n.name)
		return
	}
	disturbances[pick(g, weights...)].do(g, pick(g, g.nodes...))
}

// toggle begins something, or ends it.
func (g *generator) toggle(n *plan, begin, end string) {
	if n.on[end] {
		delete(n.on, end)
		g.say(end, n.name)
		return
	}
	n.on[end] = true
	g.say(begin, n.name)
}

// worsen makes a path, or all from or to a node, bad.
func (g *generator) worsen(n *plan) {
	from, to := n.name, pick(g, g.nodes...).name
	if g.chance(20) {
		to = pick(g, g.clients...)
	}
	switch g.rnd.IntN(4) {
	case 0:
		to = "*"
	case 1:
		from, to = to, "*"
	}
	switch g.rnd.IntN(8) {
	case 0, 1:
		g.say("path", from, to, "blocked")
	case 2:
		g.say("path", pick(g, g.nodes...).name, pick(g, g.nodes...).name, "slow", g.some(2).String())
	case 3:
		g.say("path", from, to, "dup", strconv.Itoa(g.rnd.IntN(60)))
	case 4, 5:
		g.say("path", "*", "*", "loss", strconv.Itoa(g.rnd.IntN(60)))
	default:
		g.say("path", from, to, "loss", strconv.Itoa(g.rnd.IntN(100)))
	}
}

// jump sets the wall clocks. Adverts that carry the time would be refused.
func (g *generator) jump(*plan) {
	if !g.signed {
		g.say("jump", (time.Duration(g.rnd.IntN(7200)-3600) * time.Second).String())
	}
}

func (g *generator) partition(*plan) {
	words := []string{"partition"}
	for _, n := range g.nodes {
		if g.chance(50) {
			words = append(words, n.name)
		}
	}
	for _, c := range g.clients {
		if g.chance(50) {
			words = append(words, c)
		}
	}
	g.say(words...)
}

// retune changes a setting of one router.
func (g *generator) retune(n *plan) {
	i := g.rnd.IntN(len(g.names))
	k := g.names[i]
	words := []string{"want", n.name, id(k)}
	switch g.rnd.IntN(9) {
	case 0, 1:
		words = append(words, fmt.Sprintf("term=%d", g.rnd.IntN(200)-100))
	case 2:
		words = append(words, fmt.Sprintf("priority=%d", g.priority(g.chance(30))))
	case 3:
		words = append(words, "addresses="+g.addresses(g.router0(k), k.Family))
	case 4:
		words = append(words, g.preempt()...)
	case 5:
		words = append(words, "preempt=always")
	case 6:
		words = append(words, "fault="+pick(g, "", "nginx:dead"))
	case 7:
		words = append(words, g.holds()...)
	case 8: // version 2 hears only its own interval
		words = append(words, "advert="+(g.interval*time.Duration(1+g.rnd.IntN(3))).String())
	}
	g.say(words...)
	g.say("apply", n.name)
}

// router0 is the number of a router.
func (g *generator) router0(k Key) int { return int(k.Name[1] - '0') }

// conflict gives a router another VRID, for a while.
func (g *generator) conflict(n *plan) {
	k := pick(g, g.names...)
	g.say("want", n.name, id(k), fmt.Sprintf("vrid=%d", pick(g, 51+g.router0(k), 51, 52, 60)))
	g.say("apply", n.name)
}

// link changes an interface that may be tracked.
func (g *generator) link(n *plan) {
	if !g.tracking {
		return
	}
	g.say("link", n.name, "eth1", pick(g, "up", "down"))
}

// renumber takes the node's own addresses away, or gives them back.
func (g *generator) renumber(n *plan) {
	four, six := g.address(n.index, IPv4).String(), g.address(n.index, IPv6).String()
	switch g.rnd.IntN(4) {
	case 0:
		g.say("addresses", n.name)
	case 1:
		g.say("addresses", n.name, four)
	default:
		g.say("addresses", n.name, four, six)
	}
}
