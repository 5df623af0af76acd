package agent

import (
	"time"

	"harmony/check"
	"harmony/cluster/gossip"
	"harmony/ipvs"
	"harmony/nft"
	"harmony/nginxconf"
	"harmony/notify"
	"harmony/source"
	"harmony/vrrp"
)

// Status is all that a node says of itself: the answer of the control socket
// and of /status, and the only source of the command line's tables.
type Status struct {
	Node     string         `json:"node"`
	Version  string         `json:"version"`
	Election ElectionReport `json:"election"`
	Worker   WorkerReport   `json:"worker"`
}

// ElectionReport is what the elector says is true.
type ElectionReport struct {
	PID     int                 `json:"pid"`
	Started time.Time           `json:"started"`
	Routers []vrrp.RouterStatus `json:"routers"`
	// Strays counts adverts that were refused without concerning one of Routers.
	Strays vrrp.Drops `json:"strays,omitempty"`
	// Overrides are the standing orders by router; "*" is that of a drain.
	Overrides Overrides `json:"overrides,omitempty"`
	Drained   bool      `json:"drained"`
	// Gossip is whom routers with gossip hear; nil where there is none.
	Gossip *gossip.Status `json:"gossip,omitempty"`
	// Restarts counts the workers that ended without being told to.
	Restarts int `json:"restarts"`
	// Silent is set while the worker's lease has run out.
	Silent bool `json:"silent,omitempty"`
	// Fenced says whether the kernel silences our addresses when the elector
	// dies.
	Fenced bool `json:"fenced"`
	// Untold counts the changes of state that no script or FIFO was told of,
	// since there was no worker for long.
	Untold uint64 `json:"untold,omitempty"`
}

// WorkerReport is what the worker says is true. PID 0: there has been none.
type WorkerReport struct {
	PID      int              `json:"pid"`
	Started  time.Time        `json:"started"`
	Ready    bool             `json:"ready"`
	NotReady []string         `json:"notReady,omitempty"` // the reasons, each with what to do
	Source   SourceStatus     `json:"source"`
	Trackers []TrackerStatus  `json:"trackers,omitempty"`
	Services []ServiceStatus  `json:"services"`
	Firewall nft.Guard        `json:"firewall,omitzero"`
	NGINX    nginxconf.Status `json:"nginx"`
	Sites    []SiteStatus     `json:"sites"`
	Watchdog *WatchdogStatus  `json:"watchdog,omitempty"` // nil: the worker cannot watch
	Notify   notify.Status    `json:"notify"`
}

// SourceStatus says what the node decides from.
type SourceStatus struct {
	From     string           `json:"from"`
	Loaded   time.Time        `json:"loaded"`  // when it was last read
	Changed  time.Time        `json:"changed"` // when that last changed the plan
	Reloads  int              `json:"reloads"`
	Problems []source.Problem `json:"problems"`
}

// TrackerStatus is one thing that a virtual router depends on here.
type TrackerStatus struct {
	Router string `json:"router"` // the virtual router's name
	Name   string `json:"name"`
	Check  string `json:"check"`  // what is looked at: "script chk-mysql"
	Weight int    `json:"weight"` // 0: the router is in FAULT while it is down
	// Reverse turns round what Weight says.
	Reverse bool `json:"reverse,omitempty"`
	check.Verdict
}

// ServiceStatus is one virtual service as wanted, with what the kernel and the
// checks say of its real servers.
type ServiceStatus struct {
	ipvs.Key
	Scheduler   string             `json:"scheduler"`
	RealServers []RealServerStatus `json:"realServers"`
}

// RealServerStatus is one real server. InTable says whether new connections
// can reach it.
type RealServerStatus struct {
	ipvs.Destination
	InTable bool           `json:"inTable"`
	Check   *check.Verdict `json:"check,omitempty"` // nil: not checked
}

// SiteStatus is one host that NGINX serves, with its endpoints by path.
type SiteStatus struct {
	Host  string       `json:"host"` // "*" for the catch-all
	TLS   bool         `json:"tls"`
	Paths []PathStatus `json:"paths"`
}

// PathStatus is one path of a site and the number of endpoints behind it.
type PathStatus struct {
	Path      string `json:"path"`
	Upstream  string `json:"upstream"`
	Endpoints int    `json:"endpoints"`
}
