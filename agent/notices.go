package agent

import (
	"fmt"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// writeNotices shows how telling others has gone, if anybody is to be told.
func writeNotices(w io.Writer, s Status, now time.Time) {
	n := s.Worker.Notify
	if len(n.Scripts) > 0 {
		fmt.Fprintf(w, "\nNOTIFY SCRIPT\tWELL\tFAILED\tTIMED OUT\tDROPPED\tLAST FAILURE\n")
	}
	for _, c := range n.Scripts {
		last := "-"
		if f := c.LastFailure; f != nil {
			last = fmt.Sprintf("%s ago, %s: %s", age(f.At, now), f.About, f.Error)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\n", c.Name, c.Succeeded, c.Failed, c.TimedOut, c.Dropped, last)
	}
	if f := n.FIFO; f != nil {
		fmt.Fprintf(w, "\nNOTIFY FIFO\tLINES\tDROPPED\n%s\t%d\t%d", f.Path, f.Written, f.Dropped)
		if f.Error != "" {
			fmt.Fprintf(w, "\t%s", f.Error)
		}
		fmt.Fprintln(w)
	}
	if lost := s.Election.Untold; lost > 0 {
		fmt.Fprintf(w, "%d changes of state were told to nobody: there was no worker for too long\n", lost)
	}
	if n.Waiting > 0 {
		fmt.Fprintf(w, "%d runs of notify scripts wait for an earlier one\n", n.Waiting)
	}
}

func (c statusCollector) collectNotices(gauge, counter func(*prometheus.Desc, float64, ...string)) {
	n := c.s.Worker.Notify
	for _, s := range n.Scripts {
		counter(metrics.notified, float64(s.Succeeded), s.Name, "success")
		counter(metrics.notified, float64(s.Failed), s.Name, "failure")
		counter(metrics.notified, float64(s.TimedOut), s.Name, "timeout")
		counter(metrics.notified, float64(s.Dropped), s.Name, "dropped")
	}
	if f := n.FIFO; f != nil {
		counter(metrics.fifoLines, float64(f.Written), "written")
		counter(metrics.fifoLines, float64(f.Dropped), "dropped")
	}
	gauge(metrics.notifyWaiting, float64(n.Waiting))
	counter(metrics.untold, float64(c.s.Election.Untold))
}
