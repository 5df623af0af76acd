package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// report writes the table, and the logs of what went wrong.
func (o options) report(outcomes []outcome) error {
	wrong := 0
	for i, out := range outcomes {
		if len(out.verdict(o.slack)) == 0 {
			continue
		}
		wrong++
		if o.logs == "" {
			continue
		}
		text := fmt.Sprintf("%v\n%s\n%s", out.cell, strings.Join(out.verdict(o.slack), "\n"), out.Logs)
		if err := errors.Join(os.MkdirAll(o.logs, 0o755), os.WriteFile(filepath.Join(o.logs, fmt.Sprintf("%03d.log", i)), []byte(text), 0o644)); err != nil {
			return err
		}
	}
	fmt.Printf("\n%d cells, %d wrong\n", len(outcomes), wrong)
	if o.out != "" {
		f, err := os.Create(o.out)
		if err != nil {
			return err
		}
		if err := errors.Join(o.table(f, outcomes), f.Close()); err != nil {
			return err
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d cells went wrong", wrong, len(outcomes))
	}
	return nil
}

// table writes one line per cell.
func (o options) table(w io.Writer, outcomes []outcome) error {
	fmt.Fprintf(w, "Harmony beside %s. The first speaker owns the address (priority %d), the other waits (%d; %d in preempt and nopreempt).\n"+
		"DARK and BOTH: the longest time in which nobody, or two nodes, answered the observer's ARP or ND requests (one each %v), from\n"+
		"the event until it was undone, and AFTERWARDS. A speaker that is killed or paused, and one whose adverts do not arrive, goes on\n"+
		"to answer: that is not counted against the peer, and Harmony's kernel is silenced by its fence. \"same\": both have the same MAC.\n"+
		"Every cell is WRONG too if tcpdump -vv, the peer or Harmony finds fault with an advert. Slack: %v.\n\n",
		strings.Join(o.names, ", "), high, low, higher, askEvery, o.slack)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "PEER\tVERSION\tFAMILY\tCAST\tWITH\tFIRST\tEVENT\tDARK\tBOTH\tDARK AFTERWARDS\tBOTH AFTERWARDS\tVERDICT")
	for _, out := range outcomes {
		verdict := "ok"
		if wrong := out.verdict(o.slack); len(wrong) > 0 {
			verdict = "WRONG: " + strings.ReplaceAll(strings.Join(wrong, "; "), "\n", " ")
		}
		cast := map[bool]string{false: "multicast", true: "unicast"}[out.Unicast]
		fmt.Fprintf(tw, "%s\tv%d\tIPv%d\t%s\t%s\t%s\t%s\t%v\t%v\t%v\t%v\t%s\n", out.Peer, out.Version, out.Family, cast, out.Feature, out.First, out.Event,
			ms(out.During.Dark), out.both(out.During.Overlap), ms(out.After.Dark), out.both(out.After.Overlap), verdict)
	}
	return tw.Flush()
}

func (o outcome) both(d time.Duration) string {
	if o.Feature == "VMAC" {
		return "same"
	}
	return ms(d).String()
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
