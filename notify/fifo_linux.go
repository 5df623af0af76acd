package notify

import (
	"errors"
	"fmt"
	"os/user"
	"path"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"harmony/script"
)

// fifo is the writing end of a named pipe. It is opened for reading too, as
// keepalived does: so it never fails for want of a reader, and a reader that
// comes later, or reopens it for each line, finds what was written before.
type fifo struct {
	FIFO
	file    int    // 0: not open
	inode   uint64 // of file
	behind  bool   // it has missed lines
	err     error  // why it is not open
	written uint64
	dropped uint64
}

// Bounds of who may read.
const (
	modeRoot  = 0o600
	modeGroup = 0o640
)

// set opens another FIFO, or the same one if it is not open or was replaced.
func (f *fifo) set(want FIFO) error {
	if f.FIFO != want {
		f.close()
		*f = fifo{FIFO: want}
	}
	if f.Path == "" {
		return nil
	}
	var st unix.Stat_t
	if f.open() && unix.Lstat(f.Path, &st) == nil && st.Ino == f.inode {
		return nil
	}
	if f.open() {
		f.close()
		f.behind = true
	}
	f.err = f.openFile()
	return f.err
}

func (f *fifo) open() bool { return f.file != 0 }

func (f *fifo) close() {
	if f.open() {
		_ = unix.Close(f.file)
		f.file = 0
	}
}

// openFile opens the FIFO, and makes it if there is none. In a folder that only
// root can change nobody puts another file in its place meanwhile.
func (f *fifo) openFile() error {
	if err := script.SecureFolder(path.Dir(f.Path)); err != nil {
		return fmt.Errorf("notify FIFO %s: %w", f.Path, err)
	}
	err := f.look()
	if errors.Is(err, unix.ENOENT) {
		if err = f.make(); err == nil {
			err = f.look()
		}
	}
	if err != nil {
		return fmt.Errorf("notify FIFO %s: %w", f.Path, err)
	}
	fd, err := unix.Open(f.Path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("opening notify FIFO %s: %w", f.Path, err)
	}
	f.file = fd
	return nil
}

// errNotFIFO is why something is not opened: a device might act on it.
var errNotFIFO = errors.New("is there already, and is no FIFO: remove it, or choose another path")

// look sees whether the path is a FIFO, and no link to one.
func (f *fifo) look() error {
	var st unix.Stat_t
	if err := unix.Lstat(f.Path, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return errNotFIFO
	}
	f.inode = st.Ino
	return nil
}

// make makes the FIFO, readable for whom it is meant and nobody else.
func (f *fifo) make() error {
	if f.Group == "" {
		return mkfifo(f.Path, modeRoot)
	}
	gid, err := groupID(f.Group)
	if err != nil {
		return err
	}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the group is that of the thread
		_, err := unix.SetfsgidRetGid(gid)
		made <- errors.Join(err, mkfifo(f.Path, modeGroup))
	}()
	if err := <-made; err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(f.Path, &st); err != nil || int(st.Gid) == gid {
		return err
	}
	return errors.Join(fmt.Errorf("cannot be given to group %s: that needs root, or the capability SETGID", f.Group), unix.Unlink(f.Path))
}

// mkfifo makes a FIFO with this mode, whatever the umask.
func mkfifo(path string, mode uint32) error {
	if err := unix.Mkfifo(path, modeRoot); err != nil {
		return err
	}
	return unix.Chmod(path, mode)
}

// groupID is the number of a group by its name or number.
func groupID(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err == nil {
		return strconv.Atoi(g.Gid)
	}
	if n, nerr := strconv.Atoi(name); nerr == nil {
		return n, nil
	}
	return 0, fmt.Errorf("%w on this node: add it, or name another", err)
}

// write writes a line, whole or not at all (PIPE_BUF, pipe(7)), and never waits.
func (f *fifo) write(line string) {
	if f.Path == "" {
		return
	}
	if f.open() {
		for {
			_, err := unix.Write(f.file, []byte(line))
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err == nil {
				f.written++
				return
			}
			break
		}
	}
	f.dropped++
	f.behind = true
}

func (f *fifo) status() *FIFOStatus {
	if f.Path == "" {
		return nil
	}
	s := &FIFOStatus{Path: f.Path, Written: f.written, Dropped: f.dropped}
	if f.err != nil {
		s.Error = f.err.Error()
	}
	return s
}
