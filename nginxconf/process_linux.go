package nginxconf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Titles that NGINX gives its processes (src/os/unix/ngx_process_cycle.c).
const (
	masterTitle   = "nginx: master process"
	workerTitle   = "nginx: worker process"
	drainingTitle = "nginx: worker process is shutting down"
)

// ours finds NGINX's processes in this folder whose title begins so. The
// working directory is the mark: start sets it, workers inherit it, and a
// recycled process id does not have it.
func (l layout) ours(title string) []int {
	root, err := filepath.EvalSymlinks(l.root)
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !strings.HasPrefix(titleOf(pid), title) {
			continue
		}
		if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil && cwd == root {
			pids = append(pids, pid)
		}
	}
	return pids
}

func titleOf(pid int) string {
	line, err := readBounded(fmt.Sprintf("/proc/%d/cmdline", pid), maxMessage)
	if err != nil {
		return ""
	}
	return string(line)
}

// adopt takes over the master that an earlier supervisor left running, or
// returns nil when there is none.
func (l layout) adopt() *master {
	for _, pid := range l.ours(masterTitle) {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		p, err := os.FindProcess(pid)
		if err != nil || !slices.Contains(l.ours(masterTitle), pid) { // the id was not recycled in between
			_ = unix.Close(fd) // nothing was read from it
			continue
		}
		m := &master{process: p, exited: make(chan struct{})}
		go m.watch(fd)
		return m
	}
	return nil
}

// watch ends when the process does: it is not our child, so it cannot be waited
// for by Wait.
func (m *master) watch(fd int) {
	defer close(m.exited)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			m.err = err
		}
		if n > 0 || m.err != nil {
			break
		}
	}
	if m.err == nil {
		m.err = errors.New("the adopted process ended")
	}
	_ = unix.Close(fd) // nothing more to learn from it
}

// replaced reports whether the file that the master runs was replaced, as an
// upgrade of the package does.
func (m *master) replaced() bool {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", m.process.Pid))
	return err == nil && strings.HasSuffix(exe, " (deleted)")
}

// workers returns the master's worker processes that take connections. It is
// empty where the kernel does not list children.
func (m *master) workers() []int {
	list, err := readBounded(fmt.Sprintf("/proc/%d/task/%d/children", m.process.Pid, m.process.Pid), maxMessage)
	if err != nil {
		return nil
	}
	var pids []int
	for field := range strings.FieldsSeq(string(list)) {
		pid, err := strconv.Atoi(field)
		if title := titleOf(pid); err == nil && strings.HasPrefix(title, workerTitle) && !strings.HasPrefix(title, drainingTitle) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// endOrphans ends workers whose master was killed: they serve on, but keep the
// ports from a new master. They finish their open requests.
func (l layout) endOrphans() error {
	var errs []error
	for _, pid := range l.ours(workerTitle) {
		if strings.HasPrefix(titleOf(pid), drainingTitle) {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("ending orphaned worker %d: %w", pid, err))
		}
	}
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if !slices.ContainsFunc(l.ours(workerTitle), func(pid int) bool { return !strings.HasPrefix(titleOf(pid), drainingTitle) }) {
			break
		}
	}
	return errors.Join(errs...)
}
