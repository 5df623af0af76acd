package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"harmony/runfile"
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
	if err := runfile.Write(filepath.Join(st.dir, storeName), data); err != nil {
		return fmt.Errorf("saving the snapshot: %w", err)
	}
	return nil
}

// Load returns the kept Snapshot, or an empty one if none was ever saved. With
// an error, such as for a file that is damaged or of another version, the
// Snapshot is empty too: go on without.
func (st Store) Load() (Snapshot, error) {
	path := filepath.Join(st.dir, storeName)
	data, err := runfile.Read(path, storeMost)
	if errors.Is(err, fs.ErrNotExist) {
		return Snapshot{}, nil
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("loading the snapshot: %w", err)
	}
	s, err := decodeStored(data)
	if err != nil {
		return Snapshot{}, fmt.Errorf("loading the snapshot from %s: %w", path, err)
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
