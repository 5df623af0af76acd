package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// try runs the tests of the mutant's package with the bug in it.
func try(ctx context.Context, m mutant) verdict {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return verdict{outcome: unfit, detail: err.Error()}
	}
	defer os.RemoveAll(dir)
	overlay, err := writeOverlay(m, dir)
	if err != nil {
		return verdict{outcome: unfit, detail: err.Error()}
	}
	// A mutant may make an endless loop, which the timeout catches.
	return goTest(ctx, m.pkg, "-overlay="+overlay, "-count=1", "-timeout=30s")
}

// writeOverlay writes the mutated file and the map that go test takes.
func writeOverlay(m mutant, dir string) (string, error) {
	original, err := filepath.Abs(filepath.Join(m.pkg, m.file))
	if err != nil {
		return "", err
	}
	source, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	mutated, err := m.apply(string(source))
	if err != nil {
		return "", err
	}
	replacement := filepath.Join(dir, "mutated.go")
	if err := os.WriteFile(replacement, []byte(mutated), 0o600); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{original: replacement}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// goTest runs the package's tests, except the long ones and those of the lab,
// which are slow and are not what the cores must rely on. The verdict is survived if they pass.
func goTest(ctx context.Context, pkg string, args ...string) verdict {
	args = append([]string{"test", "-json", "-vet=off", "-failfast", "-skip=^TestLab|^TestLong"}, args...)
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...)
	cmd.Dir = pkg
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		return verdict{outcome: survived}
	}
	return judge(out, fmt.Sprint(err, ": ", stderr.String()))
}

// event is a line of go test -json, as far as it matters here.
type event struct {
	Action      string
	Test        string
	Output      string
	FailedBuild string
}

// judge finds in the output of a failed go test -json who failed: the first
// test that did, or the whole (a panic outside of tests, a timeout). If it did
// not come to testing, the mutant is unfit and reason, or the compiler, says why.
func judge(out []byte, reason string) verdict {
	v := verdict{outcome: unfit, detail: firstLine(reason)}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var e event
		if d.Decode(&e) != nil {
			return v
		}
		switch {
		case e.Action == "build-output" && !strings.HasPrefix(e.Output, "#"):
			return verdict{outcome: unfit, detail: firstLine(e.Output)}
		case e.FailedBuild != "":
			return verdict{outcome: unfit, detail: "does not build"}
		case e.Action == "fail" && e.Test != "":
			return verdict{outcome: caught, detail: e.Test}
		case e.Action == "fail":
			v = verdict{outcome: caught, detail: "the test program failed"}
		}
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
