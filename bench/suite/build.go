package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

// program is the test program of a package.
type program struct {
	pkg  string // import path
	dir  string // folder of the package, where it runs
	path string
}

// build compiles the test programs of all packages that have tests, and
// test2json, which turns their output into events.
func build(ctx context.Context, work string) ([]program, error) {
	pkgs, err := packages(ctx)
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(work, "bin")
	if err := os.RemoveAll(bin); err != nil {
		return nil, err
	}
	// go test -c names a program after the last element of its package, so
	// packages that share it go to different folders.
	var programs []program
	seen := map[string]int{}
	batches := map[int][]string{}
	for _, p := range pkgs {
		base := path.Base(p.ImportPath)
		n := seen[base]
		seen[base]++
		batches[n] = append(batches[n], p.ImportPath)
		programs = append(programs, program{
			pkg:  p.ImportPath,
			dir:  p.Dir,
			path: filepath.Join(bin, fmt.Sprint(n), base+".test"),
		})
	}
	for n, batch := range batches {
		out := filepath.Join(bin, fmt.Sprint(n)) + string(filepath.Separator)
		if err := os.MkdirAll(out, 0o755); err != nil {
			return nil, err
		}
		if err := run(ctx, "go", append([]string{"test", "-race", "-c", "-o", out}, batch...)...); err != nil {
			return nil, err
		}
	}
	return programs, buildStatic(ctx, test2json(work), "cmd/test2json")
}

func test2json(work string) string { return filepath.Join(work, "test2json") }

// buildStatic builds a program that also runs in the machine.
func buildStatic(ctx context.Context, out, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// goPackage is what go list says of a package.
type goPackage struct {
	ImportPath   string
	Dir          string
	TestGoFiles  []string
	XTestGoFiles []string
}

// packages lists the packages that have tests.
func packages(ctx context.Context) ([]goPackage, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 {
			all = append(all, p)
		}
	}
}

func run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
