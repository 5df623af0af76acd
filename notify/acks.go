package notify

// acks puts the ends of Events in order: what of one router or sync group has
// begun later is not done before what has begun earlier, or a worker that dies
// between the two would leave its successor a past that never was.
type acks struct {
	open map[string][]*ack // by router, or sync group
	done []uint64          // not yet fetched
}

// ack is an Event that is being told.
type ack struct {
	of   string
	seq  uint64
	left int // calls to come
}

// begin notes an Event of a router or group that has calls to wait for.
func (a *acks) begin(of string, seq uint64, calls int) *ack {
	if a.open == nil {
		a.open = map[string][]*ack{}
	}
	k := &ack{of: of, seq: seq, left: calls}
	a.open[of] = append(a.open[of], k)
	a.settle(of)
	return k
}

// end notes that one call has ended.
func (a *acks) end(k *ack) {
	k.left--
	a.settle(k.of)
}

func (a *acks) settle(of string) {
	list := a.open[of]
	for len(list) > 0 && list[0].left <= 0 {
		a.done = append(a.done, list[0].seq)
		list = list[1:]
	}
	if a.open[of] = list; len(list) == 0 {
		delete(a.open, of)
	}
}

// fetch returns the Events that are done since it was called last.
func (a *acks) fetch() []uint64 {
	done := a.done
	a.done = nil
	return done
}
