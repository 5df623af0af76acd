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
	events [16]unix.EpollEvent
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
// zero deadline is none.
func (p *poller) wait(deadline time.Time) error {
	var at unix.ItimerSpec // zero disarms
	if !deadline.IsZero() {
		at.Value = unix.NsecToTimespec(max(1, int64(time.Until(deadline))))
	}
	if err := unix.TimerfdSettime(p.timer, 0, &at, nil); err != nil {
		return os.NewSyscallError("timerfd_settime", err)
	}
	var failure error
	err := p.conn.Read(func(set uintptr) bool {
		n, err := unix.EpollWait(int(set), p.events[:], 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			failure = os.NewSyscallError("epoll_wait", err)
		}
		return n > 0 || failure != nil
	})
	return errors.Join(failure, err)
}
