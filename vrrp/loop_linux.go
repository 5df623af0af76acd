package vrrp

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// drainLimit bounds the packets taken from one socket in one pass, so that a
// flood cannot keep the timers from acting. It exceeds what receiveBuffer
// holds of small packets: what had arrived before a timer is heard before it.
const drainLimit = 8192

// loop is the state of the engine's goroutine.
type loop struct {
	Options
	node     *Node
	routers  []Router // as admitted
	links    *links
	known    map[string]iface
	conns    map[connKey]*conn
	ways     map[string]*way
	problems map[problemKey]error
	waiters  []*waiter
	serving  []Key // as the actuator was told
	halting  bool

	wake     int // the eventfd, readable when a command is waiting
	commands chan func(*loop)
	poller   *poller // of wake, links, conns
	scratch  []byte

	stirredMu sync.Mutex
	stirred   []string // interfaces whose ways have changed; guarded by stirredMu
}

type connKey struct {
	iface  string
	family Family
	ah     bool // protocol 51
}

// kind is what sort of socket it is.
func (k connKey) kind() string {
	if k.ah {
		return fmt.Sprintf("%v AH socket", k.family)
	}
	return fmt.Sprintf("%v socket", k.family)
}

// iface is what the node has been told of an interface.
type iface struct {
	Link
	index int
}

// problemKey is a thing that can fail: an operation for a router.
type problemKey struct {
	key Key
	op  string
}

// waiter is a HandOver under way.
type waiter struct {
	pending map[Key]bool
	errs    []error
	reply   chan<- error // buffered
}

// run is the engine's goroutine. Its thread is never given back: it may be in
// another network namespace than the rest of the process.
func (e *Engine) run(o Options, ns netns.NsHandle, wake int, ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The process' first thread cannot be thrown away, and /proc shows its
		// namespace as that of the process: use another one.
		go e.run(o, ns, wake, ready)
		<-e.done
		runtime.UnlockOSThread()
		return
	}
	defer close(e.done)
	defer e.wake.Close()
	l, err := newLoop(o, ns, wake, e.commands)
	ready <- err
	if err != nil {
		return
	}
	defer l.close()
	e.err = l.run()
}

// newLoop opens what the loop needs, in the namespace ns, which it closes.
func newLoop(o Options, ns netns.NsHandle, wake int, commands chan func(*loop)) (*loop, error) {
	if err := enter(ns); err != nil {
		return nil, err
	}
	w, err := openLinks()
	if err != nil {
		return nil, err
	}
	p, err := openPoller()
	if err != nil {
		w.close()
		return nil, err
	}
	l := &loop{
		Options: o, node: NewNode(), links: w, poller: p,
		known: map[string]iface{}, conns: map[connKey]*conn{}, ways: map[string]*way{}, problems: map[problemKey]error{},
		wake: wake, commands: commands, scratch: make([]byte, 64<<10),
	}
	if err := errors.Join(p.add(wake), p.add(w.fd)); err != nil {
		l.close()
		return nil, err
	}
	l.step(Inherit{Addresses: o.Inherit})
	return l, nil
}

// enter moves the thread into a network namespace, if it is not there, and
// closes the handle.
func enter(ns netns.NsHandle) error {
	here, err := netns.Get()
	if err != nil {
		return errors.Join(fmt.Errorf("find network namespace: %w", err), ns.Close())
	}
	if !here.Equal(ns) {
		err = netns.Set(ns)
	}
	return errors.Join(err, here.Close(), ns.Close())
}

func (l *loop) close() {
	for _, c := range l.conns {
		c.close()
	}
	l.closeWays(func(string) bool { return true })
	l.links.close()
	l.poller.close()
}

// run waits and works until the node has halted. A timer acts only after
// everything that had arrived by then was heard.
func (l *loop) run() error {
	if l.Pulse != nil {
		defer l.Pulse(time.Time{}) // the addresses are gone
	}
	for !l.halting || !l.node.Idle() {
		l.pulse()
		if err := l.poller.wait(l.node.soonest(time.Now())); err != nil {
			return l.abandon(err)
		}
		l.drainConns(l.poller.ready)
		if l.poller.ready(l.links.fd) && l.links.drain(l.scratch) {
			l.refreshLinks(slices.Collect(maps.Keys(l.known)))
		}
		if l.poller.ready(l.wake) {
			l.runCommands()
			l.refreshLinks(l.calm())
		}
		if l.due() {
			l.drainConns(anyway) // what the poller has not seen yet
			l.step(Tick{})
		}
	}
	return nil
}

// due says whether a timer of the node has run out.
func (l *loop) due() bool {
	now := time.Now()
	at := l.node.soonest(now)
	return !at.IsZero() && !now.Before(at)
}

// anyway is a drainConns of all sockets.
func anyway(int) bool { return true }

// pulse tells a watchdog, if there is one, by when it will be told again.
func (l *loop) pulse() {
	if l.Pulse != nil {
		limit, _ := l.node.Limit()
		l.Pulse(limit)
	}
}

// abandon gives everything up when the loop cannot go on.
func (l *loop) abandon(err error) error {
	l.Log.Error("engine gives up", "err", err)
	l.halt(Halt{Now: true})
	return err
}

// runCommands runs the commands that are waiting.
func (l *loop) runCommands() {
	_, _ = unix.Read(l.wake, l.scratch[:8]) // resets it; nothing to reset is no error
	for {
		select {
		case f := <-l.commands:
			f(l)
		default:
			return
		}
	}
}

// drainConns hears every packet that has arrived at the sockets that are
// ready.
func (l *loop) drainConns(ready func(fd int) bool) {
	l.drainWays(ready)
	for _, c := range l.conns {
		if !ready(c.fd) {
			continue
		}
		for range drainLimit {
			e, err := c.receive()
			if err == nil {
				l.step(e)
				continue
			}
			if errors.Is(err, errMalformed) || errors.Is(err, unix.EINTR) {
				continue
			}
			if !errors.Is(err, unix.EAGAIN) { // such as ENETDOWN, once; the links tell that too
				l.Log.Debug("receive", "iface", c.iface, "family", c.family.String(), "err", err)
			}
			break
		}
	}
}

func (l *loop) carryOut(a Action) {
	switch a := a.(type) {
	case Transition:
		l.observe(a)
	case AddAddresses:
		l.check(a.Key, "addresses", l.Actuator.Add(a.Interface, a.Addresses))
	case Answer:
		l.check(Key{}, "answer", l.Actuator.Answer(a.Addresses))
	case Announce:
		l.check(a.Key, "announce", l.Actuator.Announce(a.Interface, a.Addresses))
	case RemoveAddresses:
		l.check(a.Key, "addresses", l.Actuator.Remove(a.Interface, a.Addresses))
	case Send:
		l.check(a.Key, "send", l.send(a))
	case Lost:
		l.Log.Warn("addresses were removed by somebody else; putting them back", "router", a.Key.String(), "iface", a.Interface, "vip", a.Addresses)
	case Rival:
		l.Log.Warn("another node advertises what we own", "router", a.Key.String(), "rival", a.Addr.String(), "node", a.Node, "priority", a.Priority)
		if l.ObserveRival != nil {
			l.ObserveRival(a)
		}
	case Refused:
		l.Log.Warn("advert refused; more of this kind are only counted", "router", a.Key.String(), "reason", a.Reason.String(), "from", a.Addr.String(), "ttl", a.TTL, "why", a.Text)
	}
}

func (l *loop) send(s Send) error {
	if s.Gossip != 0 {
		return l.sendByWay(s)
	}
	c := l.conns[connKey{s.Interface, s.Key.Family, s.AH}]
	if i, ok := l.node.find(s.Key); ok && l.node.routers[i].speaksVirtually(s.Dst) {
		// Before its socket is there an advert without virtual MAC must do.
		c = cmp.Or(l.conns[connKey{l.node.routers[i].Device, s.Key.Family, s.AH}], c)
	}
	if c == nil {
		return fmt.Errorf("no %v socket on %s", s.Key.Family, s.Interface)
	}
	return c.send(s)
}

// check remembers what does not work, and logs when that begins, changes or
// ends.
func (l *loop) check(key Key, op string, err error) {
	k := problemKey{key, op}
	before, had := l.problems[k]
	switch {
	case err == nil && had:
		delete(l.problems, k)
		l.Log.Info("works again", "op", op, "router", key.String())
	case err != nil && (!had || before.Error() != err.Error()):
		l.problems[k] = err
		l.Log.Error("does not work", "op", op, "router", key.String(), "err", err)
	}
}

func (l *loop) observe(t Transition) {
	l.Log.Info("transition", "router", t.Key.String(), "from", t.From.String(), "to", t.To.String(), "cause", t.Cause.String(), "why", t.Text)
	if l.Observe != nil {
		l.Observe(t)
	}
	l.waiters = slices.DeleteFunc(l.waiters, func(w *waiter) bool { return w.observe(t) })
	if t.To == Stopped {
		maps.DeleteFunc(l.problems, func(k problemKey, _ error) bool { return k.key == t.Key })
	}
}

// observe follows a hand-over and says when it is over.
func (w *waiter) observe(t Transition) bool {
	if !w.pending[t.Key] || t.From != Leaving {
		return false
	}
	delete(w.pending, t.Key)
	switch {
	case t.Cause == HandOverRefused:
		w.errs = append(w.errs, fmt.Errorf("hand over %v: %w", t.Key, ErrNobodyTookOver))
	case t.To == Fault:
		w.errs = append(w.errs, fmt.Errorf("hand over %v: %s", t.Key, t.Text))
	}
	if len(w.pending) > 0 {
		return false
	}
	w.reply <- errors.Join(w.errs...)
	return true
}

// handOver starts a hand-over and has its result sent to reply.
func (l *loop) handOver(name string, reply chan<- error) {
	err := fmt.Errorf("%w: %s", ErrNoRouter, name)
	w := &waiter{pending: map[Key]bool{}, reply: reply}
	for _, s := range l.node.Status() {
		if s.Router.Name != name {
			continue
		}
		if s.State == Master || s.State == Leaving {
			w.pending[s.Router.Key] = true
			continue
		}
		err = fmt.Errorf("hand over %s: %w", name, ErrNotOwner{Owner: s.Owner.Addr})
	}
	if len(w.pending) == 0 {
		reply <- err
		return
	}
	l.waiters = append(l.waiters, w)
	l.step(Resign{Name: name})
}

func (l *loop) halt(h Halt) {
	l.halting = true
	l.step(h)
}

// status adds what the loop knows to what the node knows.
func (l *loop) status() []RouterStatus {
	list := l.node.Status()
	for i := range list {
		var problems []string
		for k, err := range l.problems {
			if k.key == list[i].Router.Key || k.key == (Key{}) {
				problems = append(problems, k.op+": "+err.Error())
			}
		}
		slices.Sort(problems)
		list[i].Problem = strings.Join(problems, "; ")
	}
	return list
}

// configure applies a new set of routers. Interfaces are read and sockets
// opened before the node hears of their routers.
func (l *loop) configure(wanted []Router) error {
	if l.halting {
		return ErrStopped
	}
	routers, err := Admit(l.routers, wanted)
	l.routers = routers
	var names []string
	for _, r := range routers {
		names = append(names, r.Interface, r.Home())
		for _, t := range r.Track {
			names = append(names, t.Interface)
		}
	}
	slices.Sort(names)
	l.refreshLinks(slices.Compact(names))
	l.step(Configure{Routers: routers})
	l.closeUnused()
	return err
}

// used are the sockets that routers need, leaving ones included.
func (l *loop) used() map[connKey]bool {
	used := map[connKey]bool{}
	for _, r := range l.all() {
		if r.Gossip != 0 {
			continue // it has a way
		}
		for _, iface := range []string{r.Interface, r.Home()} {
			used[connKey{iface, r.Family, false}] = true
			if r.Auth.Type == AuthAH {
				used[connKey{iface, r.Family, true}] = true
			}
		}
	}
	return used
}

// all are the routers as admitted, and those that are leaving.
func (l *loop) all() []Router {
	all := slices.Clone(l.routers)
	for _, r := range l.node.routers {
		all = append(all, r.Router)
	}
	return all
}

// closeUnused forgets interfaces and sockets that no router needs any more.
func (l *loop) closeUnused() {
	used, watched := l.used(), map[string]bool{}
	for k, c := range l.conns {
		if !used[k] {
			c.close()
			delete(l.conns, k)
		}
	}
	l.closeWays(func(iface string) bool { return !l.gossips(iface) })
	for k := range used {
		watched[k.iface] = true
	}
	for _, r := range l.all() {
		watched[r.Interface] = true
		for _, t := range r.Track {
			watched[t.Interface] = true
		}
	}
	maps.DeleteFunc(l.known, func(name string, _ iface) bool { return !watched[name] })
}

// refreshLinks reads interfaces and tells the node what has changed.
func (l *loop) refreshLinks(names []string) {
	for _, name := range names {
		link, index, err := l.links.read(name)
		if err != nil {
			l.Log.Error("does not work", "op", "read interface", "iface", name, "err", err)
			continue
		}
		l.reopen(&link, index)
		l.reopenWay(&link, index)
		now, before := iface{link, index}, l.known[name]
		l.known[name] = now
		if !now.equal(before.Link) {
			l.step(link)
		}
	}
}

// reopen gives an interface the sockets it needs. A family without a socket is
// deaf and must not take part: its addresses are left out, so that its
// routers are at fault.
func (l *loop) reopen(link *Link, index int) {
	for k := range l.used() {
		if k.iface != link.Interface {
			continue
		}
		err := l.ensure(k, index)
		for _, r := range l.routers {
			if r.Family == k.family && (r.Interface == k.iface || r.Device == k.iface) && (!k.ah || r.Auth.Type == AuthAH) {
				l.check(r.Key, "open "+k.kind(), err)
			}
		}
		if l.conns[k] == nil {
			link.Addresses = slices.DeleteFunc(link.Addresses, func(p netip.Prefix) bool { return familyOf(p.Addr()) == k.family })
		}
	}
}

// ensure sees to it that there is a socket for k on the interface with that
// index, and none where there is no interface (index 0).
func (l *loop) ensure(k connKey, index int) error {
	if c := l.conns[k]; c != nil {
		if c.index == index {
			return nil
		}
		c.close()
		delete(l.conns, k)
	}
	if index == 0 {
		return nil
	}
	open := openConn
	if r, ok := deviceOwner(l.all(), k.iface); ok {
		open = func(index int, k connKey) (*conn, error) { return openDeviceConn(r, index, k) }
	}
	c, err := open(index, k)
	if err != nil {
		return err
	}
	if err := l.poller.add(c.fd); err != nil {
		c.close()
		return err
	}
	l.conns[k] = c
	return nil
}
