package vrrp

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller waits for descriptors and for a deadline, to the microsecond. It is
// an epoll set with a timer in it, which the Go runtime waits for as it waits
// for any socket. A thread in a blocking system call of its own would cost
// more than the work it waits for: the runtime's monitor polls as long as
// there is one.
type poller struct {
	file   *os.File // the epoll set
	conn   syscall.RawConn
	timer  int
	armed  time.Time // what the timer is set to; zero when it is not
	events [16]unix.EpollEvent
	count  int // of events, of the last wait
}

// openPoller makes a poller without descriptors. The caller closes it.
func openPoller() (*poller, error) {
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open timer: %w", os.NewSyscallError("timerfd_create", err))
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(fd, true) // so that os.NewFile hands it to the runtime
	}
	if err != nil {
		_ = unix.Close(timer)
		return nil, fmt.Errorf("open poller: %w", os.NewSyscallError("epoll_create1", err))
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll"), timer: timer}
	if p.conn, err = p.file.SyscallConn(); err == nil {
		err = p.add(timer)
	}
	if err != nil {
		p.close()
		return nil, fmt.Errorf("open poller: %w", err)
	}
	return p, nil
}

func (p *poller) close() {
	_ = p.file.Close()
	_ = unix.Close(p.timer)
}

// add watches a descriptor until that is closed.
func (p *poller) add(fd int) (err error) {
	ctl := p.conn.Control(func(set uintptr) {
		err = unix.EpollCtl(int(set), unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	})
	return errors.Join(ctl, os.NewSyscallError("epoll_ctl", err))
}

// remove watches a descriptor no more.
func (p *poller) remove(fd int) {
	_ = p.conn.Control(func(set uintptr) { // it can only fail for what is not watched
		_ = unix.EpollCtl(int(set), unix.EPOLL_CTL_DEL, fd, nil)
	})
}

// wait sleeps until a descriptor can be read or the deadline has passed; the
// zero deadline is none. It may return early.
func (p *poller) wait(deadline time.Time) error {
	if err := p.arm(deadline); err != nil {
		return err
	}
	var failure error
	err := p.conn.Read(func(set uintptr) bool {
		n, err := unix.EpollWait(int(set), p.events[:], 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			failure = os.NewSyscallError("epoll_wait", err)
		}
		p.count = max(0, n)
		return n > 0 || failure != nil
	})
	return errors.Join(failure, err)
}

// arm sets the timer. One that is set already and fires earlier stays: on a
// backup each advert puts the deadline off, and to wake up once too often
// costs less than to set the timer each time.
func (p *poller) arm(deadline time.Time) error {
	now := time.Now()
	switch {
	case p.armed.After(now) && (deadline.IsZero() || !deadline.Before(p.armed)):
		return nil
	case p.armed.IsZero() && deadline.IsZero():
		return nil
	}
	var at unix.ItimerSpec // zero disarms
	if !deadline.IsZero() {
		at.Value = unix.NsecToTimespec(max(1, int64(deadline.Sub(now))))
	}
	p.armed = deadline
	return os.NewSyscallError("timerfd_settime", unix.TimerfdSettime(p.timer, 0, &at, nil))
}

// ready says whether the last wait has seen that a descriptor can be read.
// There may be more than it says; the next wait sees these.
func (p *poller) ready(fd int) bool {
	for _, e := range p.events[:p.count] {
		if int(e.Fd) == fd {
			return true
		}
	}
	return false
}
