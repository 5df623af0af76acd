package notify

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/vrrp"
)

func seqs(list []Event) []uint64 {
	var out []uint64
	for _, e := range list {
		out = append(out, e.Seq)
	}
	return out
}

// outbox has had the events, which have the numbers 1, 2, 3, ...
func outbox(t *testing.T, events ...string) *Outbox {
	var o Outbox
	for _, e := range events {
		o.Add(event(t, e))
	}
	return &o
}

func TestOutbox(t *testing.T) {
	o := outbox(t, "a BACKUP", "b BACKUP", "a MASTER", "b FAULT", "a RIVAL")
	if diff := cmp.Diff([]uint64{1, 2, 3, 4, 5}, seqs(o.Take())); diff != "" {
		t.Error(diff)
	}
	if more := o.Take(); len(more) > 0 {
		t.Errorf("taken twice: %v", more)
	}
	o.Done([]uint64{2, 1, 3, 99})
	o.Add(event(t, "b BACKUP"))
	if diff := cmp.Diff([]uint64{6}, seqs(o.Take())); diff != "" {
		t.Error(diff)
	}
	told, pending := o.Restart()
	if diff := cmp.Diff([]uint64{2, 3}, seqs(told)); diff != "" {
		t.Error("told:", diff)
	}
	if diff := cmp.Diff([]uint64{4, 5, 6}, seqs(pending)); diff != "" {
		t.Error("pending:", diff)
	}
	o.Done([]uint64{5}) // a rival is no state
	if told, _ = o.Restart(); !slices.Equal(seqs(told), []uint64{2, 3}) {
		t.Errorf("told: %v", told)
	}
	o.Add(event(t, "a STOPPED shutdown"))
	if diff := cmp.Diff([]uint64{7}, seqs(o.Take())); diff != "" {
		t.Error(diff)
	}
	o.Done([]uint64{7})
	if told, pending = o.Restart(); len(told) != 1 || told[0].Seq != 2 || len(pending) != 2 || o.Lost() != 0 {
		t.Errorf("told %v, pending %v, lost %d", told, pending, o.Lost())
	}
}

// TestOutboxIsBounded: the newest are kept, and the others count as told.
func TestOutboxIsBounded(t *testing.T) {
	var o Outbox
	for range MaxPending {
		o.Add(event(t, "a BACKUP"))
	}
	if o.Lost() != 0 {
		t.Errorf("lost %d", o.Lost())
	}
	o.Add(event(t, "b MASTER"))
	o.Add(event(t, "b BACKUP"))
	told, pending := o.Restart()
	if len(pending) != MaxPending || pending[0].Seq != 3 || o.Lost() != 2 || len(told) != 1 || told[0].Seq != 2 {
		t.Errorf("%d pending from %d, lost %d, told %v", len(pending), pending[0].Seq, o.Lost(), told)
	}
}

// TestHandOverToTheNextWorker: workers die at random moments, having told some
// of what they were given. Taken together, what is told is what one worker
// would have told, nothing left out; only what was not reported is told again.
func TestHandOverToTheNextWorker(t *testing.T) {
	states := []vrrp.State{vrrp.Backup, vrrp.Master, vrrp.Fault}
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var o Outbox
		var single Fold
		single.Set(config())
		want, got := map[string][]string{}, map[string][]string{}
		w := newWorker(&o)
		for range 40 {
			e := Event{Key: config().Instances[rnd.IntN(3)].Key, To: states[rnd.IntN(3)], Cause: vrrp.LinkDown, Priority: 100}
			o.Add(e)
			for _, n := range single.Step(e) {
				want[n.lane()] = append(want[n.lane()], n.Line())
			}
			if rnd.IntN(4) == 0 {
				w.work(rnd, got)
			}
			if rnd.IntN(8) == 0 {
				w = newWorker(&o)
			}
		}
		for len(o.pending) > 0 {
			w.work(rnd, got)
		}
		for lane, lines := range want {
			if !subsequence(lines, got[lane]) {
				t.Fatalf("seed %d: %s: told %q of %q", seed, lane, got[lane], lines)
			}
		}
	}
}

// worker is the part of a Notifier that an Outbox sees.
type worker struct {
	o     *Outbox
	fold  Fold
	acks  acks
	lanes map[string][]told
}

type told struct {
	line string
	ack  *ack
}

func newWorker(o *Outbox) *worker {
	w := &worker{o: o, lanes: map[string][]told{}}
	w.fold.Set(config())
	before, events := o.Restart()
	w.fold.Recall(before)
	w.take(events)
	return w
}

func (w *worker) take(events []Event) {
	for _, e := range events {
		of := w.fold.groupOf(e.Key)
		if of == "" {
			of = e.Key.String()
		}
		notices := w.fold.Step(e)
		k := w.acks.begin(of, e.Seq, len(notices))
		for _, n := range notices {
			w.lanes[n.lane()] = append(w.lanes[n.lane()], told{n.Line(), k})
		}
	}
}

// work tells something of a lane, and may report it.
func (w *worker) work(rnd *rand.Rand, got map[string][]string) {
	w.take(w.o.Take())
	for lane, queue := range w.lanes {
		for n := rnd.IntN(len(queue) + 1); n > 0; n-- {
			got[lane] = append(got[lane], queue[0].line)
			w.acks.end(queue[0].ack)
			queue = queue[1:]
		}
		w.lanes[lane] = queue
	}
	if rnd.IntN(3) > 0 {
		w.o.Done(w.acks.fetch())
	}
}

// subsequence says whether all of want is in got, in its order.
func subsequence(want, got []string) bool {
	for _, line := range got {
		if len(want) > 0 && want[0] == line {
			want = want[1:]
		}
	}
	return len(want) == 0
}

func TestAcks(t *testing.T) {
	var a acks
	first, second := a.begin("g", 1, 2), a.begin("g", 2, 1)
	a.begin("g", 3, 0)
	a.begin("x", 4, 0)
	var got []string
	note := func() { got = append(got, fmt.Sprint(a.fetch())) }
	note()
	a.end(second)
	note()
	a.end(first)
	note()
	a.end(first)
	note()
	if want := []string{"[4]", "[]", "[]", "[1 2 3]"}; !slices.Equal(got, want) || len(a.open) != 0 {
		t.Errorf("%q, want %q; open %v", got, want, a.open)
	}
}
