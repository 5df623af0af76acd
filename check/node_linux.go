package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// exists is the File probe.
func exists(path string) error {
	_, err := os.Stat(path)
	return err
}

// openRegular opens a file that is one: to open a device may do something, and
// to open a pipe may take for ever.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("is not a file")}
	}
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
}

// readStart reads at most 64 bytes of a regular file.
func readStart(path string) (string, error) {
	f, err := openRegular(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 64))
	return string(data), err
}

// readNumber is the Number probe. A file that is not there counts as 0, as with
// keepalived; what is no number is a failure, and the value stays.
func readNumber(path string) (int, error) {
	text, err := readStart(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return parseNumber(text)
}

// pidRuns is the PIDFile probe.
func pidRuns(path string) error {
	text, err := readStart(path)
	if err != nil {
		return err
	}
	pid, err := parsePID(text)
	if err != nil {
		return err
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if _, running, ok := parseStat(stat); err != nil || !ok || !running {
		return fmt.Errorf("process %d does not run", pid)
	}
	return nil
}

// processes are those that run, looked up at most once for many probes.
type processes struct {
	mu   sync.Mutex // guards the rest; held while /proc is read
	at   time.Time
	list []process
}

// process is how a running process calls itself.
type process struct {
	comm string // of /proc/PID/stat
	file string // name of the program's file, of /proc/PID/cmdline
}

// freshness is how old a look at /proc may be.
const freshness = 50 * time.Millisecond

// count is the Process probe.
func (p *processes) count(ctx context.Context, spec Spec) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.at) > min(freshness, spec.Interval/2) {
		list, err := readProcesses(ctx)
		if err != nil {
			return err
		}
		p.list, p.at = list, time.Now()
	}
	n := 0
	for _, r := range p.list {
		if r.isNamed(spec.Name) {
			n++
		}
	}
	return judgeCount(spec, n)
}

// readProcesses looks at all of /proc. Processes that come and go meanwhile may
// be missed, which the next look puts right.
func readProcesses(ctx context.Context) ([]process, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var list []process
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		dir := filepath.Join("/proc", name)
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		comm, running, ok := parseStat(stat)
		if err != nil || !ok || !running {
			continue
		}
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline")) // it may have ended
		list = append(list, process{comm: comm, file: programOf(line)})
	}
	return list, nil
}
