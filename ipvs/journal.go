package ipvs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"

	"harmony/runfile"
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
	data, err := runfile.Read(path, journalLimit)
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
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

// save makes the file hold the given services and settings. It writes nothing
// if the file holds them already.
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
	if err := runfile.Write(j.path, append(data, '\n')); err != nil {
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
