package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"harmony/script"
)

// maxRunning bounds the scripts that run at once, whatever happens to all routers
// together. It is half of what script.Runner takes: the rest is for trackers,
// which must not fail because notify scripts hang.
const maxRunning = 128

// maxQueue bounds the calls that wait for a script of the same router or group
// to end. Beyond it the oldest are dropped, and counted.
const maxQueue = 256

// Options are what a Notifier works with.
type Options struct {
	Log *slog.Logger
	Run func(context.Context, script.Script, script.Input) script.Result
	// Done is called, by any goroutine, when Fetch has something to return. It
	// must not block.
	Done func()
}

// Notifier tells what becomes of the routers. Each router and each group has its
// own lane, in which one script runs after the other, in the order of what has
// happened; lanes do not wait for each other. Lines go into the FIFO at once.
type Notifier struct {
	o      Options
	ctx    context.Context
	cancel context.CancelCauseFunc
	lanes  sync.WaitGroup
	slots  chan struct{} // of scripts that run

	mu     sync.Mutex // of all that follows
	fold   Fold
	acks   acks
	queues map[string][]job // by lane; those that have a goroutine
	fifo   fifo
	stats  map[string]*ScriptStatus

	configured  bool
	past, early []Event // what came before the first Set
}

// job is a call that waits in its lane, or runs.
type job struct {
	notice Notice
	call   Call
	ack    *ack // nil if nobody waits for its end
}

// errClosing is why a script is ended when the agent stops.
var errClosing = errors.New("ended because the agent stops")

// New returns a Notifier. It tells nothing before it has a configuration.
func New(o Options) *Notifier {
	n := &Notifier{o: o, slots: make(chan struct{}, maxRunning), queues: map[string][]job{}, stats: map[string]*ScriptStatus{}}
	n.ctx, n.cancel = context.WithCancelCause(context.Background())
	return n
}

// Set replaces the configuration. The error says why the FIFO cannot be used;
// Set again tries again.
func (n *Notifier) Set(c Config) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, notice := range n.fold.Set(c) {
		n.tell(notice, nil)
	}
	n.prune(c)
	err := n.fifo.set(c.FIFO)
	if !n.configured {
		n.configured = true
		n.recall(n.past)
		n.tellAll(n.early)
		n.past, n.early = nil, nil
	}
	n.catchUp()
	return err
}

// Recall takes in the Events that have been told of by an earlier Notifier. What
// was in the FIFO and not yet read may be lost, so the FIFO gets it anew.
func (n *Notifier) Recall(told []Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.configured {
		n.past = append(n.past, told...)
		return
	}
	n.recall(told)
}

func (n *Notifier) recall(told []Event) {
	if len(told) == 0 {
		return
	}
	n.fold.Recall(told)
	n.fifo.behind = true
	n.catchUp()
}

// Tell tells of Events, in their order. It does not wait for scripts.
func (n *Notifier) Tell(events []Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.configured {
		n.early = append(n.early, events...)
		return
	}
	n.tellAll(events)
}

func (n *Notifier) tellAll(events []Event) {
	for _, e := range events {
		of := cmp.Or(n.fold.groupOf(e.Key), e.Key.String())
		notices := n.fold.Step(e)
		calls := 0
		for _, notice := range notices {
			calls += len(notice.Calls)
		}
		k := n.acks.begin(of, e.Seq, calls)
		for _, notice := range notices {
			n.tell(notice, k)
		}
	}
	if len(n.acks.done) > 0 {
		n.o.Done()
	}
}

// Fetch returns the numbers of the Events that are told since the last call.
func (n *Notifier) Fetch() []uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.acks.fetch()
}

// Close waits until everything is told, but not longer than ctx; then it ends
// the scripts that run and drops those that wait.
func (n *Notifier) Close(ctx context.Context) {
	told := make(chan struct{})
	go func() { // ends with the lanes
		n.lanes.Wait()
		close(told)
	}()
	select {
	case <-told:
	case <-ctx.Done():
		n.cancel(errClosing)
		<-told
	}
	n.cancel(errClosing)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fifo.close()
}

// tell writes a line and queues the calls of a Notice.
func (n *Notifier) tell(notice Notice, k *ack) {
	n.catchUp()
	n.fifo.write(notice.Line())
	for _, c := range notice.Calls {
		n.enqueue(job{notice, c, k})
	}
}

func (n *Notifier) enqueue(j job) {
	lane := j.notice.lane()
	queue, busy := n.queues[lane]
	if len(queue) == maxQueue {
		n.of(queue[0].call).Dropped++
		n.end(queue[0])
		queue = queue[1:]
	}
	n.queues[lane] = append(queue, j)
	if !busy {
		n.lanes.Add(1)
		go n.work(lane) // ends when the lane is empty
	}
}

// work runs what is in a lane.
func (n *Notifier) work(lane string) {
	defer n.lanes.Done()
	for n.workOne(lane) {
	}
}

// workOne runs the first job of a lane, and says whether there was one.
func (n *Notifier) workOne(lane string) bool {
	select {
	case n.slots <- struct{}{}:
		defer func() { <-n.slots }()
	case <-n.ctx.Done(): // then next leaves nothing to run
	}
	j, ok := n.next(lane)
	if !ok {
		return false
	}
	began := time.Now()
	r := n.o.Run(n.ctx, j.call.Script, script.Input{Args: j.call.Args, Env: j.notice.env()})
	n.ended(j, r, began)
	return true
}

// next takes the first job of a lane, or closes the lane.
func (n *Notifier) next(lane string) (job, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	queue := n.queues[lane]
	for n.ctx.Err() != nil && len(queue) > 0 {
		n.of(queue[0].call).Dropped++
		queue = queue[1:]
	}
	if len(queue) == 0 {
		delete(n.queues, lane)
		return job{}, false
	}
	n.queues[lane] = queue[1:]
	return queue[0], true
}

// ended counts a run.
func (n *Notifier) ended(j job, r script.Result, at time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.of(j.call)
	switch {
	case r.Err == nil:
		s.Succeeded++
	case errors.Is(r.Err, script.ErrTimeout):
		s.TimedOut++
	default:
		s.Failed++
	}
	if r.Err != nil {
		about := fmt.Sprintf("%s %s %s", j.notice.Kind, j.notice.Name, j.notice.Word)
		s.LastFailure = &Failure{At: at, About: about, Error: r.Err.Error()}
		n.o.Log.Warn("notify script failed", "script", j.call.Script.Name, "about", about, "took", r.Took, "err", r.Err)
	} else {
		n.o.Log.Info("notified", "script", j.call.Script.Name, "about", j.notice.lane(), "state", string(j.notice.Word), "took", r.Took)
	}
	if n.ctx.Err() == nil { // else the next life shall do it again
		n.end(j)
	}
}

func (n *Notifier) end(j job) {
	if j.ack == nil {
		return
	}
	if n.acks.end(j.ack); len(n.acks.done) > 0 {
		n.o.Done()
	}
}

// catchUp tells a FIFO that has missed lines what holds now, as soon as it takes
// that.
func (n *Notifier) catchUp() {
	if !n.fifo.behind || !n.fifo.open() {
		return
	}
	n.fifo.behind = false
	for _, notice := range n.fold.Present() {
		if n.fifo.write(notice.Line()); n.fifo.behind {
			return
		}
	}
}

func (n *Notifier) of(c Call) *ScriptStatus {
	s := n.stats[c.Script.Name]
	if s == nil {
		s = &ScriptStatus{Name: c.Script.Name}
		n.stats[c.Script.Name] = s
	}
	return s
}

// prune forgets the counters of scripts that are not named any more.
func (n *Notifier) prune(c Config) {
	named := map[string]bool{}
	for _, i := range c.Instances {
		i.names(named)
	}
	for _, g := range c.Groups {
		g.names(named)
	}
	maps.DeleteFunc(n.stats, func(name string, _ *ScriptStatus) bool { return !named[name] })
	for name := range named {
		n.of(Call{Script: script.Script{Name: name}})
	}
}

func (h Hooks) names(to map[string]bool) {
	for _, s := range []*script.Script{h.Master, h.Backup, h.Fault, h.Stop, h.Rival, h.Any} {
		if s != nil {
			to[s.Name] = true
		}
	}
}
