package vrrp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Drops counts refused adverts by reason.
type Drops map[DropReason]uint64

func (d *Drops) count(r DropReason) {
	if *d == nil {
		*d = Drops{}
	}
	(*d)[r]++
}

// Counters count what a router has done since it was configured.
type Counters struct {
	Sent        uint64 `json:"sent"`     // adverts, per peer
	Received    uint64 `json:"received"` // accepted adverts
	Dropped     Drops  `json:"dropped,omitempty"`
	Transitions uint64 `json:"transitions"`
	Announced   uint64 `json:"announced"`   // gratuitous ARP requests and unsolicited NAs
	Restored    uint64 `json:"restored"`    // addresses that others had removed
	Rivals      uint64 `json:"rivals"`      // times another node claimed what we own; counted at most every 5 s
	SplitBrains uint64 `json:"splitBrains"` // of these, those that went on for a down interval: the other does not hear us
	Stalls      uint64 `json:"stalls"`      // times this node ran so late that silence, or ownership, proved nothing

	Checksums Checksums `json:"checksums,omitempty"` // of Received, where the version leaves a choice
}

// RouterStatus says what a router is, and why.
type RouterStatus struct {
	Router   Router    `json:"router"` // as configured, its Priority with what the node itself adds
	State    State     `json:"state"`
	Since    time.Time `json:"since"`
	Cause    Cause     `json:"cause"` // of the transition into State
	Why      string    `json:"why"`   // one line for people
	Owner    Peer      `json:"owner"` // who owns the addresses as far as we know; zero when we do not
	Source   string    `json:"source,omitempty"`
	Problem  string    `json:"problem,omitempty"` // the last thing that did not work; empty when it did since
	Refused  *Refusal  `json:"refused,omitempty"` // the last advert that was not listened to
	Rival    *Contest  `json:"rival,omitempty"`   // the last node that advertised what we own
	Counters Counters  `json:"counters"`
}

// Status describes all routers, leaving ones included, sorted by Key.
func (n *Node) Status() []RouterStatus {
	list := make([]RouterStatus, len(n.routers))
	for i, r := range n.routers {
		list[i] = RouterStatus{
			Router: r.Router.Clone(), State: r.state, Since: r.since, Cause: r.cause,
			Why: n.why(r), Owner: r.owner(), Counters: r.counters.clone(), Refused: r.refusal, Rival: r.lastContest(),
		}
		list[i].Router.Priority = r.prio
		list[i].Router.Priority.Terms = slices.Clone(r.prio.Terms)
		if r.src.IsValid() {
			list[i].Source = r.src.String()
		}
	}
	return list
}

// Strays counts adverts that were refused without concerning a router of ours.
func (n *Node) Strays() Drops { return n.strays.clone() }

func (d Drops) clone() Drops {
	if d == nil {
		return nil
	}
	c := Drops{}
	for k, v := range d {
		c[k] = v
	}
	return c
}

func (c Counters) clone() Counters {
	c.Dropped = c.Dropped.clone()
	c.Checksums = maps.Clone(c.Checksums)
	return c
}

// owner is who owns the addresses as far as we know.
func (r *router) owner() Peer {
	switch r.state {
	case Master, Leaving:
		if r.answering {
			return Peer{Addr: r.src, Priority: r.prio.Effective()}
		}
		return r.peer
	case Backup:
		if r.peer.Priority > 0 {
			return r.peer
		}
	}
	return Peer{}
}

// why says in one line what holds now: for a backup that is whom it hears,
// otherwise the reason of its last transition.
func (n *Node) why(r *router) string {
	text := r.text
	if fault, now := n.fault(r); r.state == Fault && fault != NoCause {
		text = now
	}
	if r.claim != nil {
		return fmt.Sprintf("%v: ready to take over (%s); the rest of sync group %s is not", r.state, r.claim.text, r.Group)
	}
	if r.state == Backup && r.peer.Priority > 0 {
		text = fmt.Sprintf("%v advertises %d, I have %s", r.peer, r.peer.Priority, r.prio.text())
		if r.peer.Priority < r.prio.Effective() {
			text += r.patience()
		}
	}
	if own := "I have " + r.prio.text(); r.state == Master && strings.Contains(text, "I have ") && !strings.HasSuffix(text, own) {
		text += "; now " + own
	}
	if r.refusal != nil && n.now.Sub(r.refusal.At) <= r.downInterval() { // it still happens
		text += "; " + r.refusal.String()
	}
	return r.state.String() + ": " + text + n.splitText(r)
}

// patience says why a backup does not take over from a lower priority.
func (r *router) patience() string {
	switch r.Preempt {
	case PreemptNever:
		return "; preempt is never"
	case PreemptDelay:
		return fmt.Sprintf("; preempt after %v", r.PreemptDelay)
	}
	return "; about to take over"
}

// text writes a priority with the terms it is made of:
// "150 = 160 − 10 (track nginx down)".
func (p Priority) text() string {
	if len(p.Terms) == 0 || p.Base == 255 {
		return fmt.Sprint(p.Effective())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d = %d", p.Effective(), p.Base)
	for _, t := range p.Terms {
		sign, delta := "+", t.Delta
		if delta < 0 {
			sign, delta = "−", -delta
		}
		fmt.Fprintf(&b, " %s %d (%s)", sign, delta, t.Reason)
	}
	return b.String()
}
