package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"harmony/notify"
	"harmony/vrrp"
)

// Elector and worker talk over a socket pair in JSON, one message after the
// other. Each message is the whole of what its sender knows of a kind, so a
// lost process loses nothing: its successor says it all again. Only what others
// are to be told of is a sequence, which the elector keeps until it is told.

// toElector is what the worker says. An empty message is a heartbeat: every
// message renews the lease.
type toElector struct {
	// Desired replaces the routers of this node.
	Desired *desired `json:"desired,omitempty"`
	// Report replaces what the elector answers of the worker in status.
	Report *WorkerReport `json:"report,omitempty"`
	// Notified are the numbers of the events that are told; see notify.Outbox.
	Notified []uint64 `json:"notified,omitempty"`
}

// desired is the worker's wish of the election.
type desired struct {
	Routers []vrrp.Router `json:"routers"`
	// Secrets are those that the JSON of Routers leaves out.
	Secrets vrrp.Secrets `json:"secrets,omitempty"`
	// Gossip is how routers with it find the other nodes.
	Gossip *gossipWish `json:"gossip,omitempty"`
	// Nodes lists, for each virtual router's name, the priorities by node, so
	// that a failover can say who is next.
	Nodes map[string]map[string]uint8 `json:"nodes,omitempty"`
	// Tracked is what the worker knows of what routers track, for its
	// successor.
	Tracked memory `json:"tracked,omitempty"`
}

// newDesired is a wish for those routers.
func newDesired(routers []vrrp.Router, nodes map[string]map[string]uint8) *desired {
	return &desired{Routers: routers, Secrets: vrrp.SecretsOf(routers), Nodes: nodes}
}

// complete returns the routers with their secrets.
func (d desired) complete() []vrrp.Router { return d.Secrets.Restore(d.Routers) }

// toWorker is what the elector says.
type toWorker struct {
	// Election replaces what the worker shows of the election.
	Election *ElectionReport `json:"election,omitempty"`
	// Tracked is what the last worker knew of what routers track. Only the
	// first message to a worker has it.
	Tracked memory `json:"tracked,omitempty"`
	// Refresh asks for a report that is true now.
	Refresh bool `json:"refresh,omitempty"`
	// Reload asks for the source to be read again (SIGHUP).
	Reload bool `json:"reload,omitempty"`
	// Told and Events are for others to be told of; see notify.Outbox. Unlike the
	// rest they are not the whole: each worker gets each of them once.
	Told   []notify.Event `json:"told,omitempty"`
	Events []notify.Event `json:"events,omitempty"`
	// Stop ends the worker: what is ours leaves the kernel, unless Keep.
	Stop bool `json:"stop,omitempty"`
	Keep bool `json:"keep,omitempty"`
}

// with is what m and a later message say together.
func (m toWorker) with(later toWorker) toWorker {
	if later.Election != nil {
		m.Election = later.Election
	}
	if later.Tracked != nil {
		m.Tracked = later.Tracked
	}
	m.Told = append(m.Told, later.Told...)
	m.Events = append(m.Events, later.Events...)
	if over := len(m.Events) - notify.MaxPending; over > 0 { // the outbox has lost them, too
		m.Events = m.Events[over:]
	}
	m.Refresh = m.Refresh || later.Refresh
	m.Reload = m.Reload || later.Reload
	m.Stop = m.Stop || later.Stop
	m.Keep = m.Keep || later.Keep
	return m
}

// maxMessage bounds one message: 10,000 services with their backends in a
// report fit, a runaway peer does not.
const maxMessage = 64 << 20

// link is one end of the socket pair. send may be called from any goroutine;
// receive from one.
type link struct {
	mu  sync.Mutex // serialises send
	enc *json.Encoder
	dec *json.Decoder
	lim *io.LimitedReader
}

func newLink(rw io.ReadWriter) *link {
	lim := &io.LimitedReader{R: rw, N: maxMessage}
	return &link{enc: json.NewEncoder(rw), dec: json.NewDecoder(lim), lim: lim}
}

// send blocks while the peer does not read and its buffer is full.
func (l *link) send(v any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.enc.Encode(v); err != nil {
		return fmt.Errorf("writing to the other process: %w", err)
	}
	return nil
}

// receive blocks for the next message. io.EOF says that the peer is gone.
func (l *link) receive(v any) error {
	l.lim.N = maxMessage
	return l.dec.Decode(v)
}
