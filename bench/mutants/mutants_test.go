package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name    string
		text    string
		want    []mutant
		wantErr string
	}{
		{name: "empty", text: "\n# nothing\n"},
		{
			name: "two",
			text: "mutant: a\nfile: x.go\nold: p == q\nnew: false\n\n# why\nmutant: b\nfile: y.go\nold: f(x): y\nnew:\n",
			want: []mutant{{name: "a", file: "x.go", old: "p == q", new: "false"}, {name: "b", file: "y.go", old: "f(x): y"}},
		},
		{name: "wrong order", text: "file: x.go\n", wantErr: "1: want"},
		{name: "empty old", text: "mutant: a\nfile: x.go\nold:\nnew: y\n", wantErr: "3: want"},
		{name: "cut off", text: "mutant: a\nfile: x.go\n", wantErr: "not whole"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(tt.text)
			if err == nil && tt.wantErr != "" || err != nil && (tt.wantErr == "" || !strings.Contains(err.Error(), tt.wantErr)) {
				t.Fatalf("error %v, want %q", err, tt.wantErr)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(mutant{})); diff != "" {
				t.Errorf("mutants (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRun tries each kind of mutant on a small package.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "go.mod", "module sample\n\ngo 1.24\n")
	write(t, dir, "sum.go", "package sample\n\nfunc Sum(a, b int) int { return a + b }\n\nfunc Twice(a int) int { return a * 2 }\n")
	write(t, dir, "sum_test.go", "package sample\n\nimport \"testing\"\n\nfunc TestSum(t *testing.T) {\n\tif Sum(1, 2) != 3 {\n\t\tt.Error()\n\t}\n}\n\nfunc TestLabTwice(t *testing.T) {\n\tif Twice(3) != 6 {\n\t\tt.Error()\n\t}\n}\n")
	mutants := []mutant{
		{name: "minus", file: "sum.go", old: "a + b", new: "a - b"},
		{name: "only the lab notices", file: "sum.go", old: "a * 2", new: "a * 3"},
		{name: "does not build", file: "sum.go", old: "a * 2", new: "nosuch"},
		{name: "not unique", file: "sum.go", old: "int {", new: "int{"},
		{name: "panics", file: "sum.go", old: "a + b", new: "[]int{}[a]"},
	}
	want := []string{"caught TestSum", "SURVIVED ", "UNFIT ", "UNFIT ", "caught TestSum"}
	for i := range mutants {
		mutants[i].pkg = dir
	}
	if err := baseline(t.Context(), mutants); err != nil {
		t.Fatal(err)
	}
	for i, v := range tryAll(t.Context(), mutants, 2) {
		if got := string(v.outcome) + " " + v.detail; !strings.HasPrefix(got, want[i]) {
			t.Errorf("%s: %s, want %s", v.name, got, want[i])
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
