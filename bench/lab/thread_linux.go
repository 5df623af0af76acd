package lab

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// errGone is returned for work in a namespace that has been given up.
var errGone = errors.New("namespace is gone")

// threadNS is the network namespace of the calling thread. /proc/self would be
// that of the process' first thread.
const threadNS = "/proc/thread-self/ns/net"

// thread is an OS thread in a network namespace of its own, and the goroutine
// locked to it, which does one piece of work after the other. The namespace
// ends with the thread, at the latest with the process.
type thread struct {
	work chan func()
	stop chan struct{} // closed by close
	done chan struct{} // closed when the thread is given up
	ns   *os.File      // the namespace, for moving links into it
	id   string        // "net:[inode]", as the kernel names it
}

// newThread returns a thread in a new, empty network namespace. The caller
// closes it.
func newThread() (*thread, error) {
	t := &thread{
		work: make(chan func()),
		stop: make(chan struct{}),
		done: make(chan struct{}),
	}
	ready := make(chan error)
	go t.run(ready)
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("new network namespace: %w", err)
	}
	return t, nil
}

// run ends without unlocking, which makes the runtime throw the thread away.
func (t *thread) run(ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The process' first thread cannot be thrown away, and /proc/PID
		// shows its namespaces as those of the process: use another one.
		go t.run(ready)
		<-t.done
		runtime.UnlockOSThread()
		return
	}
	defer close(t.done)
	err := t.enter()
	ready <- err
	if err != nil {
		return
	}
	defer t.ns.Close()
	for {
		select {
		case f := <-t.work:
			f()
		case <-t.stop:
			return
		}
	}
}

func (t *thread) enter() (err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if t.id, err = os.Readlink(threadNS); err != nil {
		return err
	}
	t.ns, err = os.Open(threadNS)
	return err
}

// do runs f on the thread and returns its error. An f that ends its goroutine
// (as t.Fatal does) takes the namespace with it.
func (t *thread) do(f func() error) error {
	result := make(chan error, 1)
	job := func() {
		err := fmt.Errorf("the work ended its goroutine: %w", errGone)
		defer func() { result <- err }()
		err = f()
	}
	select {
	case t.work <- job:
		return <-result
	case <-t.done:
		return errGone
	}
}

// close gives the thread up and waits for it. It may be called once.
func (t *thread) close() {
	close(t.stop)
	<-t.done
}
