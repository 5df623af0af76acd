// Package cluster decides: Translate turns a Snapshot into the wanted State of
// the whole edge, and Plan turns State and this node's Facts into the NodePlan
// that the actuators apply. Both are pure: same input, same output.
package cluster

import (
	"harmony/check"
	"harmony/ipvs"
	"harmony/nft"
	"harmony/nginxconf"
	"harmony/vrrp"
)

// Facts is what a node knows that the objects do not say.
type Facts struct {
	Node string // this node's name, as objects refer to it
	// Down holds the checks whose verdict is down. A check that is absent is
	// up: a real server takes traffic until its check has failed.
	Down map[check.Spec]bool
}

// NodePlan is the whole desired state of one node. Every actuator takes its
// part whole; slices are sorted, so equal decisions are equal bytes.
type NodePlan struct {
	Routers    []vrrp.Router    `json:"routers"`
	Services   []ipvs.Service   `json:"services"`
	Masquerade []nft.Endpoint   `json:"masquerade"`
	Checks     []check.Spec     `json:"checks"`
	NGINX      nginxconf.Config `json:"nginx"`
}
