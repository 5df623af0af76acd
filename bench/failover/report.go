package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// series is what one pair showed at one kind of event.
type series struct {
	peer, event           string
	advert                time.Duration
	dark, silent, overlap []time.Duration // sorted
	lost                  []int           // sorted
	total, sent           int
	total4                int // of the lost, those over IPv4
}

func collect(all []sample, peer, event string, advert time.Duration) series {
	s := series{peer: peer, event: event, advert: advert}
	for _, x := range all {
		if x.Peer == peer && x.Event == event && x.Advert == advert {
			s.dark, s.silent, s.overlap = append(s.dark, x.Dark), append(s.silent, x.Silent), append(s.overlap, x.Overlap)
			s.lost = append(s.lost, x.lost())
			s.total += x.lost()
			s.total4 += x.Lost["udp4"] + x.Lost["icmp4"]
			for _, n := range x.Sent {
				s.sent += n
			}
		}
	}
	for _, d := range [][]time.Duration{s.dark, s.silent, s.overlap} {
		slices.Sort(d)
	}
	slices.Sort(s.lost)
	return s
}

func median[T any](sorted []T) T { return sorted[len(sorted)/2] }
func p99[T any](sorted []T) T    { return sorted[(len(sorted)*99+99)/100-1] }
func worst[T any](sorted []T) T  { return sorted[len(sorted)-1] }

const (
	// atOnce is what a take-over that waits for no timer may take.
	atOnce = 10 * time.Millisecond
	// resolution of what the observer sees.
	resolution = askGap
)

// skew is the Skew_Time of the backup (RFC 9568 §6.1), and takeover the time
// until it replaces a silent owner.
func skew(advert time.Duration) time.Duration     { return (256 - backupPriority) * advert / 256 }
func takeover(advert time.Duration) time.Duration { return 3*advert + skew(advert) }

// bar is what Harmony promises of an event, and whether it was held. beside is
// keepalived in the same run.
func (s series) bar(beside series) (text string, held bool) {
	switch {
	case s.peer == "mixed":
		// Over IPv6 it is not held: the kernel delivers to a new address a moment
		// after it was added, and keepalived announces it at once.
		return fmt.Sprintf("0 lost (%d over IPv6)", s.total-s.total4), s.total == 0
	case s.event == "stop" || strings.HasPrefix(s.event, "return"):
		return "0 lost", s.total == 0
	case s.event == "cut" && len(beside.dark) > 0:
		// The median of 30 moments of an advert wanders by a tenth of it.
		limit := median(beside.dark) + s.advert/10 + time.Millisecond
		return fmt.Sprintf("median ≤ keepalived's + advert/10 + 1ms (%v)", short(limit)), median(s.dark) <= limit
	case strings.HasPrefix(s.event, "kill"):
		limit, both := skew(s.advert)+atOnce, takeover(s.advert)+resolution
		return fmt.Sprintf("dark ≤ %v, two answer ≤ %v", short(limit), short(both)), worst(s.dark) <= limit && worst(s.overlap) <= both
	}
	return "", true
}

func short(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// report prints the table and returns the bars that are not held.
func report(o options, all []sample) (red []string) {
	fmt.Println("DARK: no answer to a client's UDP or ICMP. SILENT, BOTH: nobody, or two nodes, answer ARP or ND.")
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ADVERT\tEVENT\tNODES\tRUNS\tLOST\tOF\tWORST\tDARK MEDIAN\tP99\tWORST\tSILENT MEDIAN\tWORST\tBOTH MEDIAN\tWORST\tRATIO\tBAR")
	for _, advert := range o.adverts {
		for _, event := range o.events {
			for _, e := range []string{event, "return after " + event} {
				red = append(red, reportEvent(tw, o, all, e, advert)...)
			}
		}
	}
	if err := tw.Flush(); err != nil {
		red = append(red, err.Error())
	}
	return red
}

func reportEvent(tw *tabwriter.Writer, o options, all []sample, event string, advert time.Duration) (red []string) {
	beside := collect(all, "keepalived", event, advert)
	for _, peer := range o.pairs {
		s := collect(all, peer, event, advert)
		if len(s.dark) == 0 {
			continue
		}
		bar, held := "", true
		if ours := peer == "harmony" || event == "stop" && peer == "mixed"; ours {
			bar, held = s.bar(beside)
		}
		if !held {
			red = append(red, fmt.Sprintf("%s, %s at %s: %s", peer, event, advert, bar))
			bar += " RED"
		}
		ratio := ""
		if peer != "keepalived" && len(beside.dark) > 0 && median(beside.dark) > 0 {
			ratio = fmt.Sprintf("%.2f", float64(median(s.dark))/float64(median(beside.dark)))
		}
		fmt.Fprintf(tw, "%v\t%s\t%s\t%d\t%d\t%d\t%d\t%v\t%v\t%v\t%v\t%v\t%v\t%v\t%s\t%s\n", advert, event, peer, len(s.dark),
			s.total, s.sent, worst(s.lost), short(median(s.dark)), short(p99(s.dark)), short(worst(s.dark)),
			short(median(s.silent)), short(worst(s.silent)), short(median(s.overlap)), short(worst(s.overlap)), ratio, bar)
	}
	return red
}
