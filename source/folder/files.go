package folder

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"harmony/source"
)

// find returns the files that paths stand for, each once.
func (l *loader) find(paths []string) []string {
	var files []string
	for _, path := range paths {
		path = filepath.Clean(path)
		info, err := os.Stat(path)
		switch {
		case err != nil:
			l.refuseFile(path, 0, source.CodeUnreadable, "%s", reason(err))
		case info.IsDir():
			files = append(files, l.walk(path, 0)...)
		default:
			files = append(files, path)
		}
	}
	seen := make(map[string]bool)
	unique := slices.DeleteFunc(files, func(file string) bool {
		again := seen[file]
		seen[file] = true
		return again
	})
	for _, file := range unique[min(maxFiles, len(unique)):] {
		l.refuseFile(file, 0, source.CodeTooLarge, "not read: there are more than %d files", maxFiles)
	}
	return unique[:min(maxFiles, len(unique))]
}

// walk returns the files of interest in dir and its folders, in name order.
func (l *loader) walk(dir string, depth int) []string {
	if depth > maxDepth {
		l.refuseFile(dir, 0, source.CodeTooLarge, "not read: folders are more than %d deep", maxDepth)
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		l.refuseFile(dir, 0, source.CodeUnreadable, "%s", reason(err))
		return nil
	}
	var files []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case hidden(e.Name()):
		case e.IsDir():
			files = append(files, l.walk(path, depth+1)...)
		case ours(e.Name()):
			files = append(files, path)
		}
	}
	return files
}

// hidden reports whether a file or folder is left out by its name: dot files
// and the names that editors use for backups and locks.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") || strings.HasSuffix(name, "~")
}

func ours(name string) bool {
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// read returns what is in file, or adds a Problem.
func (l *loader) read(file string) ([]byte, bool) {
	data, err := readRegular(file)
	switch {
	case err != nil:
		l.refuseFile(file, 0, source.CodeUnreadable, "%s", reason(err))
		return nil, false
	case len(data) > maxFile:
		l.refuseFile(file, 0, source.CodeTooLarge, "not read: it has more than %d MiB", maxFile>>20)
		return nil, false
	case l.bytes+len(data) > maxTotal:
		l.refuseFile(file, 0, source.CodeTooLarge, "not read: the files have more than %d MiB in all", maxTotal>>20)
		return nil, false
	}
	l.bytes += len(data)
	return data, true
}

// readRegular reads up to maxFile+1 bytes. It never blocks on a pipe or device.
func readRegular(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// reason returns the reason of a file error without the path, which the
// Problem has already.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return "cannot be read: " + e.Err.Error()
	}
	return "cannot be read: " + err.Error()
}
