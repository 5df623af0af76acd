package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long nothing may happen before a change is told, so that a
	// copy of many files is one change.
	quiet = 100 * time.Millisecond
	// longest is how long a change waits for quiet at most.
	longest = time.Second
	// rescan is how often the watched folders are looked up anew. It finds what
	// inotify does not tell: a folder removed and made again, a link to a folder
	// that was switched, events lost in an overflow.
	rescan = 2 * time.Second
)

// Watch tells when the files below dir, a folder or a single file, may have
// changed: it sends on the returned channel, once for many changes in a row.
// A change while the receiver is busy is told when it receives again. When ctx
// ends, Watch's goroutine closes the channel as its last act; receive until
// then to wait for it. The error says that watching is not possible at all; a
// folder that is not there is not an error and is watched once it is.
func Watch(ctx context.Context, dir string, log *slog.Logger) (<-chan struct{}, error) {
	inotify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching %s: %w", dir, err)
	}
	w := &watcher{dir: dir, log: log, inotify: inotify}
	w.scan()
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		w.run(ctx, changed)
		if err := inotify.Close(); err != nil {
			log.Warn("watching did not end well", "dir", dir, "err", err)
		}
	}()
	return changed, nil
}

// watcher is what Watch's goroutine owns.
type watcher struct {
	dir     string
	log     *slog.Logger
	inotify *fsnotify.Watcher
}

// run sends on changed until ctx ends.
func (w *watcher) run(ctx context.Context, changed chan<- struct{}) {
	tick := time.NewTicker(rescan)
	defer tick.Stop()
	var (
		settle, limit <-chan time.Time // of the change being collected
		tell          chan<- struct{}  // set once it is to be told
	)
	for {
		again := false
		select {
		case <-ctx.Done():
			return
		case tell <- struct{}{}:
			tell = nil
		case <-settle:
			settle, limit, tell = nil, nil, changed
		case <-limit:
			settle, limit, tell = nil, nil, changed
		case e := <-w.inotify.Events:
			again = w.event(e)
		case err := <-w.inotify.Errors:
			w.log.Warn("watching files failed, reading all again", "dir", w.dir, "err", err)
			again = true
		case <-tick.C:
			again = w.scan()
		}
		if again {
			settle = time.After(quiet)
			if limit == nil {
				limit = time.After(longest)
			}
		}
	}
}

// event reports whether e may have changed what Load returns. A new folder is
// watched from now on.
func (w *watcher) event(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	if e.Op.Has(fsnotify.Create) {
		if info, err := os.Stat(e.Name); err == nil && info.IsDir() {
			w.scan()
		}
	}
	return true
}

// scan watches every folder below dir. It reports whether there is one that was
// not watched before; inotify drops those that were removed or moved away.
func (w *watcher) scan() (more bool) {
	top := w.dir
	info, err := os.Stat(top)
	single := err == nil && !info.IsDir()
	if single {
		top = filepath.Dir(top)
	}
	if target, err := filepath.EvalSymlinks(top); err == nil {
		top = target // WalkDir does not follow a link, Load does
	}
	watched := make(map[string]bool)
	for _, path := range w.inotify.WatchList() {
		watched[path] = true
	}
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // gone, or not readable: Load tells about the latter
		case !d.IsDir():
			return nil
		case path != top && (single || hidden(d.Name())):
			return fs.SkipDir
		case watched[path]:
			return nil
		}
		more = true
		return w.inotify.Add(path)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.log.Warn("not every folder is watched: changes are seen late", "dir", w.dir, "err", err)
	}
	return more
}
