package nginxconf

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"harmony/runfile"
)

// Titles that NGINX gives its processes (src/os/unix/ngx_process_cycle.c).
const (
	masterTitle   = "nginx: master process"
	workerTitle   = "nginx: worker process"
	drainingTitle = "nginx: worker process is shutting down"
)

// masters finds the master processes of this folder. Their titles hold their
// command lines, and those the folder, which anybody may read: a supervisor
// without CAP_SYS_PTRACE sees no more of them.
func (l layout) masters() []int {
	mark := " -p " + l.root + "/ "
	return processes(func(pid int) bool {
		title := titleOf(pid)
		return strings.HasPrefix(title, masterTitle) && strings.Contains(title, mark)
	})
}

// orphans finds the workers whose master is dead and which still take
// connections. They are in its process group, which start made, and no process
// gets the id of a group that has members.
func (l layout) orphans() []int {
	text, err := runfile.Read(l.pidFile(), 32)
	if err != nil {
		return nil
	}
	group, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || group <= 1 || strings.HasPrefix(titleOf(group), masterTitle) {
		return nil
	}
	return processes(func(pid int) bool {
		of, err := unix.Getpgid(pid)
		return err == nil && of == group && takesConnections(titleOf(pid))
	})
}

func takesConnections(title string) bool {
	return strings.HasPrefix(title, workerTitle) && !strings.HasPrefix(title, drainingTitle)
}

func processes(which func(pid int) bool) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && which(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func titleOf(pid int) string {
	line, err := runfile.Read(fmt.Sprintf("/proc/%d/cmdline", pid), maxMessage)
	if err != nil {
		return ""
	}
	return string(line)
}

// adopt takes over the master that an earlier supervisor left running, or
// returns nil when there is none.
func (l layout) adopt() *master {
	for _, pid := range l.masters() {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		p, err := os.FindProcess(pid)
		if err != nil || !slices.Contains(l.masters(), pid) { // the id was not recycled in between
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
	list, err := runfile.Read(fmt.Sprintf("/proc/%d/task/%d/children", m.process.Pid, m.process.Pid), maxMessage)
	if err != nil {
		return nil
	}
	var pids []int
	for field := range strings.FieldsSeq(string(list)) {
		pid, err := strconv.Atoi(field)
		if err == nil && takesConnections(titleOf(pid)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// endOrphans ends workers whose master was killed: they serve on, but keep the
// ports from a new master. They finish their open requests.
func (l layout) endOrphans() error {
	var errs []error
	for _, pid := range l.orphans() {
		if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("ending orphaned worker %d: %w", pid, err))
		}
	}
	for deadline := time.Now().Add(2 * time.Second); len(l.orphans()) > 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	return errors.Join(errs...)
}

// lockFileAt makes sure that there is one supervisor for a folder.
func lockFileAt(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(&EnvironmentError{What: "another harmony nginx already runs in this run directory", Do: "stop it, or choose another --run-dir"}, f.Close())
	}
	return f, nil
}
