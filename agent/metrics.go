package agent

import (
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"harmony/vrrp"
)

// statusCollector turns one Status into metrics. Labels are names from the
// configuration, so their number is bounded by it.
type statusCollector struct{ s *Status }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("harmony_"+name, help, labels, nil)
}

// metrics are the families of /metrics; docs/metrics.md lists them.
var metrics = struct {
	info, ready, restarts, silent, reloads, problems                        *prometheus.Desc
	owner, priority, sent, received, dropped, transitions, announce, rivals *prometheus.Desc
	restored                                                                *prometheus.Desc
	checksums, strays                                                       *prometheus.Desc
	split, stalls, hung, silenced, drained, override                        *prometheus.Desc
	trackerUp, trackerValue                                                 *prometheus.Desc
	gossipPeers, gossipDropped                                              *prometheus.Desc
	notified, fifoLines, notifyWaiting, untold                              *prometheus.Desc
	realServerUp, active, inactive, endpoints, inSync, nginxReloads         *prometheus.Desc
}{
	info:          desc("info", "1, labelled with version and node.", "version", "node"),
	ready:         desc("ready", "1 while everything is as planned."),
	restarts:      desc("worker_restarts_total", "Workers that ended unexpectedly."),
	silent:        desc("worker_silent", "1 while the worker's lease has run out."),
	reloads:       desc("source_reloads_total", "Times the source was read."),
	problems:      desc("source_problems", "Problems in the source, by severity.", "severity"),
	owner:         desc("vrrp_master", "1 where this node owns the router.", "router", "family"),
	priority:      desc("vrrp_priority", "Effective priority.", "router", "family"),
	sent:          desc("vrrp_adverts_sent_total", "Adverts sent.", "router", "family"),
	received:      desc("vrrp_adverts_received_total", "Adverts accepted.", "router", "family"),
	dropped:       desc("vrrp_adverts_dropped_total", "Adverts dropped, by reason.", "router", "family", "reason"),
	checksums:     desc("vrrp_adverts_checksum_total", "Accepted adverts of version 3 over IPv4, by what their checksum covers.", "router", "family", "form"),
	strays:        desc("vrrp_strays_total", "Adverts refused that concern no router of this node, by reason.", "reason"),
	transitions:   desc("vrrp_transitions_total", "Changes of state.", "router", "family"),
	announce:      desc("vrrp_announcements_total", "Gratuitous ARPs and unsolicited NAs.", "router", "family"),
	restored:      desc("vrrp_addresses_restored_total", "Addresses put back that others had removed.", "router", "family"),
	rivals:        desc("vrrp_rivals_total", "Times another node claimed what this one owns.", "router", "family"),
	split:         desc("vrrp_split_brains_total", "Rivals that went on for a down interval: they do not hear this node.", "router", "family"),
	stalls:        desc("vrrp_stalls_total", "Times this node ran too late to believe in silence or ownership.", "router", "family"),
	hung:          desc("elector_stalls_total", "Times the watchdog found the elector late."),
	silenced:      desc("elector_silenced", "1 while the elector is late and its addresses are silenced."),
	drained:       desc("drained", "1 while a drain is in force."),
	override:      desc("failover_override", "1 for each standing failover order.", "router", "order"),
	trackerUp:     desc("tracker_up", "1 while what the router tracks is up, or not known yet.", "router", "track"),
	trackerValue:  desc("tracker_value", "The number in the tracked file.", "router", "track"),
	gossipPeers:   desc("gossip_peers", "Other nodes that gossip knows of.", "interface", "state"),
	gossipDropped: desc("gossip_dropped_total", "Datagrams of gossip that were refused.", "interface", "reason"),
	notified:      desc("notify_scripts_total", "Runs of notify scripts, by how they ended.", "script", "result"),
	fifoLines:     desc("notify_fifo_lines_total", "Lines for the notify FIFO.", "result"),
	notifyWaiting: desc("notify_waiting", "Runs of notify scripts that wait for an earlier one."),
	untold:        desc("notify_lost_total", "Changes of state that nobody was told of, for want of a worker."),
	realServerUp:  desc("real_server_up", "1 while the real server's check is well.", "service", "real_server"),
	active:        desc("real_server_active_connections", "Established connections.", "service", "real_server"),
	inactive:      desc("real_server_inactive_connections", "Other connections that the kernel remembers.", "service", "real_server"),
	endpoints:     desc("site_endpoints", "Endpoints behind a path.", "host", "path", "upstream"),
	inSync:        desc("nginx_in_sync", "1 while NGINX serves the wanted configuration."),
	nginxReloads:  desc("nginx_reloads_total", "Reloads of NGINX since its supervisor started."),
}

// Describe sends nothing: the collector is unchecked, since it lives for one
// scrape.
func (c statusCollector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics of the Status.
func (c statusCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.s
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge(metrics.info, 1, s.Version, s.Node)
	gauge(metrics.ready, one(s.Worker.Ready))
	counter(metrics.restarts, float64(s.Election.Restarts))
	gauge(metrics.silent, one(s.Election.Silent))
	gauge(metrics.drained, one(s.Election.Drained))
	for router, order := range s.Election.Overrides {
		if router != allRouters {
			gauge(metrics.override, 1, router, string(order))
		}
	}
	counter(metrics.reloads, float64(s.Worker.Source.Reloads))
	bySeverity := map[string]int{"error": 0, "warning": 0}
	for _, p := range s.Worker.Source.Problems {
		bySeverity[string(p.Severity)]++
	}
	for severity, n := range bySeverity {
		gauge(metrics.problems, float64(n), severity)
	}
	for reason, n := range s.Election.Strays {
		counter(metrics.strays, float64(n), reason.String())
	}
	for _, r := range s.Election.Routers {
		name, family, n := r.Router.Name, r.Router.Family.String(), r.Counters
		gauge(metrics.owner, one(r.State == vrrp.Master), name, family)
		gauge(metrics.priority, float64(r.Router.Priority.Effective()), name, family)
		counter(metrics.sent, float64(n.Sent), name, family)
		counter(metrics.received, float64(n.Received), name, family)
		for form, c := range n.Checksums {
			counter(metrics.checksums, float64(c), name, family, form.String())
		}
		counter(metrics.transitions, float64(n.Transitions), name, family)
		counter(metrics.announce, float64(n.Announced), name, family)
		counter(metrics.restored, float64(n.Restored), name, family)
		counter(metrics.rivals, float64(n.Rivals), name, family)
		counter(metrics.split, float64(n.SplitBrains), name, family)
		counter(metrics.stalls, float64(n.Stalls), name, family)
		for reason, count := range n.Dropped {
			counter(metrics.dropped, float64(count), name, family, reason.String())
		}
	}
	c.collectGossip(gauge, counter)
	if w := s.Worker.Watchdog; w != nil {
		counter(metrics.hung, float64(w.Stalls))
		gauge(metrics.silenced, one(w.Silent))
	}
	for _, t := range s.Worker.Trackers {
		gauge(metrics.trackerUp, one(t.Up || !t.Known), t.Router, t.Name)
		gauge(metrics.trackerValue, float64(t.Value), t.Router, t.Name)
	}
	c.collectNotices(gauge, counter)
	c.collectBackends(gauge)
	gauge(metrics.inSync, one(s.Worker.NGINX.Wanted != "" && s.Worker.NGINX.Wanted == s.Worker.NGINX.Served))
	counter(metrics.nginxReloads, float64(s.Worker.NGINX.Reloads))
}

func (c statusCollector) collectGossip(gauge, counter func(*prometheus.Desc, float64, ...string)) {
	if c.s.Election.Gossip == nil {
		return
	}
	for iface, d := range c.s.Election.Gossip.Drops {
		states := map[string]float64{"alive": 0, "silent": 0, "left": 0}
		for _, p := range c.s.Election.Gossip.Peers {
			if p.Interface == iface {
				states[p.State]++
			}
		}
		for state, n := range states {
			gauge(metrics.gossipPeers, n, iface, state)
		}
		for reason, n := range d.Reasons() {
			counter(metrics.gossipDropped, float64(n), iface, reason)
		}
	}
}

func (c statusCollector) collectBackends(gauge func(*prometheus.Desc, float64, ...string)) {
	for _, svc := range c.s.Worker.Services {
		for _, rs := range svc.RealServers {
			labels := []string{svc.Key.String(), netip.AddrPortFrom(rs.Address, rs.Port).String()}
			gauge(metrics.realServerUp, one(rs.Check == nil || rs.Check.Up), labels...)
			gauge(metrics.active, float64(rs.Stats.Active), labels...)
			gauge(metrics.inactive, float64(rs.Stats.Inactive), labels...)
		}
	}
	for _, site := range c.s.Worker.Sites {
		for _, p := range site.Paths {
			gauge(metrics.endpoints, float64(p.Endpoints), site.Host, p.Path, p.Upstream)
		}
	}
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
