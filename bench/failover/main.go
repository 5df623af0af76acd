// Command failover measures, from a client, how long an address is dark when
// its owner stops, is cut off or is killed: Harmony beside keepalived, the
// same configuration, in the same run, one event after the other.
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
	"syscall"
	"text/tabwriter"
	"time"

	"harmony/bench/lab"
	"harmony/bench/probe"
)

// options are the flags.
type options struct {
	harmony string
	runs    int
	adverts []time.Duration
	events  []string
	raw     string
	control bool
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
	flag.IntVar(&o.runs, "n", 20, "events of each kind and peer")
	adverts := flag.String("adverts", "10ms,100ms", "advert intervals")
	events := flag.String("events", "stop,cut,kill", "what happens to the owner")
	flag.StringVar(&o.raw, "raw", "", "folder for every single probe's fate, as JSON lines")
	flag.BoolVar(&o.control, "control", false, "give Harmony twice the advert interval: the bars must go red")
	flag.Parse()
	for _, a := range strings.Split(*adverts, ",") {
		d, err := time.ParseDuration(a)
		if err != nil {
			return o, err
		}
		o.adverts = append(o.adverts, d)
	}
	o.events = strings.Split(*events, ",")
	o.harmony, err = filepath.Abs(*bin)
	return o, err
}

// sample is one event as the client saw it.
type sample struct {
	Peer   string        `json:"peer"`
	Event  string        `json:"event"`
	Advert time.Duration `json:"advert"`
	Sent   int           `json:"sent"`
	Lost   int           `json:"lost"`
	Dark   time.Duration `json:"dark"`
}

func run(ctx context.Context) error {
	o, err := parse()
	if err != nil {
		return err
	}
	var all []sample
	var rests []rest
	for _, advert := range o.adverts {
		got, still, err := measure(ctx, o, advert)
		if err != nil {
			return err
		}
		all, rests = append(all, got...), append(rests, still...)
	}
	if err := writeRaw(o.raw, all); err != nil {
		return err
	}
	red := append(report(o, all), reportRest(rests)...)
	switch {
	case o.control && len(red) == 0:
		return errors.New("the control did not go red: this bench cannot tell good from bad")
	case !o.control && len(red) > 0:
		return fmt.Errorf("bars not held: %s", strings.Join(red, "; "))
	}
	return nil
}

// measure runs all events at one advert interval, the peers in turn.
func measure(ctx context.Context, o options, advert time.Duration) ([]sample, []rest, error) {
	var pairs []*pair
	for _, make := range []func(time.Duration) peer{o.newHarmony, newKeepalived} {
		p, err := newPair(ctx, make(advert), advert)
		if err != nil {
			return nil, nil, err
		}
		defer p.close()
		pairs = append(pairs, p)
	}
	var out []sample
	var rests []rest
	for _, p := range pairs {
		r, err := p.rest(ctx)
		if err != nil {
			return nil, nil, err
		}
		rests = append(rests, r...)
	}
	for _, event := range o.events {
		for i := range o.runs {
			for _, p := range pairs {
				s, err := p.measure(ctx, event)
				if err != nil {
					return nil, nil, fmt.Errorf("%s, %s at %s, run %d: %w", p.peer.name(), event, advert, i+1, err)
				}
				out = append(out, s)
			}
		}
	}
	return out, rests, nil
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

// report prints the table and returns the bars that are not held.
func report(o options, all []sample) (red []string) {
	fmt.Printf("\nkeepalived's configuration:\n%s\n", keepalivedConfig("A", ownerPriority, o.adverts[0]))
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "EVENT\tADVERT\tPEER\tRUNS\tDARK MEDIAN\tDARK WORST\tLOST MEDIAN\tLOST TOTAL\tPROTOCOL\tBAR")
	for _, advert := range o.adverts {
		for _, event := range o.events {
			for _, peer := range []string{"harmony", "keepalived"} {
				line := collect(all, peer, event, advert)
				bar, held := line.bar()
				if peer != "harmony" {
					bar = ""
				} else if !held {
					red = append(red, fmt.Sprintf("%s at %s: %s", event, advert, bar))
					bar += " RED"
				}
				fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\t%s\t%d\t%d\t%s\t%s\n", event, advert, peer, len(line.dark),
					line.median().Round(100*time.Microsecond), line.worst().Round(100*time.Microsecond),
					line.lost[len(line.lost)/2], line.total, takeover(advert).Round(100*time.Microsecond), bar)
			}
		}
	}
	if err := tw.Flush(); err != nil {
		red = append(red, err.Error())
	}
	return red
}

// series is what one peer showed at one kind of event, sorted.
type series struct {
	event  string
	advert time.Duration
	dark   []time.Duration
	lost   []int
	total  int
}

func collect(all []sample, peer, event string, advert time.Duration) series {
	s := series{event: event, advert: advert}
	for _, x := range all {
		if x.Peer == peer && x.Event == event && x.Advert == advert {
			s.dark, s.lost = append(s.dark, x.Dark), append(s.lost, x.Lost)
			s.total += x.Lost
		}
	}
	slices.Sort(s.dark)
	slices.Sort(s.lost)
	return s
}

func (s series) median() time.Duration { return s.dark[len(s.dark)/2] }
func (s series) worst() time.Duration  { return s.dark[len(s.dark)-1] }

// takeover is the time of RFC 9568 §6.1 until a silent owner is replaced.
func takeover(advert time.Duration) time.Duration {
	return 3*advert + (256-backupPriority)*advert/256
}

// bar is what Harmony promises of an event, and whether it was held.
func (s series) bar() (text string, held bool) {
	switch s.event {
	case "stop":
		return "0 lost", s.total == 0
	case "cut", "kill":
		limit := takeover(s.advert) + 5*time.Millisecond
		return fmt.Sprintf("median ≤ %s", limit.Round(100*time.Microsecond)), s.median() <= limit
	}
	return "", true
}
