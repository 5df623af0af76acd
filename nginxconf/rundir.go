package nginxconf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"harmony/runfile"
)

// maxDesired bounds what is read from the run directory.
const maxDesired = 128 << 20

// layout names what is in the supervisor's folder:
//
//	desired.json   what the worker wants served
//	good.json      what was served last, kept for a restart beside a broken desired.json
//	status.json    what is true
//	conf/          nginx.conf and the files it includes, named by content; next.conf is under test
//	ctl/           the Unix socket on which NGINX answers its generation
//	logs/ tmp/     NGINX's own
//
// Workers of NGINX run under another account and must reach tmp/ alone.
type layout struct{ root string }

func layoutOf(runDir string) layout { return layout{filepath.Join(runDir, "nginx")} }

func (l layout) desired() string         { return filepath.Join(l.root, "desired.json") }
func (l layout) good() string            { return filepath.Join(l.root, "good.json") }
func (l layout) status() string          { return filepath.Join(l.root, "status.json") }
func (l layout) lock() string            { return filepath.Join(l.root, "lock") }
func (l layout) socket() string          { return filepath.Join(l.root, socketFile) }
func (l layout) pidFile() string         { return filepath.Join(l.root, pidFile) }
func (l layout) errorLog() string        { return filepath.Join(l.root, errorFile) }
func (l layout) conf(name string) string { return filepath.Join(l.root, "conf", name) }

// make creates the folders.
func (l layout) make() error {
	if err := os.MkdirAll(filepath.Dir(l.root), 0o755); err != nil {
		return err
	}
	for folder, mode := range map[string]fs.FileMode{"": 0o711, tempFolder: 0o711, "conf": 0o700, "ctl": 0o700, "logs": 0o700} {
		if err := os.MkdirAll(filepath.Join(l.root, folder), mode); err != nil {
			return err
		}
	}
	return nil
}

// WriteDesired hands cfg to the supervisor of runDir, which may not run yet. It
// writes nothing when the file has these bytes already.
func WriteDesired(runDir string, cfg Config) error {
	l := layoutOf(runDir)
	if err := l.make(); err != nil {
		return fmt.Errorf("writing NGINX's configuration: %w", err)
	}
	if err := writeJSON(l.desired(), cfg); err != nil {
		return fmt.Errorf("writing NGINX's configuration: %w", err)
	}
	return nil
}

// Status is what the supervisor knows to be true.
type Status struct {
	Wanted   string    `json:"wanted,omitempty"`  // generation of what shall be served
	Served   string    `json:"served,omitempty"`  // generation the running NGINX answered, "" when it does not run
	Since    time.Time `json:"since,omitzero"`    // when Served was verified
	Version  string    `json:"version,omitempty"` // of NGINX
	PID      int       `json:"pid,omitempty"`     // NGINX's master
	Reloads  int       `json:"reloads"`           // reloads that were verified, since the supervisor started
	Restarts int       `json:"restarts"`          // times NGINX had to be started again
	Error    string    `json:"error,omitempty"`   // why Served is not Wanted, or why desired.json was not used
	Faults   []Fault   `json:"faults,omitempty"`  // parts that are left out
}

// ReadStatus reads the last status the supervisor of runDir wrote. The error is
// fs.ErrNotExist when it never ran.
func ReadStatus(runDir string) (Status, error) {
	var s Status
	if err := readJSON(layoutOf(runDir).status(), &s); err != nil {
		return Status{}, fmt.Errorf("reading NGINX's status: %w", err)
	}
	return s, nil
}

// readJSON is strict: a field from a newer worker is refused rather than
// ignored, since it may be one that protects something.
func readJSON(file string, into any) error {
	data, err := runfile.Read(file, maxDesired)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return nil
}

func writeJSON(file string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFile(file, data)
}

// writeFile is runfile.Write, unless data is there already.
func writeFile(file string, data []byte) error {
	if old, err := runfile.Read(file, int64(len(data))); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return runfile.Write(file, data)
}

// writeOutput writes the files of a configuration, and its main file as next.conf.
func (l layout) writeOutput(out Output) error {
	for _, f := range out.Files {
		if err := writeFile(l.conf(f.Name), f.Data); err != nil {
			return err
		}
	}
	return writeFile(l.conf("next.conf"), out.Main)
}

// promote makes next.conf the configuration NGINX reads, and keeps the one
// before as prev.conf.
func (l layout) promote() error {
	if err := os.Remove(l.conf("prev.conf")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Link(l.conf("nginx.conf"), l.conf("prev.conf")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(l.conf("next.conf"), l.conf("nginx.conf"))
}

// demote undoes promote.
func (l layout) demote() error { return os.Rename(l.conf("prev.conf"), l.conf("nginx.conf")) }

// sweep removes the files in conf/ that out does not use. Names that are not
// ours stay.
func (l layout) sweep(out Output) error {
	used := map[string]bool{}
	for _, f := range out.Files {
		used[f.Name] = true
	}
	entries, err := os.ReadDir(l.conf(""))
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		ours := contentNames.FindString(e.Name()) == e.Name() || strings.HasPrefix(e.Name(), ".new-")
		if ours && !used[e.Name()] {
			errs = append(errs, os.Remove(l.conf(e.Name())))
		}
	}
	return errors.Join(errs...)
}
