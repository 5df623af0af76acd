// Package folder reads a Snapshot from YAML and JSON files and watches them.
// It is strict: an unknown field, a wrong type or a key given twice refuses the
// object, and the Problem names file, line and field. Nothing that is wrong in
// one document touches another.
package folder

import (
	"fmt"
	"slices"

	"harmony/source"
)

// Limits of what is read. What is beyond is a Problem; the rest is read.
const (
	maxFiles     = 10_000   // files in all
	maxFile      = 8 << 20  // bytes of one file
	maxTotal     = 64 << 20 // bytes of all files
	maxDepth     = 16       // folders in folders
	maxExpansion = 4 << 20  // bytes that YAML aliases may add to one document, roughly
	maxNesting   = 100      // mappings and lists in each other
	maxKey       = 1024     // bytes of the key of a mapping
	maxProblems  = 20       // of one object; after that its reading ends
)

// Load reads every *.yaml, *.yml and *.json file among paths and in the folders
// among them, recursively, in the order of their names. Hidden files (as in
// the ..data folder of a mounted ConfigMap) and editors' backups are left out;
// links to files are followed, links to folders below a path are not.
//
// Each YAML document, and each item of a kind List, is one object. A namespaced
// object without a namespace is in "default". Kinds that Harmony does not use
// are ignored with a Warning. The first of two objects with one name counts.
//
// The Snapshot is whole as far as there are no Problems with Refused set. The
// Problems are sorted. No Problem ever holds a value of a Secret.
func Load(paths ...string) (source.Snapshot, []source.Problem) {
	l := loader{
		snapshot: source.Snapshot{Origins: make(map[source.Ref]source.Origin)},
		fields:   make(fieldCache),
	}
	for _, file := range l.find(paths) {
		if data, ok := l.read(file); ok {
			l.file(file, data)
		}
	}
	slices.SortStableFunc(l.problems, source.Problem.Compare)
	return l.snapshot.Sorted(), l.problems
}

// loader is one Load.
type loader struct {
	snapshot source.Snapshot
	problems []source.Problem
	fields   fieldCache
	bytes    int // read so far
}

// refuseFile adds an Error that concerns whatever is at line of file.
func (l *loader) refuseFile(file string, line int, code, format string, args ...any) {
	l.problems = append(l.problems, source.Problem{
		Severity: source.Error, File: file, Line: line, Code: code,
		Text: fmt.Sprintf(format, args...), Refused: true,
	})
}
