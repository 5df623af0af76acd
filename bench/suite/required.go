package main

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// listHead begins the list, for those who read it.
const listHead = `# The tests that must run and pass, with all their subtests: PACKAGE TEST.
# Reviewed: a line that goes away is a promise taken back. make required writes
# it from the source; make check compares it with the source, make test with
# what ran.
`

// readList reads the list of required tests.
func readList(path string) ([]testName, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseList(path, string(text))
}

func parseList(path, text string) ([]testName, error) {
	var names []testName
	i := 0
	for line := range strings.Lines(text) {
		i++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pkg, test, ok := strings.Cut(line, " ")
		if !ok {
			return nil, fmt.Errorf("%s:%d: want PACKAGE TEST, got %q", path, i, line)
		}
		names = append(names, testName{pkg, test})
	}
	return names, nil
}

// checkList compares the list with the tests in the source, both ways.
func checkList(ctx context.Context) error {
	listed, err := readList(listFile)
	if err != nil {
		return err
	}
	source, err := sourceTests(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range source {
		if !slices.Contains(listed, n) {
			errs = append(errs, fmt.Errorf("%s is not in %s", n, listFile))
		}
	}
	for _, n := range listed {
		if !slices.Contains(source, n) {
			errs = append(errs, fmt.Errorf("%s is in %s, but no test", n, listFile))
		}
	}
	if len(errs) > 0 {
		errs = append(errs, errors.New("if this is meant: make required, and review the difference"))
	}
	return errors.Join(errs...)
}

func writeList(ctx context.Context) error {
	source, err := sourceTests(ctx)
	if err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString(listHead)
	for _, n := range source {
		text.WriteString(n.String() + "\n")
	}
	return os.WriteFile(listFile, []byte(text.String()), 0o644)
}

// sourceTests lists the tests and fuzz targets in the source, sorted.
func sourceTests(ctx context.Context) ([]testName, error) {
	pkgs, err := packages(ctx)
	if err != nil {
		return nil, err
	}
	var names []testName
	for _, p := range pkgs {
		for _, file := range append(p.TestGoFiles, p.XTestGoFiles...) {
			tests, err := fileTests(filepath.Join(p.Dir, file), nil)
			if err != nil {
				return nil, err
			}
			for _, t := range tests {
				names = append(names, testName{p.ImportPath, t})
			}
		}
	}
	slices.SortFunc(names, compareNames)
	return names, nil
}

// fileTests lists the tests and fuzz targets of a file. src is its text, or
// nil to read it.
func fileTests(path string, src any) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var tests []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || len(f.Type.Params.List) != 1 {
			continue
		}
		name := f.Name.Name
		if name != "TestMain" && (strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz")) {
			tests = append(tests, name)
		}
	}
	return tests, nil
}
