// Command failover measures, from a client, how long addresses are dark when
// their owner stops, is cut off or is killed, and when it comes back: Harmony
// beside keepalived, the same configuration, in the same run, one event after
// the other; and Harmony giving way to keepalived. Then it measures what many
// routers cost, how soon many addresses are announced, and whether anything
// moves while the processors are busy.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"harmony/bench/lab"
	"harmony/bench/probe"
)

// options are the flags.
type options struct {
	harmony   string
	runs      int
	handOvers int
	adverts   []time.Duration
	events    []string
	pairs     []string
	raw       string
	control   bool
	rest      bool
	what      string
	routers   int
	addresses int
	soak      time.Duration
}

func main() {
	if probe.Main() {
		return
	}
	isolated, code, err := lab.Isolate()
	if err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
	if !isolated {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

func parse() (o options, err error) {
	bin := flag.String("harmony", "bin/harmony", "the harmony binary")
	flag.IntVar(&o.runs, "n", 30, "events of each kind and pair")
	flag.IntVar(&o.handOvers, "handovers", 0, "stops of Harmony at each advert interval, if other than -n")
	adverts := flag.String("adverts", "10ms,100ms,1s", "advert intervals")
	events := flag.String("events", "stop,cut,kill-one,kill-all,kill-cgroup", "what happens to the owner; each event is followed by its return")
	pairs := flag.String("pairs", "harmony,keepalived,mixed", "the nodes; mixed is Harmony with keepalived as its backup, for stop only")
	flag.StringVar(&o.raw, "raw", "", "folder for what every single event has cost, as JSON lines")
	flag.BoolVar(&o.control, "control", false, "give Harmony twice the advert interval: the bars must go red")
	flag.StringVar(&o.what, "what", "events,routers,addresses,soak", "what to measure")
	flag.IntVar(&o.routers, "routers", 255, "routers: how many on a node, at 100 ms adverts")
	flag.IntVar(&o.addresses, "addresses", 1000, "addresses: how many of one router, whose owner is cut off")
	flag.DurationVar(&o.soak, "soak", 3*time.Minute, "soak: for how long all processors are kept busy, at 100 ms adverts")
	flag.BoolVar(&o.rest, "rest", true, "measure nodes at rest too")
	flag.Parse()
	for _, a := range strings.Split(*adverts, ",") {
		d, err := time.ParseDuration(a)
		if err != nil {
			return o, err
		}
		o.adverts = append(o.adverts, d)
	}
	o.events, o.pairs = strings.Split(*events, ","), strings.Split(*pairs, ",")
	if o.handOvers == 0 {
		o.handOvers = o.runs
	}
	o.harmony, err = filepath.Abs(*bin)
	return o, err
}

func run(ctx context.Context) error {
	o, err := parse()
	if err != nil {
		return err
	}
	var red []string
	for _, b := range []struct {
		what string
		run  func(context.Context, options) ([]string, error)
	}{{"events", benchEvents}, {"routers", benchRouters}, {"addresses", benchAddresses}, {"soak", benchSoak}} {
		if !slices.Contains(strings.Split(o.what, ","), b.what) {
			continue
		}
		more, err := b.run(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", b.what, err)
		}
		red = append(red, more...)
	}
	switch {
	case o.control && len(red) == 0:
		return errors.New("the control did not go red: this bench cannot tell good from bad")
	case !o.control && len(red) > 0:
		return fmt.Errorf("bars not held:\n  %s", strings.Join(red, "\n  "))
	}
	return nil
}

// benchEvents lets events happen to owners, and prints what clients saw.
func benchEvents(ctx context.Context, o options) ([]string, error) {
	fmt.Printf("keepalived's configuration:\n%s\n", planned(o.adverts[0]).configuration("A", ownerPriority))
	var all []sample
	var rests []rest
	for _, advert := range o.adverts {
		got, still, err := measure(ctx, o, advert)
		all, rests = append(all, got...), append(rests, still...)
		if err != nil {
			return nil, errors.Join(err, writeRaw(o.raw, all))
		}
	}
	if err := writeRaw(o.raw, all); err != nil {
		return nil, err
	}
	return append(report(o, all), reportRest(rests)...), nil
}

func (o options) newPair(ctx context.Context, name string, advert time.Duration) (*pair, error) {
	p := planned(advert)
	switch name {
	case "harmony":
		return newPair(ctx, name, o.newHarmony(p), o.newHarmony(p), advert)
	case "keepalived":
		return newPair(ctx, name, keepalived{p}, keepalived{p}, advert)
	case "mixed":
		return newPair(ctx, name, o.newHarmony(p), keepalived{p}, advert)
	}
	return nil, fmt.Errorf("unknown pair %q", name)
}

// measure runs all events at one advert interval: the pairs in turn, or, where
// what is measured is seconds and what disturbs it milliseconds, side by side.
func measure(ctx context.Context, o options, advert time.Duration) (out []sample, rests []rest, err error) {
	var pairs []*pair
	for _, name := range o.pairs {
		p, err := o.newPair(ctx, name, advert)
		if err != nil {
			return nil, nil, err
		}
		defer p.close()
		pairs = append(pairs, p)
	}
	for _, p := range pairs {
		if !o.rest || p.name == "mixed" {
			continue
		}
		r, err := p.rest(ctx)
		if err != nil {
			return nil, nil, err
		}
		rests = append(rests, r...)
	}
	var mu sync.Mutex // guards out
	one := func(p *pair, event string) error {
		s, err := p.measure(ctx, event)
		if err != nil {
			return fmt.Errorf("%s, %s at %s: %w\n%s", p.name, event, advert, err, p.logs())
		}
		mu.Lock()
		defer mu.Unlock()
		out = append(out, s...)
		return nil
	}
	if advert >= time.Second {
		return out, rests, sideBySide(o, pairs, one)
	}
	for _, event := range o.events {
		for i := range max(o.runs, o.handOvers) {
			for _, p := range pairs {
				if i >= o.times(p, event) {
					continue
				}
				if err := one(p, event); err != nil {
					return out, rests, err
				}
			}
		}
	}
	return out, rests, nil
}

// times is how often a pair is to suffer an event.
func (o options) times(p *pair, event string) int {
	switch {
	case p.name != "keepalived" && event == "stop":
		return o.handOvers
	case p.name == "mixed":
		return 0
	}
	return o.runs
}

func sideBySide(o options, pairs []*pair, one func(*pair, string) error) error {
	errs := make([]error, len(pairs))
	var wg sync.WaitGroup
	for i, p := range pairs {
		wg.Go(func() {
			for _, event := range o.events {
				for range o.times(p, event) {
					if errs[i] = one(p, event); errs[i] != nil {
						return
					}
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// phase is a random wait, so that events hit the adverts at any point.
func phase(advert time.Duration) time.Duration { return rand.N(2 * advert) }

func writeRaw(folder string, all []sample) error {
	if folder == "" {
		return nil
	}
	f, err := os.Create(filepath.Join(folder, "failover.jsonl"))
	if err != nil {
		return err
	}
	enc := json.NewEncoder(f)
	for _, s := range all {
		err = errors.Join(err, enc.Encode(s))
	}
	return errors.Join(err, f.Close())
}

// logs are the ends of what the nodes have printed.
func (p *pair) logs() (text string) {
	for _, node := range []string{"A", "B"} {
		data, _ := os.ReadFile(filepath.Join(p.folder, node, "log"))
		lines := slices.Collect(strings.Lines(string(data)))
		text += node + ":\n" + strings.Join(lines[max(0, len(lines)-15):], "")
	}
	return text
}
