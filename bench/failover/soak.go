package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"text/tabwriter"
)

// benchSoak keeps all processors busy and counts what moves though nothing
// has happened.
func benchSoak(ctx context.Context, o options) (red []string, err error) {
	p := planned(scaleAdvert)
	p.routers[0].addresses = addresses(0, 1)
	duos := []*duo{}
	for _, with := range []peer{o.newHarmony(p), keepalived{p}} {
		d, err := newDuo(ctx, with, 1)
		if err != nil {
			return nil, err
		}
		defer d.close()
		duos = append(duos, d)
	}
	before := map[string]int{}
	for _, d := range duos {
		before[d.peer.name()] = d.transitions()
	}
	stop := burn(runtime.NumCPU())
	err = pause(ctx, o.soak)
	stop()
	if err != nil {
		return nil, err
	}
	fmt.Printf("\nSoak: %v at %v adverts, %d processors all busy, no event\n", o.soak, scaleAdvert, runtime.NumCPU())
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "PEER\tTRANSITIONS\tBAR")
	for _, d := range duos {
		n, bar := d.transitions()-before[d.peer.name()], ""
		if d.peer.name() == "harmony" {
			bar = "0"
			if n > 0 {
				bar += " RED"
				red = append(red, fmt.Sprintf("soak: %d transitions without an event", n))
			}
		}
		fmt.Fprintf(tw, "%s\t%d\t%s\n", d.peer.name(), n, bar)
	}
	return red, tw.Flush()
}

// transitions counts those that both nodes have logged.
func (d *duo) transitions() (n int) {
	for _, role := range []string{"owner", "backup"} {
		data, _ := os.ReadFile(filepath.Join(d.folder, role, "log"))
		n += strings.Count(string(data), "msg=transition") + strings.Count(string(data), "Entering ")
	}
	return n
}

// burn keeps n processors busy until stop is called.
func burn(n int) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for x := 1; ; x++ {
				if x%(1<<20) == 0 {
					select {
					case <-done:
						return
					default:
					}
				}
			}
		})
	}
	return func() { close(done); wg.Wait() }
}
