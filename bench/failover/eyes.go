package main

import (
	"context"
	"net/netip"
	"time"

	"harmony/bench/probe"
)

// eyes are the probes that watch one event: of each family a UDP and an ICMP
// client, and an observer that asks who has the address.
type eyes map[string]*probe.Load

// kinds are the probes of one family.
var kinds = []string{"udp", "icmp", "observe"}

// sample is one event as it was seen.
type sample struct {
	Peer   string        `json:"peer"`
	Event  string        `json:"event"`
	Advert time.Duration `json:"advert"`
	// By name of a probe, such as udp6.
	Sent map[string]int `json:"sent"`
	Lost map[string]int `json:"lost"`
	// Dark is the longest time without service that a client has seen, Silent
	// the longest in which nobody has answered ARP or ND, and Overlap the
	// longest in which two nodes have.
	Dark    time.Duration `json:"dark"`
	Silent  time.Duration `json:"silent"`
	Overlap time.Duration `json:"overlap"`
}

func (s sample) lost() (sum int) {
	for _, n := range s.Lost {
		sum += n
	}
	return sum
}

func (p *pair) open(ctx context.Context) (_ eyes, err error) {
	e := eyes{}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	for family, vip := range map[string]netip.Addr{"4": vip4, "6": vip6} {
		for _, kind := range kinds {
			spec := probe.Spec{Role: kind, Target: vip.String(), Interval: probeEvery, Timeout: probeTimeout}
			at := p.client
			switch kind {
			case "udp":
				spec.Target = netip.AddrPortFrom(vip, echoPort).String()
			case "observe":
				spec.Interval, at = askEvery, p.watch
			}
			if e[kind+family], err = probe.Start(ctx, at, spec); err != nil {
				return nil, err
			}
		}
	}
	return e, nil
}

func (e eyes) close() {
	for _, l := range e {
		if l != nil {
			l.Stop()
		}
	}
}

// sample sums up what was seen in [from, to).
func (e eyes) sample(p *pair, event string, from, to time.Time) sample {
	s := sample{Peer: p.name, Event: event, Advert: p.advert, Sent: map[string]int{}, Lost: map[string]int{}}
	for _, family := range []string{"4", "6"} {
		for _, kind := range []string{"udp", "icmp"} {
			w := e[kind+family].Window(kind, from, to)
			s.Sent[kind+family], s.Lost[kind+family] = w.Sent, w.Lost
			s.Dark = max(s.Dark, w.Dark)
		}
		o := probe.Owners(e["observe"+family].Results(), from, to, askGap)
		s.Silent, s.Overlap = max(s.Silent, o.Dark), max(s.Overlap, o.Overlap)
	}
	return s
}
