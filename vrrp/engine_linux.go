package vrrp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Options are what an Engine works with.
type Options struct {
	Log      *slog.Logger // required
	Actuator Actuator     // required; called on the engine's goroutine only
	// Carrier, if set, carries the adverts of routers with Gossip.
	Carrier Carrier
	// Observe, if set, is told of every transition, in order, on the engine's
	// goroutine: it must neither block nor call the Engine.
	Observe func(Transition)
	// ObserveRival, if set, is told of every Rival in the same way.
	ObserveRival func(Rival)
	// Inherit are the addresses, by interface, that a previous life has left
	// with Leave; see the event of this name.
	Inherit map[string][]netip.Prefix
	// Pulse, if set, is called on the engine's goroutine before each wait, when
	// everything that had arrived has been judged and acted on. If it is not
	// called again by limit, the engine is stalled, and somebody should silence
	// the addresses; a zero limit says that none is at stake.
	Pulse func(limit time.Time)
}

// Engine runs a Node: one goroutine on a thread of its own that waits for
// packets, link changes, commands and the Node's deadline, and carries out
// its actions. Its methods are safe for concurrent use.
type Engine struct {
	commands chan func(*loop)
	wake     *os.File // an eventfd: a command is waiting
	done     chan struct{}
	err      error // why the goroutine ended; valid after done is closed
}

// ErrStopped is the error of calls on an engine that has stopped.
var ErrStopped = errors.New("vrrp engine has stopped")

// ErrNobodyTookOver is the error of a hand-over that no peer has accepted. The
// router is master again.
var ErrNobodyTookOver = errors.New("nobody took over")

// ErrNoRouter is the error for a name that no router has.
var ErrNoRouter = errors.New("no such virtual router")

// ErrNotOwner is the error of a hand-over of addresses that are not ours.
type ErrNotOwner struct {
	Owner netip.Addr // as far as we know; the zero Addr when we do not
}

// Error names the owner.
func (e ErrNotOwner) Error() string {
	if !e.Owner.IsValid() {
		return "this node is not the owner, and does not know who is"
	}
	return fmt.Sprintf("the owner is %v", e.Owner)
}

// Start starts an engine without routers, in the network namespace of the
// calling thread. Stop ends it.
func Start(o Options) (*Engine, error) {
	ns, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("find network namespace: %w", err)
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = ns.Close()
		return nil, fmt.Errorf("open eventfd: %w", err)
	}
	e := &Engine{
		commands: make(chan func(*loop), 16),
		wake:     os.NewFile(uintptr(fd), "eventfd"),
		done:     make(chan struct{}),
	}
	ready := make(chan error, 1)
	go e.run(o, ns, fd, ready) // ends by Stop, which waits for it
	if err := <-ready; err != nil {
		<-e.done
		return nil, fmt.Errorf("start vrrp engine: %w", err)
	}
	return e, nil
}

// Set makes routers the whole set that this node runs, and returns when that
// is applied. Routers that cannot run are left out, or keep the configuration
// they have; the error joins the reasons. An absent interface is no error:
// the router waits for it in state Fault.
func (e *Engine) Set(routers []Router) error {
	var err error
	if cerr := e.call(func(l *loop) { err = l.configure(routers) }); cerr != nil {
		return cerr
	}
	return err
}

// HandOver gives up every router of that name that we own, and returns nil
// when peers have taken over all of them. Its errors are ErrNoRouter,
// ErrNotOwner and ErrNobodyTookOver. When ctx ends the hand-over goes on
// unwatched. Lower the priority first, or we take over again.
func (e *Engine) HandOver(ctx context.Context, name string) error {
	reply := make(chan error, 1)
	if err := e.call(func(l *loop) { l.handOver(name, reply) }); err != nil {
		return err
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return fmt.Errorf("hand over %s: %w", name, context.Cause(ctx))
	case <-e.done:
		return ErrStopped
	}
}

// Status describes all routers, sorted by Key; nothing once the engine has
// stopped.
func (e *Engine) Status() []RouterStatus {
	var list []RouterStatus
	if e.call(func(l *loop) { list = l.status() }) != nil {
		return nil
	}
	return list
}

// Done is closed when the engine has ended: by Stop, or because it could not go
// on. Then the addresses are gone, as far as that was possible.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Strays counts refused adverts that concern no router of ours.
func (e *Engine) Strays() Drops {
	var d Drops
	if e.call(func(l *loop) { d = l.node.Strays() }) != nil {
		return nil
	}
	return d
}

// Stop hands over what we own, removes the addresses, closes the sockets and
// waits for the goroutine. When ctx ends, the addresses are removed without
// waiting for a new owner any longer.
func (e *Engine) Stop(ctx context.Context) error { return e.stop(ctx, Halt{}) }

// Leave is Stop, but the addresses that no peer takes over stay on their
// interfaces, silent, for the next life of this node.
func (e *Engine) Leave(ctx context.Context) error { return e.stop(ctx, Halt{Keep: true}) }

func (e *Engine) stop(ctx context.Context, h Halt) error {
	if e.call(func(l *loop) { l.halt(h) }) == nil {
		select {
		case <-e.done:
		case <-ctx.Done():
			_ = e.call(func(l *loop) { l.halt(Halt{Now: true}) }) // it may have ended meanwhile
		}
	}
	<-e.done
	return e.err
}

// call runs f on the engine's goroutine and waits for it.
func (e *Engine) call(f func(*loop)) error {
	done := make(chan struct{})
	command := func(l *loop) { defer close(done); f(l) }
	select {
	case e.commands <- command:
	case <-e.done:
		return e.stopped()
	}
	// The error can only be that the engine has ended, which done tells too.
	_, _ = e.wake.Write(binary.NativeEndian.AppendUint64(nil, 1))
	select {
	case <-done:
		return nil
	case <-e.done:
		return e.stopped()
	}
}

// stopped is the error of a call after the end.
func (e *Engine) stopped() error {
	if e.err != nil {
		return fmt.Errorf("%w: %w", ErrStopped, e.err)
	}
	return ErrStopped
}

// surrenderLimit bounds the wait of Surrender, whatever the advert interval.
const surrenderLimit = 5 * time.Second

// Surrender gives up routers in place of an engine that has died: each sends
// priority 0 once and loses its addresses. Give it only the routers which that
// engine owned: priority 0 from somebody else disturbs the true owner. Where
// the addresses are silent already, so that they contest nobody, they stay
// until another node had the time to take over, for those who know the way.
// carry sends the adverts of routers with Gossip.
func Surrender(routers []Router, act Actuator, silent bool, carry func(Send) error, log *slog.Logger) error {
	w, err := openLinks()
	if err != nil {
		return err
	}
	defer w.close()
	var errs []error
	for _, r := range routers {
		if err := surrender(w, r, routers, carry); err != nil {
			errs = append(errs, fmt.Errorf("surrender %v: %w", r.Key, err))
		}
	}
	if silent {
		time.Sleep(surrenderHold(routers))
	}
	if err := act.Serve(nil); err != nil {
		errs = append(errs, fmt.Errorf("surrender: %w", err))
	}
	for _, r := range routers { // the others' skew times run already
		if err := act.Remove(r.Home(), r.Addresses); err != nil {
			errs = append(errs, fmt.Errorf("surrender %v: %w", r.Key, err))
		}
		log.Warn("surrendered", "router", r.Key.String(), "iface", r.Home())
	}
	return errors.Join(errs...)
}

// surrenderHold is how long a new owner may take, whose skew time is less than
// an advert interval, and a little more.
func surrenderHold(routers []Router) (hold time.Duration) {
	for _, r := range routers {
		hold = max(hold, r.AdvertInterval+holdAfterLoss)
	}
	return min(hold, surrenderLimit)
}

// surrender sends priority 0 for one router.
func surrender(w *links, r Router, all []Router, carry func(Send) error) error {
	link, index, err := w.read(r.Interface)
	if err != nil {
		return err
	}
	send := carry
	if r.Gossip == 0 {
		c, err := openConn(index, connKey{r.Interface, r.Family, r.Auth.Type == AuthAH})
		if err != nil {
			return err
		}
		defer c.close()
		send = c.send
	}
	n := NewNode()
	n.Step(link, time.Time{})
	n.Step(Configure{Routers: all}, time.Time{})
	i, ok := n.find(r.Key)
	if !ok {
		return ErrNoRouter
	}
	n.now = time.Now()
	n.routers[i].memory.follow(n.now)
	var errs []error
	for _, s := range n.sign(n.routers[i], n.routers[i].releases) {
		errs = append(errs, send(s))
	}
	return errors.Join(errs...)
}
