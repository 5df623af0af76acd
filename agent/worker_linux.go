package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"harmony/check"
	"harmony/cluster"
	"harmony/ipvs"
	"harmony/nft"
	"harmony/notify"
	"harmony/script"
	"harmony/source"
	"harmony/source/folder"
	"harmony/vrrp"
	"harmony/vrrp/vip"
)

const (
	// heartbeat renews the elector's lease.
	heartbeat = time.Second
	// resync is how often the kernel is compared with the plan although
	// nothing has changed, to repair what others did to what is ours.
	resync = 30 * time.Second
)

// ErrElectorGone is what RunWorker returns when the elector died; its routers
// have been surrendered.
var ErrElectorGone = errors.New("the elector is gone")

// worker reads, decides and programs. All its fields belong to the goroutine
// of run.
type worker struct {
	o       Options
	started time.Time
	elector *link
	msgs    chan toWorker // closed when the elector is gone

	store    source.Store
	snapshot source.Snapshot // the last good one
	state    cluster.State
	plan     cluster.NodePlan
	source   SourceStatus

	checks   *check.Runner
	scripts  *script.Runner                           // nil where none can be run
	declared atomic.Pointer[map[string]script.Script] // for the goroutines of checks
	memory   memory                                   // of what routers track
	dirty    chan struct{}                            // a verdict changed; capacity 1
	table    *ipvs.Table                              // nil while the kernel has no ip_vs
	masq     *nft.Table                               // nil while the kernel has no nft
	wall     *nft.Firewall                            // nil while the kernel has no nft

	notifier *notify.Notifier
	notified chan struct{} // it has told of something; capacity 1

	watchdog *watchdog // nil while there is nothing to silence with
	election ElectionReport
	joined   bool             // the elector knows our routers
	faults   map[string]error // by actuator: what is not as planned
}

// RunWorker is the worker process: it ends with nil when the elector says so,
// with ErrElectorGone after surrendering the routers of a dead elector. It
// never ends by SIGTERM or SIGINT: those are the elector's, which says Stop.
func RunWorker(ctx context.Context, o Options) error {
	deafen(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGPIPE)
	file := os.NewFile(WorkerFD, "elector")
	conn, err := net.FileConn(file)
	if err != nil {
		return fmt.Errorf("the worker is started by `harmony agent`, not by hand: %w", err)
	}
	file.Close()
	defer conn.Close()
	w := &worker{
		o: o, started: time.Now(), elector: newLink(conn), msgs: make(chan toWorker, 16),
		dirty: make(chan struct{}, 1), notified: make(chan struct{}, 1), faults: map[string]error{},
		store: source.NewStore(string(o.RunDir)),
	}
	w.checks = check.NewRunner(check.Options{
		Log: o.Log, Changed: w.verdictChanged, Jitter: rand.N[time.Duration], CutOff: cutOff, Probe: w.prober().Probe,
	})
	defer w.checks.Close()
	if w.watchdog, err = watch(os.NewFile(PulseFD, "pulse"), o.Log); err != nil {
		o.Log.Warn("a stalled elector will not be silenced", "err", err)
	}
	w.openNotifier()
	go w.listen()
	err = w.run(ctx)
	return errors.Join(err, w.unwatch())
}

// deafen makes this process outlive signals: those that are meant for the
// elector, and SIGPIPE, of a log that nobody reads any more. It catches them
// rather than ignoring them: what a process ignores, the scripts that it starts
// ignore too, and they must end when they are told to.
func deafen(signals ...os.Signal) { signal.Notify(make(chan os.Signal, 1), signals...) }

// listen ends when the elector closes its end.
func (w *worker) listen() {
	defer close(w.msgs)
	for {
		var m toWorker
		if err := w.elector.receive(&m); err != nil {
			return
		}
		w.msgs <- m
	}
}

// verdictChanged runs in a check's goroutine.
func (w *worker) verdictChanged() {
	select {
	case w.dirty <- struct{}{}:
	default:
	}
}

func (w *worker) run(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	changed, err := folder.Watch(ctx, w.o.From, w.o.Log)
	w.fault("watch", err) // SIGHUP still reloads
	if err == nil {
		defer drain(changed) // until the watcher has ended
		defer cancel()
	}
	if w.snapshot, err = w.store.Load(); err != nil {
		w.o.Log.Error("the last good snapshot is lost", "err", err)
	}
	ops, err := serveOps(ctx, w.o)
	w.fault("http", err) // the traffic matters more than its metrics
	if err == nil {
		defer ops.close()
	}
	if ended, err := w.greeted(); ended {
		return err
	}
	w.reload()
	beat, again := time.NewTicker(heartbeat), time.NewTicker(resync)
	defer beat.Stop()
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, ok := <-w.msgs:
			if !ok {
				return w.surrender()
			}
			w.told(m)
			if m.Stop {
				return w.end(m.Keep)
			}
		case <-changed:
			w.reload()
		case <-w.dirty:
			w.replan()
		case <-w.notified:
			w.say(toElector{Notified: w.notifier.Fetch()})
		case <-beat.C:
			w.say(toElector{})
			if !w.joined {
				w.program()
			}
		case <-again.C:
			w.program()
		}
	}
}

func drain(c <-chan struct{}) {
	for range c {
	}
}

func (w *worker) told(m toWorker) {
	if m.Election != nil {
		for _, iface := range recovered(w.election.Routers, m.Election.Routers) {
			forgetUnreachable(iface, w.o.Log)
		}
		w.election = *m.Election
	}
	if m.Tracked != nil {
		w.memory = m.Tracked
	}
	w.notifier.Recall(m.Told)
	w.notifier.Tell(m.Events)
	if m.Reload && !m.Stop {
		w.reload()
	}
	if m.Refresh {
		w.say(toElector{Report: w.report()})
	}
}

// say writes to the elector. A dead one shows as the end of msgs.
func (w *worker) say(m toElector) {
	if err := w.elector.send(m); err != nil {
		w.o.Log.Debug("the elector does not listen", "err", err)
	}
}

// reload reads the source. What is broken in it keeps its last good version,
// and the Snapshot that results is the new last good one.
func (w *worker) reload() {
	next, problems := folder.Load(w.o.From)
	settled, state, problems := cluster.Settle(w.snapshot, next, problems)
	problems = append(problems, ScriptProblems(settled)...)
	w.source.From, w.source.Loaded = w.o.From, time.Now()
	w.source.Reloads++
	logProblems(w.o.Log, w.source.Problems, problems)
	w.source.Problems = problems
	if err := w.store.Save(settled); err != nil {
		w.fault("snapshot", fmt.Errorf("the last good snapshot is not kept: %w", err))
	} else {
		w.fault("snapshot", nil)
	}
	w.snapshot, w.state = settled, state
	w.o.Log.Info("source read", "from", w.o.From, "reload", w.source.Reloads, "problems", len(problems))
	w.replan()
}

// replan decides anew from what is known and programs the difference.
func (w *worker) replan() {
	down, verdicts := map[check.Spec]bool{}, w.checks.Verdicts()
	for spec, v := range verdicts {
		if !v.Up {
			down[spec] = true
		}
	}
	w.memory = w.memory.after(w.state.Routers, verdicts)
	plan, problems := cluster.Plan(w.state, cluster.Facts{
		Node: w.o.Node, Down: down, Tracked: w.memory.facts(w.state.Routers, verdicts), Active: active(w.election.Routers),
	})
	for _, p := range problems {
		w.o.Log.Warn("plan", "problem", p.String())
	}
	w.plan, w.source.Changed = plan, time.Now()
	w.program()
}

// program gives every actuator its part of the plan. A node that takes over
// must be warm: the routers join the election after the first programming and
// the first results of what they track, and lead it ever after, since a
// failover waits for nothing.
func (w *worker) program() {
	w.fault("notify", w.notifier.Set(w.plan.Notify)) // before the routers that it is about
	if w.joined {
		w.join()
	}
	w.declare(w.plan.Scripts)
	w.checks.Restore(w.memory.states(w.state.Routers))
	w.checks.Set(w.plan.Checks)
	w.programNGINX()
	w.programMasquerade()
	w.programFirewall()
	w.programIPVS()
	if !w.joined && w.knowing() {
		w.join()
		w.joined = true
	}
	if w.joined {
		w.say(toElector{Report: w.report()})
	}
}

func (w *worker) join() {
	nodes := map[string]map[string]uint8{}
	for _, r := range w.state.Routers {
		nodes[r.Name] = r.Priorities
	}
	wish := newDesired(w.plan.Routers, nodes)
	wish.Gossip = newGossipWish(w.plan.Gossip)
	w.say(toElector{Desired: wish})
}

// fault notes what an actuator could not do, or with nil that it is well. Only
// a change is logged.
func (w *worker) fault(actuator string, err error) {
	was := w.faults[actuator]
	switch {
	case err == nil && was != nil:
		w.o.Log.Info("as planned again", "part", actuator)
	case err != nil && (was == nil || was.Error() != err.Error()):
		w.o.Log.Error("not as planned", "part", actuator, "err", err)
	}
	if w.faults[actuator] = err; err == nil {
		delete(w.faults, actuator)
	}
}

// unwatch ends the watchdog.
func (w *worker) unwatch() error {
	if w.watchdog == nil {
		return nil
	}
	dog := w.watchdog
	w.watchdog = nil
	return dog.close()
}

// inheritLock takes the run directory after the elector's death. The kernel
// closes a dead process' files one by one, and the lock may be the last.
func (w *worker) inheritLock() (lock io.Closer, err error) {
	for range 100 {
		if lock, err = w.o.RunDir.Lock(); !errors.Is(err, ErrInUse) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	return lock, err
}

// surrender gives up the routers of a dead elector: priority 0, addresses
// removed. What is programmed stays for the next agent. One that runs already
// has cleaned up itself, and one that comes meanwhile has to wait.
func (w *worker) surrender() error {
	lock, err := w.inheritLock()
	if err != nil {
		return errors.Join(ErrElectorGone, err)
	}
	defer lock.Close()
	var owned []vrrp.Router
	for _, r := range w.election.Routers {
		if r.State == vrrp.Master || r.State == vrrp.Leaving {
			owned = append(owned, r.Router)
		}
	}
	w.o.Log.Error("the elector is gone: surrendering its routers", "routers", len(owned))
	unwatched := w.unwatch() // the dead are not late
	vips, err := vip.New(vip.Options{Journal: w.o.RunDir.addresses(), Log: w.o.Log})
	if err != nil {
		return errors.Join(ErrElectorGone, unwatched, fmt.Errorf("surrendering: %w", err))
	}
	owned = vrrp.SecretsOf(w.plan.Routers).Restore(owned)
	carry, hangUp := farewell(w.o)
	defer hangUp()
	err = errors.Join(vrrp.Surrender(owned, vips, w.election.Fenced, carry, w.o.Log), vips.Sweep(nil), vips.Close())
	w.notifier.Tell(stopped(w.election.Routers))
	w.closeNotifier()
	return errors.Join(ErrElectorGone, err, unwatched)
}
