package ipvs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
)

const (
	journalVersion = 1
	journalLimit   = 16 << 20 // bytes read at most; some 200000 services
)

// record is what the journal file holds. The kernel's entries carry no mark of
// who made them, so this is the only thing that says which are ours.
type record struct {
	Version  int       `json:"version"`
	Boot     string    `json:"boot"` // the kernel's boot_id: after a reboot the table is empty and nothing is ours
	Services []Key     `json:"services"`
	Settings []Setting `json:"settings,omitempty"`
}

// journal is the record and its file. The file is written before the kernel is,
// so that it never names less than what is ours.
type journal struct {
	path string
	record
	saved *record // what the file holds; nil when unknown or absent
}

// openJournal reads the file. One that is absent, of another boot, of another
// version or broken is taken as empty: then nothing that is there is ours, so
// nothing is removed, and what is wanted is adopted.
func openJournal(path, boot string, log *slog.Logger) *journal {
	empty := record{Version: journalVersion, Boot: boot}
	j := &journal{path: path, record: empty}
	found, err := readRecord(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		log.Info("no ipvs journal: services that are there already are foreign unless wanted", "path", path)
	case err != nil:
		log.Warn("ipvs journal unusable: services that are there already are foreign unless wanted",
			"path", path, "err", err)
	case found.Boot != boot:
		log.Info("ipvs journal is from before a reboot: starting afresh", "path", path)
	default:
		j.record = found
		saved := found
		j.saved = &saved
	}
	return j
}

func readRecord(path string) (record, error) {
	f, err := os.Open(path)
	if err != nil {
		return record{}, err
	}
	defer f.Close()
	var r record
	if err := json.NewDecoder(io.LimitReader(f, journalLimit)).Decode(&r); err != nil {
		return record{}, fmt.Errorf("decoding: %w", err)
	}
	if r.Version != journalVersion {
		return record{}, fmt.Errorf("version %d, want %d", r.Version, journalVersion)
	}
	return r, nil
}

// ours returns the keys as Diff wants them.
func (j *journal) ours() map[Key]bool {
	ours := make(map[Key]bool, len(j.Services))
	for _, k := range j.Services {
		ours[k] = true
	}
	return ours
}

// save makes the file hold the given services and settings, by a rename, with
// mode 0600. It writes nothing if the file holds them already. There is no
// fsync: what a power failure would take from the file, the reboot has taken
// from the kernel as well.
func (j *journal) save(services map[Key]bool, settings []Setting) error {
	j.Services = slices.SortedFunc(maps.Keys(services), Key.compare)
	j.Settings = settings
	if j.saved != nil && reflect.DeepEqual(*j.saved, j.record) {
		return nil
	}
	data, err := json.MarshalIndent(j.record, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding ipvs journal: %w", err)
	}
	if err := replaceFile(j.path, append(data, '\n')); err != nil {
		return fmt.Errorf("writing ipvs journal: %w", err)
	}
	saved := j.record
	j.saved = &saved
	return nil
}

// remove deletes the file once nothing is ours.
func (j *journal) remove() error {
	j.Services, j.Settings, j.saved = nil, nil, nil
	if err := os.Remove(j.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing ipvs journal: %w", err)
	}
	return nil
}

// replaceFile writes a file so that a reader sees the old or the new content,
// never a part. os.CreateTemp's mode is 0600.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
