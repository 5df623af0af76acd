package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// WorkerCommand is the hidden subcommand that runs the worker; WorkerFD
	// and PulseFD are the file descriptors on which it finds the elector and
	// its pulse.
	WorkerCommand = "worker"
	WorkerFD      = 3
	PulseFD       = 4

	// stopTimeout is what the worker has for its clean-up at a stop.
	stopTimeout = 15 * time.Second
)

// workerProc is a running worker, with two goroutines. One reads messages until
// the worker's end of the socket closes, reaps the process and closes msgs. The
// other writes what is in box, so that the election never waits for a worker
// that does not read; it ends when the first one closes the socket and box.
type workerProc struct {
	cmd     *exec.Cmd
	conn    net.Conn
	link    *link
	msgs    chan toElector
	box     chan toWorker // capacity 1: what is not yet being written
	started time.Time
	err     error // of the process; to be read after msgs is closed
}

// startWorker runs this binary's worker with the same options.
func startWorker(o Options, pulse *os.File) (*workerProc, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding our own binary: %w", err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making the socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "worker"), os.NewFile(uintptr(fds[1]), "elector")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("opening the socket pair: %w", err)
	}
	cmd := exec.Command(self, WorkerCommand, "--from", o.From, "--node", o.Node, "--run-dir", string(o.RunDir), "--http", o.HTTP)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs, pulse}
	if err := startUnprivileged(cmd); err != nil {
		conn.Close()
		return nil, fmt.Errorf("starting the worker: %w", err)
	}
	w := &workerProc{
		cmd: cmd, conn: conn, link: newLink(conn), started: time.Now(),
		msgs: make(chan toElector, 16), box: make(chan toWorker, 1),
	}
	go w.read()
	return w, nil
}

// startUnprivileged starts cmd from a thread of its own with the normal
// scheduler: a child inherits the priority of the thread that forks it. The
// thread ends with its goroutine.
func startUnprivileged(cmd *exec.Cmd) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is thrown away
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
		err := unix.SchedSetAttr(0, &attr, 0)
		done <- errors.Join(err, cmd.Start())
	}()
	return <-done
}

func (w *workerProc) read() {
	defer close(w.msgs)
	stop, written := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(written)
		w.write(stop)
	}()
	for {
		var m toElector
		if err := w.link.receive(&m); err != nil {
			if !errors.Is(err, io.EOF) {
				_ = w.cmd.Process.Kill() // what it says cannot be understood; it may have ended
			}
			break
		}
		w.msgs <- m
	}
	w.err = w.cmd.Wait()
	w.conn.Close()
	close(stop)
	<-written
}

func (w *workerProc) write(stop <-chan struct{}) {
	for {
		select {
		case m := <-w.box:
			if w.link.send(m) != nil {
				return // the reader sees the same end
			}
		case <-stop:
			return
		}
	}
}

// send never blocks. What the worker has not been told yet is told together
// with m. It is called by one goroutine.
func (w *workerProc) send(m toWorker) {
	select {
	case earlier := <-w.box:
		m = earlier.with(m)
	default:
	}
	w.box <- m
}

// wait blocks until the worker has ended by itself, or kills it after limit.
func (w *workerProc) wait(limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case _, ok := <-w.msgs:
			if !ok {
				return w.err
			}
		case <-timer.C:
			_ = w.cmd.Process.Kill() // it may have ended
		}
	}
}

// spawn starts a worker; failing that, tries again later.
func (e *elector) spawn(b *backoff) {
	w, err := startWorker(e.o, e.pulse.file)
	if err != nil {
		e.o.Log.Error("worker not started", "err", err, "retry", b.again(0))
		return
	}
	e.worker = w
	e.o.Log.Info("worker started", "pid", w.cmd.Process.Pid)
	told, events := e.outbox.Restart()
	e.tell(toWorker{Election: e.election(), Tracked: e.wish.Tracked, Told: told, Events: events})
}

// workerEnded notes the unexpected end of the worker. The election goes on.
func (e *elector) workerEnded(b *backoff) {
	e.restarts++
	ran := time.Since(e.worker.started)
	e.o.Log.Error("worker ended; election and addresses stay", "pid", e.worker.cmd.Process.Pid,
		"err", e.worker.err, "ran", ran.Round(time.Millisecond), "restart", b.again(ran))
	e.worker = nil
	e.report = WorkerReport{}
}

// tell sends to the worker, if there is one.
func (e *elector) tell(m toWorker) {
	if e.worker != nil {
		e.worker.send(m)
	}
}

// backoff spaces the restarts of the worker: at once after a good run, then
// 100 ms doubling to 5 s.
type backoff struct {
	timer *time.Timer
	delay time.Duration
}

func newBackoff() *backoff {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &backoff{timer: t}
}

// again arms the timer after a run of the given length and returns the delay.
func (b *backoff) again(ran time.Duration) time.Duration {
	if ran > 10*time.Second {
		b.delay = 0
	}
	d := b.delay
	b.delay = min(max(2*b.delay, 100*time.Millisecond), 5*time.Second)
	b.timer.Reset(d)
	return d
}

func (b *backoff) stop() { b.timer.Stop() }

// signalChan is a subscription to SIGHUP.
type signalChan struct{ c chan os.Signal }

func reloadSignals() signalChan {
	s := signalChan{make(chan os.Signal, 1)}
	signal.Notify(s.c, unix.SIGHUP)
	return s
}

func (s signalChan) stop() { signal.Stop(s.c) }

// refresh asks the worker for a new report and waits for it, but not long: a
// worker that is busy or gone is shown by its last word.
func (e *elector) refresh(ctx context.Context) {
	fresh := make(chan bool, 1)
	if e.do(ctx, func() {
		if e.worker == nil {
			fresh <- false
			return
		}
		e.waiters = append(e.waiters, fresh)
		e.tell(toWorker{Refresh: true})
	}) != nil {
		return
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-fresh:
	case <-timer.C:
	case <-ctx.Done():
	}
}
