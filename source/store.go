package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	storeName    = "snapshot.json"
	storeVersion = 1
	// storeMost bounds what is read back: base64 and JSON make a folder's 64
	// MiB at most about twice as large.
	storeMost = 128 << 20
)

// Store keeps the last good Snapshot in a run folder, so that a restart beside
// a broken source still serves. It holds Secrets: the file is 0600.
type Store struct {
	dir string
}

// NewStore returns the Store in the run folder dir, which must exist when Save
// is called.
func NewStore(dir string) Store { return Store{dir: dir} }

// stored is the format of the file. Lines are not kept: the files that they
// belong to may have changed since.
type stored struct {
	Version  int              `json:"version"`
	Snapshot Snapshot         `json:"snapshot"`
	Files    map[string][]Ref `json:"files,omitempty"` // which objects came from which file
}

// Save replaces the kept Snapshot by s, atomically: after a crash the file
// holds either the old or the new one.
func (st Store) Save(s Snapshot) error {
	out := stored{Version: storeVersion, Snapshot: s.Sorted(), Files: make(map[string][]Ref)}
	for _, ref := range s.Refs() {
		if o, ok := s.Origins[ref]; ok {
			out.Files[o.File] = append(out.Files[o.File], ref)
		}
	}
	data, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("encoding the snapshot: %w", err)
	}
	if len(data) > storeMost {
		return fmt.Errorf("saving the snapshot: it has %d bytes, more than %d", len(data), storeMost)
	}
	if err := st.write(data); err != nil {
		return fmt.Errorf("saving the snapshot: %w", err)
	}
	return nil
}

func (st Store) write(data []byte) (err error) {
	f, err := os.CreateTemp(st.dir, storeName+".*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(st.dir, storeName))
}

// Load returns the kept Snapshot, or an empty one if none was ever saved. With
// an error, such as for a file that is damaged or of another version, the
// Snapshot is empty too: go on without.
func (st Store) Load() (Snapshot, error) {
	f, err := os.Open(filepath.Join(st.dir, storeName))
	if errors.Is(err, fs.ErrNotExist) {
		return Snapshot{}, nil
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("loading the snapshot: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, storeMost+1))
	if err != nil {
		return Snapshot{}, fmt.Errorf("loading the snapshot: %w", err)
	}
	if len(data) > storeMost {
		return Snapshot{}, fmt.Errorf("loading the snapshot: %s has more than %d bytes", f.Name(), storeMost)
	}
	s, err := decodeStored(data)
	if err != nil {
		return Snapshot{}, fmt.Errorf("loading the snapshot from %s: %w", f.Name(), err)
	}
	return s, nil
}

func decodeStored(data []byte) (Snapshot, error) {
	var in stored
	if err := json.Unmarshal(data, &in); err != nil {
		return Snapshot{}, err
	}
	if in.Version != storeVersion {
		return Snapshot{}, fmt.Errorf("it is of version %d, not %d", in.Version, storeVersion)
	}
	in.Snapshot.Origins = make(map[Ref]Origin)
	for file, refs := range in.Files {
		for _, ref := range refs {
			in.Snapshot.Origins[ref] = Origin{File: file}
		}
	}
	return in.Snapshot, nil
}
