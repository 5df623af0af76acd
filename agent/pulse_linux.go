package agent

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pulse is one word of memory that elector and worker share: the time of
// CLOCK_MONOTONIC, in nanoseconds, by which the elector will write it again, or
// 0. Writing it wakes nobody and waits for nobody.
type pulse struct {
	file *os.File
	page []byte
}

// newPulse makes the memory; its file is for the worker. The caller closes it.
func newPulse() (*pulse, error) {
	fd, err := unix.MemfdCreate("harmony-pulse", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making the pulse: %w", os.NewSyscallError("memfd_create", err))
	}
	file := os.NewFile(uintptr(fd), "pulse")
	err = file.Truncate(int64(os.Getpagesize()))
	if err == nil {
		var p *pulse
		if p, err = openPulse(file); err == nil {
			return p, nil
		}
	}
	_ = file.Close()
	return nil, fmt.Errorf("making the pulse: %w", err)
}

// openPulse maps the memory that is behind file, which it keeps.
func openPulse(file *os.File) (*pulse, error) {
	page, err := unix.Mmap(int(file.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping the pulse: %w", os.NewSyscallError("mmap", err))
	}
	return &pulse{file: file, page: page}, nil
}

func (p *pulse) close() {
	_ = unix.Munmap(p.page)
	_ = p.file.Close()
}

func (p *pulse) word() *atomic.Int64 { return (*atomic.Int64)(unsafe.Pointer(&p.page[0])) }

// beat says by when it will be called again; the zero limit, that it need not.
// It runs in the engine's goroutine.
func (p *pulse) beat(limit time.Time) {
	if limit.IsZero() {
		p.word().Store(0)
		return
	}
	p.word().Store(int64(monotonic() + time.Until(limit)))
}

// limit is the last beat's.
func (p *pulse) limit() time.Duration { return time.Duration(p.word().Load()) }

// monotonic is the time of CLOCK_MONOTONIC, which both processes share.
func monotonic() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // it fails for unknown clocks only
	return time.Duration(now.Nano())
}
