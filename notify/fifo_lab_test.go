package notify

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"harmony/bench/lab"
)

// TestLabFIFO: the file is made for whom it is meant; a reader that comes later
// finds what was written before.
func TestLabFIFO(t *testing.T) {
	dir := lab.Folder(t)
	for _, tt := range []struct {
		name   string
		fifo   FIFO
		mode   os.FileMode
		uid    uint32
		gid    uint32
		before func(path string) error
	}{
		{"root's", FIFO{}, 0o600, 0, 0, nil},
		{"a group's", FIFO{Group: "adm"}, 0o640, 0, 4, nil},
		{"a number's", FIFO{Group: "1234"}, 0o640, 0, 1234, nil},
		{"there already", FIFO{Group: "adm"}, 0o622, 0, 0, func(path string) error {
			return func() error { defer unix.Umask(unix.Umask(0)); return unix.Mkfifo(path, 0o622) }()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.fifo.Path = filepath.Join(dir, strings.ReplaceAll(tt.name, " ", "-"))
			if tt.before != nil {
				if err := tt.before(tt.fifo.Path); err != nil {
					t.Fatal(err)
				}
			}
			n := New(Options{Log: slog.New(slog.DiscardHandler), Done: func() {}})
			defer n.Close(t.Context())
			if err := n.Set(Config{FIFO: tt.fifo}); err != nil {
				t.Fatal(err)
			}
			n.Tell([]Event{event(t, "a BACKUP startup"), event(t, "a MASTER owner")})
			var st unix.Stat_t
			if err := unix.Lstat(tt.fifo.Path, &st); err != nil {
				t.Fatal(err)
			}
			if st.Mode&unix.S_IFMT != unix.S_IFIFO || os.FileMode(st.Mode&0o7777) != tt.mode || st.Uid != tt.uid || st.Gid != tt.gid {
				t.Errorf("mode %o of %d:%d", st.Mode, st.Uid, st.Gid)
			}
			reads(t, tt.fifo.Path, `INSTANCE "a" BACKUP 100`, `INSTANCE "a" MASTER 100`)
		})
	}
}

// reads reads exactly these lines.
func reads(t *testing.T, path string, want ...string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for in := bufio.NewScanner(f); len(got) < len(want) && in.Scan(); {
		got = append(got, in.Text())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestLabFIFONobodyReads: nothing waits, what does not fit is counted, and who
// reads at last is told what holds.
func TestLabFIFONobodyReads(t *testing.T) {
	path := filepath.Join(lab.Folder(t), "fifo")
	n := New(Options{Log: slog.New(slog.DiscardHandler), Done: func() {}})
	defer n.Close(t.Context())
	config := Config{FIFO: FIFO{Path: path}}
	if err := n.Set(config); err != nil {
		t.Fatal(err)
	}
	for range 4000 {
		n.Tell([]Event{event(t, "a BACKUP"), event(t, "a MASTER")})
	}
	n.Tell([]Event{event(t, "a FAULT link-down"), event(t, "b MASTER")})
	s := n.Status().FIFO
	if s.Dropped < 100 || s.Written < 1000 || s.Written+s.Dropped < 8002 {
		t.Errorf("%+v", s)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	for { // empty it
		if _, err := unix.Read(int(f.Fd()), buf); err == unix.EAGAIN {
			break
		}
	}
	if err := n.Set(config); err != nil { // as it is every 30 s, if nothing happens
		t.Fatal(err)
	}
	reads(t, path, `INSTANCE "a" FAULT 100`, `INSTANCE "b" MASTER 100`)
	n.Tell([]Event{event(t, "a BACKUP link-up")})
	reads(t, path, `INSTANCE "a" BACKUP 100`)
}

// TestLabFIFOIsReplaced: who removes the file, or puts another there, does not
// end the notifications.
func TestLabFIFOIsReplaced(t *testing.T) {
	path := filepath.Join(lab.Folder(t), "fifo")
	n := New(Options{Log: slog.New(slog.DiscardHandler), Done: func() {}})
	defer n.Close(t.Context())
	config := Config{FIFO: FIFO{Path: path}}
	if err := n.Set(config); err != nil {
		t.Fatal(err)
	}
	n.Tell([]Event{event(t, "a MASTER")})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := n.Set(config); err != nil {
		t.Fatal(err)
	}
	reads(t, path, `INSTANCE "a" MASTER 100`)
}

// TestLabNextWorkerTellsTheFIFOAnew: what nobody had read died with the worker.
func TestLabNextWorkerTellsTheFIFOAnew(t *testing.T) {
	path := filepath.Join(lab.Folder(t), "fifo")
	n := New(Options{Log: slog.New(slog.DiscardHandler), Done: func() {}})
	defer n.Close(t.Context())
	if err := n.Set(Config{FIFO: FIFO{Path: path}}); err != nil {
		t.Fatal(err)
	}
	n.Recall([]Event{event(t, "b MASTER"), event(t, "a BACKUP")})
	n.Tell([]Event{event(t, "a MASTER")})
	reads(t, path, `INSTANCE "a" BACKUP 100`, `INSTANCE "b" MASTER 100`, `INSTANCE "a" MASTER 100`)
}

func TestLabFIFOInsecure(t *testing.T) {
	for _, tt := range []struct {
		name string
		path func(dir string) (string, error)
		want string
	}{
		{"a file", func(dir string) (string, error) { return dir + "/f", os.WriteFile(dir+"/f", nil, 0o600) }, "is there already, and is no FIFO"},
		{"a link", func(dir string) (string, error) {
			if err := unix.Mkfifo(dir+"/real", 0o600); err != nil {
				return "", err
			}
			return dir + "/f", os.Symlink(dir+"/real", dir+"/f")
		}, "is there already, and is no FIFO"},
		{"a dangling link", func(dir string) (string, error) { return dir + "/f", os.Symlink(dir+"/none", dir+"/f") }, "is there already, and is no FIFO"},
		{"in a sticky folder", func(dir string) (string, error) {
			return dir + "/open/f", os.Mkdir(dir+"/open", 0o777|os.ModeSticky)
		}, "is a folder that everybody may write to: choose one"},
		{"in a stranger's folder", func(dir string) (string, error) {
			if err := os.Mkdir(dir+"/his", 0o755); err != nil {
				return "", err
			}
			return dir + "/his/f", os.Chown(dir+"/his", 65534, 65534)
		}, "belongs to user 65534: chown root"},
		{"by a link to a sticky folder", func(dir string) (string, error) { return dir + "/l/f", os.Symlink("/tmp", dir+"/l") }, "/tmp is a folder that everybody may write to"},
		{"in no folder", func(dir string) (string, error) { return dir + "/no/f", nil }, "no such file or directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer unix.Umask(unix.Umask(0))
			path, err := tt.path(lab.Folder(t))
			if err != nil {
				t.Fatal(err)
			}
			n := New(Options{Log: slog.New(slog.DiscardHandler), Done: func() {}})
			defer n.Close(t.Context())
			err = n.Set(Config{FIFO: FIFO{Path: path}})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "notify FIFO "+path) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			n.Tell([]Event{event(t, "a MASTER")})
			if s := n.Status().FIFO; s.Dropped != 1 || s.Error != fmt.Sprint(err) {
				t.Errorf("%+v", s)
			}
		})
	}
}
