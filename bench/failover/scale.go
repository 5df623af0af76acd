package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"harmony/bench/probe"
)

const (
	scaleAdvert = 100 * time.Millisecond
	scaleFor    = 20 * time.Second
	electorRSS  = 40 << 10 // KiB
)

// cost is what a node with many routers costs.
type cost struct {
	cpu     map[string]float64 // of one core, by role
	elector int                // KiB, of the process that elects, as owner
}

// benchRouters compares what many routers cost, both peers in turn.
func benchRouters(ctx context.Context, o options) (red []string, err error) {
	p := plan{advert: scaleAdvert}
	for i := range o.routers {
		p.routers = append(p.routers, virtual{i + 1, addresses(i, 1)})
	}
	costs := map[string]cost{}
	for _, with := range []peer{o.newHarmony(p), keepalived{p}} {
		if costs[with.name()], err = costOf(ctx, with, o.routers); err != nil {
			return nil, err
		}
	}
	fmt.Printf("\n%d routers at %v adverts, %v each:\n", o.routers, scaleAdvert, scaleFor)
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ROLE\tPEER\tCPU OF A CORE\tRATIO\tRSS OF THE ELECTOR\tBAR")
	ours, theirs := costs["harmony"], costs["keepalived"]
	for _, role := range []string{"owner", "backup"} {
		bar := fmt.Sprintf("≤ keepalived, ≤ %d MB", electorRSS>>10)
		if ours.cpu[role] > theirs.cpu[role] || ours.elector > electorRSS {
			red = append(red, fmt.Sprintf("%d routers as %s: %.1f %% of a core (keepalived %.1f %%), %d MB", o.routers, role, 100*ours.cpu[role], 100*theirs.cpu[role], ours.elector>>10))
			bar += " RED"
		}
		fmt.Fprintf(tw, "%s\tharmony\t%.1f %%\t%.2f\t%d MB\t%s\n", role, 100*ours.cpu[role], ours.cpu[role]/theirs.cpu[role], ours.elector>>10, bar)
		fmt.Fprintf(tw, "%s\tkeepalived\t%.1f %%\t\t%d MB\t\n", role, 100*theirs.cpu[role], theirs.elector>>10)
	}
	return red, tw.Flush()
}

// addresses are n virtual addresses from the i-th on.
func addresses(i, n int) (list []netip.Prefix) {
	for j := range n {
		list = append(list, address(i+j))
	}
	return list
}

func costOf(ctx context.Context, with peer, routers int) (cost, error) {
	d, err := newDuo(ctx, with, routers)
	if err != nil {
		return cost{}, err
	}
	defer d.close()
	if err := pause(ctx, 7*time.Second); err != nil { // the second burst of announcements is over
		return cost{}, err
	}
	c, before := cost{cpu: map[string]float64{}}, map[string]time.Duration{}
	start := time.Now()
	for role, cmd := range d.procs {
		before[role] = cpuTime(family(cmd.Process.Pid))
	}
	if err := pause(ctx, scaleFor); err != nil {
		return cost{}, err
	}
	for role, cmd := range d.procs {
		c.cpu[role] = float64(cpuTime(family(cmd.Process.Pid))-before[role]) / float64(time.Since(start))
	}
	c.elector = rss([]int{elector(with, d.procs["owner"].Process.Pid)})
	return c, nil
}

// elector is the process that elects: Harmony's parent, keepalived's child.
func elector(with peer, pid int) int {
	if kids := children(pid); with.name() == "keepalived" && len(kids) > 0 {
		return kids[0]
	}
	return pid
}

// benchAddresses compares how soon the last of many addresses is announced
// after the owner was cut off.
func benchAddresses(ctx context.Context, o options) (red []string, err error) {
	const runs = 5
	p := plan{scaleAdvert, []virtual{{vrid, addresses(0, o.addresses)}}}
	spans := map[string][]announced{}
	duos := map[string]*duo{}
	for _, with := range []peer{o.newHarmony(p), keepalived{p}} {
		if duos[with.name()], err = newDuo(ctx, with, o.addresses); err != nil {
			return nil, err
		}
		defer duos[with.name()].close()
	}
	for range runs {
		for name, d := range duos {
			a, err := d.cut(ctx, o.addresses)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			spans[name] = append(spans[name], a)
		}
	}
	fmt.Printf("\nOne router with %d addresses, %d times: the owner is cut off\n", o.addresses, runs)
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "PEER\tFIRST ANNOUNCED\tLAST ANNOUNCED\tBETWEEN THEM, MEDIAN\tWORST\tBAR")
	ours, theirs := spread(spans["harmony"]), spread(spans["keepalived"])
	bar := "last no later than keepalived's"
	// The cut comes at any point between two adverts: what compares is the last
	// one's distance from the first, added to the same down interval.
	if median(ours) > median(theirs) {
		red = append(red, fmt.Sprintf("%d addresses: the last is announced %v after the first, keepalived's %v", o.addresses, short(median(ours)), short(median(theirs))))
		bar += " RED"
	}
	for _, name := range []string{"harmony", "keepalived"} {
		first, last := worstOf(spans[name])
		s := spread(spans[name])
		fmt.Fprintf(tw, "%s\tby %v\tby %v\t%v\t%v\t%s\n", name, short(first), short(last), short(median(s)), short(worst(s)), bar)
		bar = ""
	}
	return red, tw.Flush()
}

// announced is when the first and when the last address was announced for the
// first time, since the cut.
type announced struct{ first, last time.Duration }

// cut cuts the owner off, and heals it again.
func (d *duo) cut(ctx context.Context, n int) (a announced, err error) {
	if err := d.until(ctx, "owner", "backup", n); err != nil {
		return a, err
	}
	load, err := probe.Start(ctx, d.nodes["watch"], probe.Spec{Role: "announcements"})
	if err != nil {
		return a, err
	}
	defer load.Stop()
	if err := pause(ctx, 500*time.Millisecond+phase(scaleAdvert)); err != nil {
		return a, err
	}
	at := time.Now()
	if err := d.nodes["owner"].Cut(); err != nil {
		return a, err
	}
	if err := d.until(ctx, "backup", "watch", n); err != nil {
		return a, err
	}
	seen := map[string]bool{}
	for _, r := range load.Results() {
		if r.Start.After(at) && !seen[r.By] {
			seen[r.By] = true
			a.last = r.Start.Sub(at)
			if len(seen) == 1 {
				a.first = a.last
			}
		}
	}
	if len(seen) != n {
		return a, fmt.Errorf("%d addresses of %d were announced", len(seen), n)
	}
	return a, d.nodes["owner"].Heal()
}

// spread is how far apart first and last were, sorted.
func spread(list []announced) (out []time.Duration) {
	for _, a := range list {
		out = append(out, a.last-a.first)
	}
	slices.Sort(out)
	return out
}

// worstOf is by when the first, and the last, was announced every time.
func worstOf(list []announced) (first, last time.Duration) {
	for _, a := range list {
		first, last = max(first, a.first), max(last, a.last)
	}
	return first, last
}
