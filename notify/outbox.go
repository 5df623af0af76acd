package notify

import (
	"cmp"
	"slices"

	"harmony/vrrp"
)

// MaxPending bounds the Events that wait for a worker: eight for each of 255
// routers in both families. Beyond it the oldest are lost, and counted.
const MaxPending = 4096

// Outbox keeps Events, in order, until they are told. A worker that dies
// between the two leaves them to the next one: what was told is not told
// again, and what was not is. The zero Outbox is ready.
type Outbox struct {
	seq     uint64             // of the last Event
	sent    uint64             // the last one that the present worker has
	told    map[vrrp.Key]Event // the last one of each router that is told
	pending []Event            // not yet told, by Seq
	lost    uint64
}

// Add takes in a new Event and numbers it.
func (o *Outbox) Add(e Event) {
	o.seq++
	e.Seq = o.seq
	o.pending = append(o.pending, e)
	if over := len(o.pending) - MaxPending; over > 0 {
		o.lost += uint64(over)
		for _, e := range o.pending[:over] {
			o.settle(e)
		}
		o.pending = slices.Delete(o.pending, 0, over)
	}
}

// Take returns the Events that the present worker does not have yet.
func (o *Outbox) Take() []Event {
	i, _ := slices.BinarySearchFunc(o.pending, o.sent+1, func(e Event, seq uint64) int { return cmp.Compare(e.Seq, seq) })
	o.sent = o.seq
	return slices.Clone(o.pending[i:])
}

// Restart returns what a new worker has to know: the Events that were the last
// ones told of each router, and then those to be told. Take goes on from there.
func (o *Outbox) Restart() (told, pending []Event) {
	o.sent = 0
	for _, e := range o.told {
		told = append(told, e)
	}
	slices.SortFunc(told, func(a, b Event) int { return cmp.Compare(a.Seq, b.Seq) })
	return told, o.Take()
}

// Done says which Events are told. Those of one router, or sync group, must
// come in order.
func (o *Outbox) Done(seqs []uint64) {
	done := map[uint64]bool{}
	for _, s := range seqs {
		done[s] = true
	}
	o.pending = slices.DeleteFunc(o.pending, func(e Event) bool {
		if done[e.Seq] {
			o.settle(e)
		}
		return done[e.Seq]
	})
}

// settle makes an Event one that is told.
func (o *Outbox) settle(e Event) {
	switch {
	case e.Rival:
	case e.To == vrrp.Stopped:
		delete(o.told, e.Key)
	default:
		if o.told == nil {
			o.told = map[vrrp.Key]Event{}
		}
		o.told[e.Key] = e
	}
}

// Lost counts the Events that nobody was told of.
func (o *Outbox) Lost() uint64 { return o.lost }
