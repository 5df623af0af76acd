package agent

import (
	"maps"
	"net/netip"
	"os"
	"slices"

	"harmony/check"
	"harmony/ipvs"
	"harmony/nginxconf"
)

// report is what the worker says is true, read from the kernel and from
// NGINX's supervisor at this moment.
func (w *worker) report() *WorkerReport {
	r := &WorkerReport{
		PID: os.Getpid(), Started: w.started, Source: w.source,
		Trackers: trackers(w.state.Routers, w.checks.Verdicts()), Services: w.services(),
		Sites: sites(w.plan.NGINX), Firewall: w.plan.Firewall, Notify: w.notifier.Status(),
	}
	if w.watchdog != nil {
		seen := w.watchdog.report()
		r.Watchdog = &seen
	}
	nginx, err := nginxconf.ReadStatus(string(w.o.RunDir))
	if err == nil {
		r.NGINX = nginx
	}
	for _, part := range slices.Sorted(maps.Keys(w.faults)) {
		r.NotReady = append(r.NotReady, part+": "+w.faults[part].Error())
	}
	r.Ready = w.joined && len(r.NotReady) == 0
	return r
}

// services joins the plan with the kernel's counters and the verdicts. A real
// server that is out of the table is shown too: it is the one that is looked
// for.
func (w *worker) services() []ServiceStatus {
	inKernel := map[ipvs.Key]map[netip.AddrPort]ipvs.Stats{}
	if w.table != nil {
		found, err := w.table.Services()
		if err != nil {
			w.o.Log.Warn("status without counters", "err", err)
		}
		for _, s := range found {
			inKernel[s.Key] = map[netip.AddrPort]ipvs.Stats{}
			for _, d := range s.Destinations {
				inKernel[s.Key][netip.AddrPortFrom(d.Address, d.Port)] = d.Stats
			}
		}
	}
	verdicts := w.checks.Verdicts()
	var out []ServiceStatus
	for _, s := range w.state.Services {
		st := ServiceStatus{Key: s.Key, Scheduler: s.Scheduler}
		for _, d := range s.Destinations {
			target := netip.AddrPortFrom(d.Address, d.Port)
			rs := RealServerStatus{Destination: d, Check: verdictOf(verdicts, w.plan.Checks, target)}
			rs.Stats, rs.InTable = inKernel[s.Key][target]
			st.RealServers = append(st.RealServers, rs)
		}
		out = append(out, st)
	}
	return out
}

func verdictOf(verdicts map[check.Spec]check.Verdict, specs []check.Spec, target netip.AddrPort) *check.Verdict {
	for _, s := range specs {
		if s.Target == target {
			v := verdicts[s]
			return &v
		}
	}
	return nil
}

// sites summarises what NGINX shall serve.
func sites(c nginxconf.Config) []SiteStatus {
	endpoints := map[string]int{}
	for _, u := range c.Upstreams {
		endpoints[u.ID] = len(u.Endpoints)
	}
	var out []SiteStatus
	for _, s := range c.Sites {
		st := SiteStatus{Host: s.Host, TLS: s.TLS != nil}
		if st.Host == "" {
			st.Host = "*"
		}
		for _, l := range s.Locations {
			st.Paths = append(st.Paths, PathStatus{Path: l.Path, Upstream: l.Upstream, Endpoints: endpoints[l.Upstream]})
		}
		out = append(out, st)
	}
	return out
}
