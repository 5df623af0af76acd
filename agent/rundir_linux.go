package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"harmony/runfile"
)

// DefaultRunDir is where an agent keeps its state when --run-dir is not given.
const DefaultRunDir = "/run/harmony"

// RunDir is the folder that holds everything an agent remembers: journals,
// the last good Snapshot, overrides, sockets. One agent owns it at a time.
type RunDir string

// ErrInUse is wrapped by Lock when another agent holds the run directory.
var ErrInUse = errors.New("run directory is in use by another agent")

// Control is the path of the 0600 Unix socket for status and commands.
func (d RunDir) Control() string { return d.path("control.sock") }

func (d RunDir) addresses() string { return d.path("addresses.json") }
func (d RunDir) ipvs() string      { return d.path("ipvs.json") }
func (d RunDir) overrides() string { return d.path("overrides.json") }
func (d RunDir) gossip() string    { return d.path("gossip.json") }
func (d RunDir) path(name string) string {
	return filepath.Join(string(d), name)
}

// Lock creates the folder and takes it for this process. The lock ends with
// the returned file or the process; it does not block. The folder may be
// entered by others, since NGINX's unprivileged workers need its nginx/
// folder; the files in it are 0600.
func (d RunDir) Lock() (io.Closer, error) {
	if err := os.MkdirAll(string(d), 0o711); err != nil {
		return nil, fmt.Errorf("creating the run directory: %w", err)
	}
	f, err := os.OpenFile(d.path("lock"), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the run directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, fmt.Errorf("locking %s: %w", d, err)
	}
	return f, nil
}

// readJSON fills v from a file of at most 1 MiB. An absent file leaves v as it
// is and is no error.
func readJSON(path string, v any) error {
	data, err := runfile.Read(path, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// writeJSON replaces a 0600 file atomically.
func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	if err := runfile.Write(path, append(data, '\n')); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
