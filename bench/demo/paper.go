package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"harmony/bench/probe"
)

const picture = `
   client 10.90.0.2          the address 10.90.0.100 and fd90::100
        │                    is on one of the edges at a time
   ═════╪══════════╤═══════════════╤═══════════════╤══════════ one switch
        │       edge-1          edge-2          edge-3
        │      prio 200        prio 150        prio 100
        │    agent + NGINX   agent + NGINX   agent + NGINX
   ═════╧══╤═════════╤═════════╤═════════╤═════════╤═════════╤
         tea-1     tea-2     tea-3   coffee-1  coffee-2  coffee-3

`

// paper is what the audience reads: titles, lines, checks, a table at the end.
type paper struct {
	w      io.Writer
	rows   []row
	failed []string
}

// row is one event of the summary.
type row struct {
	event, owner string
	windows      map[string]probe.Window
	held         bool
}

func newPaper(w io.Writer) *paper { return &paper{w: w} }

func (p *paper) title(s string) {
	fmt.Fprintf(p.w, "\n\x1b[1m━━ %s %s\x1b[0m\n", s, strings.Repeat("━", max(3, 70-len(s))))
}

func (p *paper) print(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

// check prints one expectation and remembers whether it held.
func (p *paper) check(held bool, format string, args ...any) bool {
	what := fmt.Sprintf(format, args...)
	if held {
		fmt.Fprintf(p.w, "  \x1b[32m✓\x1b[0m %s\n", what)
		return true
	}
	fmt.Fprintf(p.w, "  \x1b[31m✗ %s\x1b[0m\n", what)
	p.failed = append(p.failed, what)
	return false
}

func (p *paper) failure(err error) {
	fmt.Fprintf(p.w, "\n\x1b[31m✗ %v\x1b[0m\n", err)
	p.failed = append(p.failed, err.Error())
}

// summary prints the table and returns whether everything held.
func (p *paper) summary() bool {
	p.title("Summary: what the client saw")
	tw := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "EVENT\tOWNER AFTER\tDARK IPv4\tDARK IPv6\tUDP LOST\tHTTPS LOST\tTCP LOST\t")
	for _, r := range p.rows {
		u4, u6 := r.windows["udp4"], r.windows["udp6"]
		mark := "held"
		if !r.held {
			mark = "NOT HELD"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.event, r.owner, round(u4.Dark), round(u6.Dark),
			lost(probe.Window{Sent: u4.Sent + u6.Sent, Lost: u4.Lost + u6.Lost}), lost(r.windows["https"]), lost(r.windows["tcp"]), mark)
	}
	if err := tw.Flush(); err != nil {
		p.failed = append(p.failed, err.Error())
	}
	if len(p.failed) > 0 {
		fmt.Fprintf(p.w, "\n\x1b[31m%d did not hold:\x1b[0m\n  %s\n", len(p.failed), strings.Join(p.failed, "\n  "))
		return false
	}
	fmt.Fprintf(p.w, "\n\x1b[32mAll of it held.\x1b[0m\n")
	return true
}

func lost(w probe.Window) string { return fmt.Sprintf("%d of %d", w.Lost, w.Sent) }

// round makes a duration readable: milliseconds below ten seconds.
func round(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}
