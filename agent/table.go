package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"harmony/vrrp"
)

// WriteJSON renders a Status for programs.
func WriteJSON(w io.Writer, s Status) error { return WriteAnyJSON(w, s) }

// WriteAnyJSON renders a part of it, or any answer, in the same way.
func WriteAnyJSON(w io.Writer, s any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(s)
}

// WriteTable renders a Status for people. wide adds counters and check errors.
// now is used for ages only.
func WriteTable(w io.Writer, s Status, wide bool, now time.Time) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "%s  harmony %s  %s\n", s.Node, s.Version, summary(s, now))
	writeRouters(tw, s, wide, now)
	writeGossip(tw, s.Election.Gossip, now)
	writeTrackers(tw, s, now)
	writeNotices(tw, s, now)
	writeFirewall(tw, s.Worker.Firewall)
	writeWatchdog(tw, s.Worker.Watchdog)
	writeServices(tw, s, wide)
	writeSites(tw, s, now)
	if len(s.Worker.Source.Problems) > 0 {
		fmt.Fprintf(tw, "\nPROBLEMS\n")
		for _, p := range s.Worker.Source.Problems {
			fmt.Fprintf(tw, "%s: %s\n", p.Severity, p)
		}
	}
	return tw.Flush()
}

// summary is the state of the node in one line.
func summary(s Status, now time.Time) string {
	switch {
	case s.Worker.PID == 0:
		return fmt.Sprintf("DEGRADED: no worker (restarts: %d); election and addresses go on", s.Election.Restarts)
	case s.Election.Silent:
		return "DEGRADED: the worker is silent; this node serves as a last resort"
	case !s.Worker.Ready:
		return "NOT READY: " + strings.Join(s.Worker.NotReady, "; ")
	}
	return fmt.Sprintf("ready, source read %s ago", age(s.Worker.Source.Loaded, now))
}

func writeRouters(w io.Writer, s Status, wide bool, now time.Time) {
	fmt.Fprintf(w, "\nROUTER\tSTATE\tFOR\tPRIORITY\tADDRESSES\tWHY\n")
	for _, r := range s.Election.Routers {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", r.Router.Key, r.State, age(r.Since, now),
			r.Router.Priority.Effective(), prefixes(r.Router.Addresses), why(r))
		if wide {
			c := r.Counters
			fmt.Fprintf(w, "\t\t\t\t%s vrid %d version %v%s\tsent %d, received %d, dropped %d, transitions %d, announcements %d, rivals %d, split brains %d, stalls %d\n",
				r.Router.Home(), max(r.Router.Gossip, uint32(r.Router.VRID)), r.Router.Version, wireOptions(r.Router),
				c.Sent, c.Received, total(c.Dropped), c.Transitions, c.Announced, c.Rivals, c.SplitBrains, c.Stalls)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Election.Overrides)) {
		if name == allRouters {
			fmt.Fprintf(w, "%s\tdrained: last in line for every router, until `harmony undrain %s`\n", s.Node, s.Node)
			continue
		}
		fmt.Fprintf(w, "%s\toverride: %s, until `harmony failover %s --undo`\n", name, s.Election.Overrides[name], name)
	}
}

// writeWatchdog says what the worker has seen of the elector, if that is not
// all well.
func writeWatchdog(w io.Writer, d *WatchdogStatus) {
	switch {
	case d == nil:
	case d.Problem != "":
		fmt.Fprintf(w, "watchdog\tthe elector was late %d times, and could not be silenced: %s\n", d.Stalls, d.Problem)
	case d.Stalls > 0:
		fmt.Fprintf(w, "watchdog\tthe elector was late %d times and silenced so long, at most %v\n", d.Stalls, d.Longest.Round(time.Millisecond))
	}
}

// why is the router's own explanation, without the state that stands beside it.
func why(r vrrp.RouterStatus) string {
	text := strings.TrimPrefix(r.Why, r.State.String()+": ")
	if r.Problem != "" {
		text += " (" + r.Problem + ")"
	}
	return text
}

func writeTrackers(w io.Writer, s Status, now time.Time) {
	if len(s.Worker.Trackers) > 0 {
		fmt.Fprintf(w, "\nROUTER\tTRACK\tCHECK\tEFFECT\tFOR\tSTATE\n")
	}
	for _, t := range s.Worker.Trackers {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.Router, t.Name, t.Check, t.effect(), age(t.Since, now), t.state())
	}
}

// wireOptions names what of a router's adverts is not as usual.
func wireOptions(r vrrp.Router) (text string) {
	if r.Gossip != 0 {
		text += " by gossip"
	}
	if r.Checksum == vrrp.MessageOnly {
		text += " checksum " + r.Checksum.String()
	}
	switch r.Auth.Type {
	case vrrp.AuthNone:
	case vrrp.AuthHMAC:
		text += fmt.Sprintf(" hmac key %d %v", r.Auth.Active, r.Auth.Mode)
	default:
		text += " " + r.Auth.Type.String()
	}
	return text
}

func total(d vrrp.Drops) (n uint64) {
	for _, c := range d {
		n += c
	}
	return n
}

func writeServices(w io.Writer, s Status, wide bool) {
	if len(s.Worker.Services) == 0 {
		return
	}
	fmt.Fprintf(w, "\nSERVICE\tSCHEDULER\tREAL SERVER\tFORWARD\tWEIGHT\tACTIVE\tINACTIVE\tSTATE\n")
	for _, svc := range s.Worker.Services {
		for i, rs := range svc.RealServers {
			name, sched := svc.Key.String(), svc.Scheduler
			if i > 0 {
				name, sched = "", ""
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", name, sched, netip.AddrPortFrom(rs.Address, rs.Port),
				rs.Forwarding, rs.Weight, rs.Stats.Active, rs.Stats.Inactive, rs.state(wide))
		}
	}
}

// state says in a few words whether a real server takes connections.
func (rs RealServerStatus) state(wide bool) string {
	switch {
	case rs.Check != nil && !rs.Check.Up && wide:
		return "down: " + rs.Check.LastError
	case rs.Check != nil && !rs.Check.Up:
		return "down"
	case !rs.InTable:
		return "not in the kernel"
	case rs.Check == nil:
		return "up (not checked)"
	}
	return "up"
}

func writeSites(w io.Writer, s Status, now time.Time) {
	n := s.Worker.NGINX
	if len(s.Worker.Sites) > 0 {
		fmt.Fprintf(w, "\nHOST\tTLS\tPATH\tUPSTREAM\tENDPOINTS\n")
	}
	for _, site := range s.Worker.Sites {
		host, tls := site.Host, "-"
		if site.TLS {
			tls = "yes"
		}
		for _, p := range site.Paths {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\n", host, tls, p.Path, p.Upstream, p.Endpoints)
			host, tls = "", ""
		}
	}
	switch {
	case n.Version == "":
		fmt.Fprintf(w, "\nNGINX\tno supervisor (`harmony nginx`) in this run directory\n")
	case n.Error != "":
		fmt.Fprintf(w, "\nNGINX\t%s\tserves %s, wanted %s: %s\n", n.Version, short(n.Served), short(n.Wanted), n.Error)
	default:
		fmt.Fprintf(w, "\nNGINX\t%s\tserves %s since %s\t%d reloads\n", n.Version, short(n.Served), age(n.Since, now), n.Reloads)
	}
}

func prefixes(ps []netip.Prefix) string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.String()
	}
	return strings.Join(out, ",")
}

func short(hash string) string { return hash[:min(len(hash), 12)] }

// age is a duration as people say it: 3s, 4m, 5h, 6d.
func age(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "-"
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
