package vrrp

import "time"

// State is the state of one router on this node.
type State uint8

// The states; node.go draws how they follow each other. The zero State is
// that of a router that does not exist (yet, or any more).
const (
	Stopped State = iota
	Fault         // cannot take part: no carrier, or no source address
	Backup        // another node owns the addresses, or nobody does yet
	Master        // we own them
	Leaving       // given up: still serves until another owner is heard
)

var stateNames = [...]string{"STOPPED", "FAULT", "BACKUP", "MASTER", "LEAVING"}

// String returns the state in capitals, as operators of VRRP know it.
func (s State) String() string { return enumName(stateNames[:], s) }

// MarshalText writes the name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (s *State) UnmarshalText(b []byte) error { return enumValue(stateNames[:], b, s) }

// Cause says why a router changed its state. Ownership is never lost or taken
// without one.
type Cause uint8

// The causes.
const (
	NoCause         Cause = iota
	Startup               // the router is new, or its configuration is
	Owner                 // priority 255 takes over without waiting
	PeerTimedOut          // nobody advertised for the master-down interval
	PeerReleased          // the owner gave up (priority 0)
	LowerPriority         // the owner's priority is below ours, and we preempt
	HigherPriority        // an owner of higher priority advertises
	HigherAddress         // an owner of our priority and a higher address advertises
	LinkDown              // the interface is absent or has no carrier
	NoSource              // the interface has no source address
	LinkUp                // interface and source address are there again
	HandOver              // asked to by Engine.HandOver
	PeerTookOver          // the new owner of a hand-over has been heard
	HandOverRefused       // nobody took over within the limit
	Shutdown              // this node stops
	ConfigRemoved         // the router is no longer wanted
	ConfigChanged         // VRID or interface changed: another router on the wire
	TrackerDown           // something tracked is down
	TrackerUp             // nothing tracked is down any more
	SyncGroup             // the other routers of the sync group
	Stalled               // this node did not run for longer than a down interval
	NoGossip              // gossip does not reach the interface yet
)

var causeNames = [...]string{
	NoCause: "none", Startup: "startup", Owner: "owner",
	PeerTimedOut: "peer-timed-out", PeerReleased: "peer-released",
	LowerPriority: "lower-priority", HigherPriority: "higher-priority",
	HigherAddress: "higher-address", LinkDown: "link-down", NoSource: "no-source",
	LinkUp: "link-up", HandOver: "hand-over", PeerTookOver: "peer-took-over",
	HandOverRefused: "hand-over-refused", Shutdown: "shutdown",
	ConfigRemoved: "config-removed", ConfigChanged: "config-changed",
	TrackerDown: "tracker-down", TrackerUp: "tracker-up", SyncGroup: "sync-group",
	Stalled: "stalled", NoGossip: "no-gossip",
}

// String returns the cause as a short label, such as "peer-timed-out".
func (c Cause) String() string { return enumName(causeNames[:], c) }

// MarshalText writes the label.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (c *Cause) UnmarshalText(b []byte) error { return enumValue(causeNames[:], b, c) }

// Transition is a change of state. It is an Action, so that it stands in order
// among the others: it comes before the actions that carry it out.
type Transition struct {
	Key      Key       `json:"key"`
	At       time.Time `json:"at"`
	From     State     `json:"from"`
	To       State     `json:"to"`
	Cause    Cause     `json:"cause"`
	Priority uint8     `json:"priority"` // ours, effective
	Text     string    `json:"text"`     // one line with all inputs of the decision
}
