// Package agent is the daemon of an edge node: the elector, a small parent
// process that owns the election and the addresses, and the worker, its child,
// which reads the sources, decides, and programs layer 4 and layer 7. Either
// may die without taking the other's part along.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"harmony/cluster/gossip"
	"harmony/nft"
	"harmony/vrrp"
	"harmony/vrrp/vip"
)

// Options are what `harmony agent` was told.
type Options struct {
	From    string // a folder of YAML
	Node    string // this node's name, as objects refer to it
	RunDir  RunDir
	HTTP    string // listen address of the read-only HTTP server, "" for none
	Keep    bool   // a stop is a restart: leave to the next life what is programmed, and the addresses that nobody takes over
	Version string
	Log     *slog.Logger
}

// elector owns the election. All its fields belong to the goroutine of run;
// others reach them through do.
type elector struct {
	o       Options
	started time.Time
	vips    *vip.Addresses
	fence   *nft.Fence // nil where the kernel cannot
	engine  *vrrp.Engine
	mesh    *gossip.Mesh // carries adverts of routers with gossip
	gossips *gossipWish  // what mesh is configured to
	pulse   *pulse       // what the worker watches us by
	ops     chan func()
	moved   chan struct{} // a router changed state; capacity 1

	left   map[string][]netip.Prefix // addresses that the previous life has left to us
	ending bool                      // asked to by `harmony restart`

	orders   Overrides
	wish     desired
	lastWord time.Time // of the worker
	silent   bool      // the lease has run out

	outbox   outbox
	worker   *workerProc
	report   WorkerReport
	waiters  []chan<- bool // who waits for the next report
	restarts int
	told     bool // systemd knows that we serve
}

// Run is the elector: it takes the run directory, cleans up after a previous
// life, starts the worker, and elects until ctx ends; then it hands its
// routers over, removes their addresses, stops the worker and returns nil.
// It returns an error when it cannot start or the election cannot go on.
func Run(ctx context.Context, o Options) error {
	deafen(syscall.SIGPIPE)
	lock, err := o.RunDir.Lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	e := &elector{
		o: o, started: time.Now(), lastWord: time.Now(),
		ops: make(chan func()), moved: make(chan struct{}, 1), orders: Overrides{},
	}
	if err := readJSON(o.RunDir.overrides(), &e.orders); err != nil {
		o.Log.Error("standing failover orders are lost", "err", err)
	}
	if err := e.openActuators(); err != nil {
		return err
	}
	if e.pulse, err = newPulse(); err != nil {
		return err
	}
	defer e.pulse.close()
	beRealTime(o.Log)
	if e.mesh, err = gossip.New(gossip.Options{Node: o.Node, State: o.RunDir.gossip(), Log: o.Log}); err != nil {
		return err
	}
	defer e.mesh.Close()
	e.engine, err = vrrp.Start(vrrp.Options{
		Carrier: e.mesh,
		Log:     o.Log, Actuator: e.vips, Observe: e.observe, ObserveRival: e.observeRival, Inherit: e.left, Pulse: e.pulse.beat,
	})
	if err != nil {
		return fmt.Errorf("starting the election: %w", err)
	}
	ctl, err := listenControl(o.RunDir.Control(), e.answer, o.Log)
	if err != nil {
		return errors.Join(err, e.engine.Stop(ctx))
	}
	err = errors.Join(e.loop(ctx), e.stop())
	ctl.close()
	return errors.Join(err, os.Remove(o.RunDir.Control()))
}

// openActuators makes the doors to addresses and ARP, and removes what a
// killed agent left behind. What a life before has left on purpose stays.
func (e *elector) openActuators() error {
	fence, err := nft.NewFence(e.o.Log)
	if err != nil {
		e.o.Log.Warn("addresses will not be fenced: a killed agent leaves them answering until it is started again", "err", err)
		fence = nil
	}
	opts := vip.Options{Journal: e.o.RunDir.addresses(), Log: e.o.Log}
	if fence != nil {
		opts.Fence = fence
	}
	e.fence = fence
	if e.vips, err = vip.New(opts); err != nil {
		return fmt.Errorf("opening the address actuator: %w", err)
	}
	if e.left, err = e.vips.Left(); err != nil {
		return err
	}
	if err := e.vips.Sweep(func(iface string, addr netip.Prefix) bool {
		return fence != nil && slices.Contains(e.left[iface], addr)
	}); err != nil {
		return fmt.Errorf("removing the addresses of a previous life: %w", err)
	}
	return nil
}

// loop owns the elector's state until ctx ends, or the engine by itself.
func (e *elector) loop(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	reload := reloadSignals()
	defer reload.stop()
	restart := newBackoff()
	defer restart.stop()
	e.spawn(restart)
	for {
		var msgs <-chan toElector // nil while there is no worker
		if e.worker != nil {
			msgs = e.worker.msgs
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.engine.Done():
			return errors.New("the election has ended by itself; the log says why")
		case f := <-e.ops:
			if f(); e.ending {
				return nil
			}
		case m, ok := <-msgs:
			if !ok {
				e.workerEnded(restart)
				continue
			}
			e.heard(m)
		case <-restart.timer.C:
			e.spawn(restart)
		case <-e.moved:
			e.tell(toWorker{Election: e.election(), Events: e.outbox.take()})
		case <-reload.c:
			e.o.Log.Info("reload asked for", "signal", "SIGHUP")
			e.tell(toWorker{Reload: true})
		case <-tick.C:
			e.checkLease()
			e.petSystemd()
		}
	}
}

// do runs f in the loop's goroutine and waits for it, or for ctx.
func (e *elector) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case e.ops <- func() { f(); close(done) }:
	case <-ctx.Done():
		return ctx.Err()
	}
	<-done
	return nil
}

// heard takes one message of the worker; any message renews the lease.
func (e *elector) heard(m toElector) {
	e.outbox.Done(m.Notified)
	e.lastWord = time.Now()
	e.checkLease()
	if m.Desired != nil {
		e.wish = *m.Desired
		e.wish.Routers = e.wish.complete()
		e.apply()
	}
	if m.Report != nil {
		if !e.told {
			e.told = true
			e.serving()
		}
		e.report = *m.Report
		for _, w := range e.waiters {
			w <- true
		}
		e.waiters = nil
	}
}

// serving tells systemd, once, that the first plan is programmed as far as the
// node can; what it cannot is in /readyz and status.
func (e *elector) serving() {
	if err := NotifySystemd("READY=1"); err != nil {
		e.o.Log.Warn("systemd does not know that we are ready", "err", err)
	}
}

// checkLease applies or lifts the penalty when the lease has changed.
func (e *elector) checkLease() {
	silence := time.Since(e.lastWord)
	if was := e.silent; was != (silence >= leaseTime) {
		e.silent = !was
		e.o.Log.Warn("worker lease", "expired", e.silent, "silent", silence.Round(time.Second), "penalty", leasePenalty)
		e.apply()
	}
}

// apply makes the election what the worker wishes, under the orders and the
// lease. Addresses are prepared first, so that a takeover has only to add.
func (e *elector) apply() {
	routers := compose(e.wish.Routers, e.orders, time.Since(e.lastWord))
	withoutDevice(routers, e.vips.PrepareDevices(devices(routers)))
	places := map[string][]netip.Prefix{}
	for _, r := range routers {
		places[r.Home()] = append(places[r.Home()], r.Addresses...)
	}
	err := errors.Join(e.configureGossip(), e.vips.PrepareRoutes(routesOf(routers)), e.vips.Prepare(places), e.engine.Set(routers))
	if err != nil {
		e.o.Log.Error("election not fully configured", "err", err)
	}
	e.tell(toWorker{Election: e.election()})
}

func (e *elector) election() *ElectionReport {
	return &ElectionReport{
		PID: os.Getpid(), Started: e.started, Routers: e.engine.Status(), Strays: e.engine.Strays(), Overrides: maps.Clone(e.orders), Drained: e.orders.Drained(),
		Gossip: e.mesh.Status(), Restarts: e.restarts, Silent: e.silent, Fenced: e.fence != nil, Untold: e.outbox.Lost(),
	}
}

// leftLife is for how long a restarted agent may inherit the addresses that
// nobody took over; then the kernel removes them.
const leftLife = time.Minute

// stop hands over what we own, then lets the worker clean up the rest: traffic
// on the way is served until the addresses are gone. With Keep, what nobody
// takes over stays for the next life, if there is a fence to keep it silent.
func (e *elector) stop() error {
	limit := 2 * time.Second
	for _, r := range e.wish.Routers {
		limit = max(limit, 6*r.AdvertInterval+2*time.Second)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	e.o.Log.Info("stopping", "routers", len(e.wish.Routers), "keep", e.o.Keep)
	stays, err := e.endElection(ctx)
	if e.worker != nil {
		e.tell(toWorker{Events: e.outbox.take(), Stop: true, Keep: e.o.Keep})
		err = errors.Join(err, e.worker.wait(stopTimeout))
	}
	if !stays {
		err = errors.Join(err, e.vips.Sweep(nil)) // virtual MACs and settings
	}
	if e.fence != nil {
		if !stays {
			err = errors.Join(err, e.fence.Clean())
		}
		err = errors.Join(err, e.fence.Close())
	}
	return errors.Join(err, e.vips.Close())
}

// endElection ends the engine, and says whether addresses stay.
func (e *elector) endElection(ctx context.Context) (stays bool, err error) {
	if !e.o.Keep || e.fence == nil {
		return false, e.engine.Stop(ctx)
	}
	if err := e.engine.Leave(ctx); err != nil {
		return true, err
	}
	n, err := e.vips.Leave(leftLife)
	return n > 0, err
}

// routerNames are the virtual routers this node takes part in.
func (e *elector) routerNames() []string {
	var names []string
	for _, r := range e.wish.Routers {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
