// Command bulk measures how long it takes to fill the kernel's ip_vs table,
// and to find that nothing has to be done: Harmony beside ipvsadm -R, keepalived
// and github.com/moby/ipvs, the same table, in the same run, in turn. It needs
// a kernel with ip_vs (make bench runs it in the lab's virtual machine
// otherwise).
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"harmony/bench/lab"
	"harmony/ipvs"
)

type options struct {
	services, reals, runs int
	moby                  string
}

func main() {
	isolated, code, err := lab.Isolate()
	if err == nil && !isolated {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err == nil {
		err = run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bulk:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var o options
	flag.IntVar(&o.services, "services", 1000, "virtual services")
	flag.IntVar(&o.reals, "reals", 10, "real servers of each")
	flag.IntVar(&o.runs, "n", 5, "runs of each")
	flag.StringVar(&o.moby, "moby", "bin/mobyipvs", "the program of tools/mobyipvs")
	flag.Parse()
	if !lab.Has("ip_vs") {
		return ipvs.ErrUnavailable
	}
	times := map[string][]time.Duration{}
	for range o.runs {
		for _, p := range peers {
			if err := o.measure(ctx, p, times); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	return o.report(times)
}

// peer fills the table of a node that has an empty one.
type peer struct {
	name string
	fill func(ctx context.Context, o options, nd *lab.Node, folder string, times map[string][]time.Duration) error
}

var peers = []peer{{"harmony", fillHarmony}, {"ipvsadm -R", fillIPVSAdm}, {"moby/ipvs", fillMoby}, {"keepalived", fillKeepalived}}

// measure gives a peer a network namespace of its own.
func (o options) measure(ctx context.Context, p peer, times map[string][]time.Duration) (err error) {
	sw, err := lab.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sw.Close()) }()
	nd, err := sw.Attach(ctx, "director", "10.0.0.1/16")
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp(lab.Scratch, "bulk")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := p.fill(ctx, o, nd, folder, times); err != nil {
		return err
	}
	n, err := entries(nd)
	if err == nil && n != o.services*(o.reals+1) {
		err = fmt.Errorf("%d entries in the table, want %d", n, o.services*(o.reals+1))
	}
	return err
}

// entries counts what is in a node's table.
func entries(nd *lab.Node) (n int, err error) {
	err = nd.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/ip_vs")
		n = bytes.Count(text, []byte("\nTCP ")) + bytes.Count(text, []byte("\n  -> "))
		return err
	})
	return n - 1, err // the heading has an arrow too
}

// table is the services, with the weight of the first real server.
func (o options) table(first int) []ipvs.Service {
	services := make([]ipvs.Service, o.services)
	for i := range services {
		services[i] = ipvs.Service{
			Key:       ipvs.Key{Address: netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), Port: 80, Protocol: ipvs.TCP},
			Scheduler: "rr",
		}
		for j := range o.reals {
			d := ipvs.Destination{Address: netip.AddrFrom4([4]byte{10, 0, byte(j >> 8), byte(j)}), Port: 80, Weight: 1}
			services[i].Destinations = append(services[i].Destinations, d)
		}
	}
	services[0].Destinations[0].Weight = first
	return services
}

// took notes how long f took.
func took(times map[string][]time.Duration, what string, f func() error) error {
	start := time.Now()
	if err := f(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	times[what] = append(times[what], time.Since(start))
	return nil
}

func fillHarmony(_ context.Context, o options, nd *lab.Node, folder string, times map[string][]time.Duration) error {
	return nd.Do(func() error {
		t, err := ipvs.NewTable(ipvs.Options{Journal: filepath.Join(folder, "ipvs.json"), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		set := func(want []ipvs.Service, commands int) func() error {
			return func() error {
				r, err := t.Set(want)
				if err == nil && len(r.Commands) != commands {
					err = fmt.Errorf("%d commands, want %d", len(r.Commands), commands)
				}
				return err
			}
		}
		return errors.Join(
			took(times, "harmony", set(o.table(1), o.services*(o.reals+1))),
			took(times, noop, set(o.table(1), 0)),
			took(times, oneWeight, set(o.table(2), 1)),
			t.Close(),
		)
	})
}

// What only Harmony does: it compares with the kernel.
const (
	noop      = "harmony, nothing to do"
	oneWeight = "harmony, one weight"
)

func fillIPVSAdm(ctx context.Context, o options, nd *lab.Node, folder string, times map[string][]time.Duration) error {
	var text bytes.Buffer
	if err := ipvs.Save(&text, o.table(1)); err != nil {
		return err
	}
	return took(times, "ipvsadm -R", func() error {
		cmd := nd.Command(ctx, "ipvsadm", "-R")
		cmd.Stdin = &text
		return finish(nd, cmd)
	})
}

func fillMoby(ctx context.Context, o options, nd *lab.Node, _ string, times map[string][]time.Duration) error {
	return took(times, "moby/ipvs", func() error {
		return finish(nd, nd.Command(ctx, o.moby, fmt.Sprint(o.services), fmt.Sprint(o.reals)))
	})
}

func finish(nd *lab.Node, cmd *exec.Cmd) error {
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := nd.Start(cmd); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	return nil
}

// fillKeepalived is over when the table is full and stays so. Without checks,
// keepalived takes its real servers for alive.
func fillKeepalived(ctx context.Context, o options, nd *lab.Node, folder string, times map[string][]time.Duration) error {
	conf := filepath.Join(folder, "keepalived.conf")
	if err := os.WriteFile(conf, []byte(o.keepalivedConfig()), 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	// It ends with the node: sooner, and its child would clean the table.
	cmd := nd.Command(context.WithoutCancel(ctx), "keepalived", "-n", "-l", "-C", "-f", conf, "-p", filepath.Join(folder, "pid"), "-c", filepath.Join(folder, "checkers.pid"))
	start := time.Now()
	if err := nd.Start(cmd); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // ends with the node
	var full time.Time
	for seen := 0; seen < 5; { // a table that changes while it is read may show too much
		n, err := entries(nd)
		switch {
		case err != nil:
			return err
		case n != o.services*(o.reals+1):
			seen = 0
		case seen == 0:
			full = time.Now()
			fallthrough
		default:
			seen++
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
	times["keepalived"] = append(times["keepalived"], full.Sub(start))
	return nil
}

func (o options) keepalivedConfig() string {
	var b strings.Builder
	for _, s := range o.table(1) {
		fmt.Fprintf(&b, "virtual_server %v %d {\n lb_algo rr\n lb_kind NAT\n protocol TCP\n", s.Address, s.Port)
		for _, d := range s.Destinations {
			fmt.Fprintf(&b, " real_server %v %d {\n  weight 1\n }\n", d.Address, d.Port)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// bars are how many times faster than each peer Harmony promises to be.
var bars = map[string]float64{"ipvsadm -R": 4, "keepalived": 4, "moby/ipvs": 3}

// report prints the table; bars that are not held are its error.
func (o options) report(times map[string][]time.Duration) error {
	median := func(what string) time.Duration {
		slices.Sort(times[what])
		return times[what][len(times[what])/2]
	}
	fmt.Printf("\nIPVS, %d services with %d real servers each, from an empty table:\n", o.services, o.reals)
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "WHO\tRUNS\tMEDIAN\tWORST\tHARMONY IS FASTER\tBAR")
	var red []string
	for _, what := range []string{"harmony", noop, oneWeight, "ipvsadm -R", "moby/ipvs", "keepalived"} {
		ratio, bar := "", ""
		if least := bars[what]; least > 0 {
			r := float64(median(what)) / float64(median("harmony"))
			ratio, bar = fmt.Sprintf("%.1f times", r), fmt.Sprintf("≥ %.0f", least)
			if r < least {
				bar += " RED"
				red = append(red, what)
			}
		}
		fmt.Fprintf(tw, "%s\t%d\t%v\t%v\t%s\t%s\n", what, len(times[what]), median(what).Round(time.Millisecond), slices.Max(times[what]).Round(time.Millisecond), ratio, bar)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if len(red) > 0 {
		return fmt.Errorf("bars not held: %s", strings.Join(red, ", "))
	}
	return nil
}
