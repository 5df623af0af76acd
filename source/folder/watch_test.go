package folder

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// changes watches dir until the test ends, and returns what waits for a change.
func changes(t *testing.T, dir string) func(what string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	changed, err := Watch(ctx, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		for range changed { // until the goroutine has ended
		}
	})
	return func(what string) {
		t.Helper()
		select {
		case <-changed:
		case <-time.After(20 * time.Second):
			t.Fatalf("not told: %s", what)
		}
	}
}

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	told := changes(t, dir)
	put(t, filepath.Join(dir, "a.yaml"), "x")
	told("a new file")
	put(t, filepath.Join(dir, "a.yaml"), "y")
	told("a changed file")
	put(t, filepath.Join(dir, "sub/deeper/b.yaml"), "x")
	told("a new folder")
	put(t, filepath.Join(dir, "sub/deeper/b.yaml"), "y")
	told("a changed file in a new folder")
	if err := os.RemoveAll(filepath.Join(dir, "sub")); err != nil {
		t.Fatal(err)
	}
	told("a removed folder")
}

// TestWatchConfigMap does what the kubelet does when a ConfigMap changes.
func TestWatchConfigMap(t *testing.T) {
	dir := write(t, map[string]string{"..1/a.yaml": "x", "..2/a.yaml": "y"})
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link("..data/a.yaml", "a.yaml")
	told := changes(t, dir)
	link("..2", "..data_tmp")
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	told("..data switched")
}

// TestWatchReplaced removes the watched folder itself and makes it again.
func TestWatchReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "conf")
	told := changes(t, dir)
	put(t, filepath.Join(dir, "a.yaml"), "x")
	told("the folder is there now")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	told("the folder is gone")
	put(t, filepath.Join(dir, "a.yaml"), "x")
	told("the folder is there again")
	put(t, filepath.Join(dir, "a.yaml"), "y")
	told("a file in it has changed")
}

func TestWatchFile(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": "x"})
	told := changes(t, filepath.Join(dir, "a.yaml"))
	put(t, filepath.Join(dir, "b.yaml"), "y")
	if err := os.Rename(filepath.Join(dir, "b.yaml"), filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	told("the file was replaced")
}
