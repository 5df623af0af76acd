// Package notify tells others what becomes of this node's virtual routers: by
// scripts and by lines in a FIFO, with keepalived's words (keepalived.conf(5),
// notify, notify_master and the like, vrrp_notify_fifo).
//
// The elector keeps every Event in an Outbox until the worker has told of it.
// In the worker a Fold turns Events into Notices, for single routers and for
// sync groups, and a Notifier tells them. Outbox and Fold are pure.
package notify

import (
	"fmt"

	"harmony/script"
	"harmony/vrrp"
)

// Event is something that has happened to a router of this node.
type Event struct {
	Seq      uint64     `json:"seq"` // counts the events of an Outbox
	Key      vrrp.Key   `json:"key"`
	To       vrrp.State `json:"to"`
	Cause    vrrp.Cause `json:"cause"`
	Priority uint8      `json:"priority"` // ours, effective
	// Rival: another node advertises what we own, with no higher priority. The
	// state does not change.
	Rival bool `json:"rival,omitempty"`
}

// Changed returns the Event of a transition, and whether it is one for others:
// an owner that is leaving serves until another one is heard, so nothing has
// changed yet.
func Changed(t vrrp.Transition) (Event, bool) {
	return Event{Key: t.Key, To: t.To, Cause: t.Cause, Priority: t.Priority}, t.To != vrrp.Leaving
}

// Rivalled returns the Event of a rival.
func Rivalled(r vrrp.Rival) Event {
	return Event{Key: r.Key, To: vrrp.Master, Priority: r.Own, Rival: true}
}

// Word is a state as it is told.
type Word string

// The words. STOP says that the agent stops; a router that is removed from the
// configuration is in FAULT, as with keepalived.
const (
	Master Word = "MASTER"
	Backup Word = "BACKUP"
	Fault  Word = "FAULT"
	Stop   Word = "STOP"
	// Rival is not a state: a master has heard another one of no higher
	// priority.
	Rival Word = "MASTER_RX_LOWER_PRI"
)

// The kinds of what a Notice is about.
const (
	kindInstance = "INSTANCE"
	kindGroup    = "GROUP"
)

// Hooks are the scripts to be run, each nil for none.
type Hooks struct {
	Master *script.Script `json:"master,omitempty"`
	Backup *script.Script `json:"backup,omitempty"`
	Fault  *script.Script `json:"fault,omitempty"`
	Stop   *script.Script `json:"stop,omitempty"`
	Rival  *script.Script `json:"rival,omitempty"` // keepalived's notify_master_rx_lower_pri
	// Any is run after each of the others but Rival, and is the only one that
	// gets arguments.
	Any *script.Script `json:"any,omitempty"`
}

// Instance is a router, and whom to tell of it.
type Instance struct {
	Key   vrrp.Key `json:"key"`
	Name  string   `json:"name"`            // what it is called towards others
	Group string   `json:"group,omitempty"` // its sync group
	Hooks `json:"hooks"`
}

// Group is a sync group, and whom to tell of it.
type Group struct {
	Name  string `json:"name"`
	Hooks `json:"hooks"`
}

// FIFO is a named pipe that gets a line for each Notice.
type FIFO struct {
	Path string `json:"path"` // "" for none
	// Group is the group that may read it, by name or number; "" is none. It
	// belongs to root: without CAP_DAC_OVERRIDE an agent could not open another's.
	Group string `json:"group,omitempty"`
}

// Config is all that there is to be told, and to whom. Instances are those of
// all routers, since a FIFO has lines of all.
type Config struct {
	Instances []Instance `json:"instances,omitempty"`
	Groups    []Group    `json:"groups,omitempty"` // those with Hooks
	FIFO      FIFO       `json:"fifo,omitzero"`
}

// Notice is one thing to be told.
type Notice struct {
	Kind     string // INSTANCE or GROUP
	Name     string
	Word     Word
	Priority uint8 // of a group always 0
	Cause    vrrp.Cause
	Calls    []Call // scripts to be run, one after the other
}

// Call is one run of a script.
type Call struct {
	Script script.Script
	Args   []string
}

// newNotice completes n with what hooks have to do about it.
func newNotice(n Notice, h Hooks) Notice {
	own := map[Word]*script.Script{Master: h.Master, Backup: h.Backup, Fault: h.Fault, Stop: h.Stop, Rival: h.Rival}[n.Word]
	if own != nil {
		n.Calls = append(n.Calls, Call{Script: *own})
	}
	if h.Any != nil && n.Word != Rival {
		n.Calls = append(n.Calls, Call{Script: *h.Any, Args: n.args()})
	}
	return n
}

// lane is what must be told in order: all of one router, or of one group.
func (n Notice) lane() string { return n.Kind + " " + n.Name }

// args are the arguments that keepalived gives to a notify script, after those
// of its own.
func (n Notice) args() []string {
	return []string{n.Kind, n.Name, string(n.Word), fmt.Sprint(n.Priority)}
}

// Line is what keepalived writes into a notify FIFO.
func (n Notice) Line() string {
	return fmt.Sprintf("%s \"%s\" %s %d\n", n.Kind, n.Name, n.Word, n.Priority)
}

// env tells each script what keepalived tells some of them by arguments, and
// why.
func (n Notice) env() []string {
	return []string{
		"HARMONY_KIND=" + n.Kind, "HARMONY_NAME=" + n.Name, "HARMONY_STATE=" + string(n.Word),
		fmt.Sprintf("HARMONY_PRIORITY=%d", n.Priority), "HARMONY_CAUSE=" + n.Cause.String(),
	}
}
