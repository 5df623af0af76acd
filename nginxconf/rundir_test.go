package nginxconf

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"harmony/runfile"
)

func TestWriteDesired(t *testing.T) {
	runDir := filepath.Join(t.TempDir(), "run")
	l := layoutOf(runDir)
	cfg := manyKinds(t)
	if err := WriteDesired(runDir, cfg); err != nil {
		t.Fatal(err)
	}
	first, err := os.Stat(l.desired())
	if err != nil || first.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", first, err)
	}
	var got Config
	if err := readJSON(l.desired(), &got); err != nil {
		t.Fatal(err)
	}
	want, _ := Build(cfg, debian12)
	if out, _ := Build(got, debian12); out.Generation != want.Generation {
		t.Error("what is read is not what was written")
	}
	if err := WriteDesired(runDir, cfg); err != nil {
		t.Fatal(err)
	}
	if second, err := os.Stat(l.desired()); err != nil || !os.SameFile(first, second) {
		t.Errorf("the same was written again: %v", err)
	}
	if err := WriteDesired(runDir, cafe(t)); err != nil {
		t.Fatal(err)
	}
	if third, err := os.Stat(l.desired()); err != nil || os.SameFile(first, third) {
		t.Errorf("a change was not written by a rename: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(l.root, ".new-*")); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

func TestReadIsStrictAndBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "desired.json")
	for _, text := range []string{"", "{", `{"sites": 1}`, `{"sitez": []}`, `{"sites": [{"host": "x", "auth": {}}]}`, `{"upstreams": [{"id": "x", "endpoints": ["x"]}]}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := readJSON(file, new(Config)); err == nil {
			t.Errorf("%s is read", text)
		}
	}
	if _, err := runfile.Read(file, 3); err == nil {
		t.Error("more than the bound is read")
	}
	if _, err := ReadStatus(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("status of nobody: %v", err)
	}
}

func TestPromoteDemoteSweep(t *testing.T) {
	l := layoutOf(t.TempDir())
	if err := l.make(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.conf("foreign.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	one, _ := Build(cafe(t), debian12)
	two, _ := Build(manyKinds(t), debian12)
	put := func(out Output) {
		t.Helper()
		if err := errors.Join(l.writeOutput(out), l.promote()); err != nil {
			t.Fatal(err)
		}
	}
	now := func() []byte {
		text, err := os.ReadFile(l.conf("nginx.conf"))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	put(one)
	if err := l.demote(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is nothing before the first: %v", err)
	}
	put(two)
	if !bytes.Equal(now(), two.Main) {
		t.Error("the second is not in place")
	}
	if err := l.demote(); err != nil || !bytes.Equal(now(), one.Main) {
		t.Errorf("the first is not in place again: %v", err)
	}
	if err := l.sweep(one); err != nil {
		t.Fatal(err)
	}
	want := []string{"foreign.txt", "nginx.conf"}
	for _, f := range one.Files {
		want = append(want, f.Name)
	}
	var got []string
	entries, err := os.ReadDir(l.conf(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTrimLog(t *testing.T) {
	l := layoutOf(t.TempDir())
	if err := l.make(); err != nil {
		t.Fatal(err)
	}
	size := func(name string) int64 {
		info, err := os.Stat(filepath.Join(l.root, name))
		if err != nil {
			return -1
		}
		return info.Size()
	}
	if err := os.WriteFile(l.errorLog(), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.root, accessFile), make([]byte, maxLog), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.trimLogs(); err != nil {
		t.Fatal(err)
	}
	if size(errorFile) != 5 || size(errorFile+".1") != -1 || size(accessFile) != 0 || size(accessFile+".1") != maxLog {
		t.Errorf("sizes %d %d %d %d", size(errorFile), size(errorFile+".1"), size(accessFile), size(accessFile+".1"))
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]string{
		"nginx version: nginx/1.22.1\n":                "1.22.1",
		"nginx version: nginx/1.30.6 (Ubuntu)\n":       "1.30.6",
		"nginx version: openresty/1.25.3.1\n":          "1.25.3",
		"1.19.5":                                       "1.19.5",
		"nginx version: nginx/1.22.1\nbuilt by gcc 12": "1.22.1",
	} {
		if got, err := ParseVersion(text); err != nil || got.String() != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "nginx", "1.2", "1.2.x", "nginx/-1.2.3", "Apache/2.4"} {
		if got, err := ParseVersion(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
	for _, tc := range []struct {
		v    Version
		want bool
	}{{Version{1, 19, 5}, true}, {Version{1, 19, 4}, false}, {Version{1, 18, 9}, false}, {Version{1, 20, 0}, true}, {Version{2, 0, 0}, true}, {Version{0, 99, 99}, false}} {
		if tc.v.AtLeast(MinVersion) != tc.want {
			t.Errorf("%s at least %s: not %t", tc.v, MinVersion, tc.want)
		}
	}
}
