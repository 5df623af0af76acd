package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// mutant is a bug: in a file of a package, old becomes new.
type mutant struct {
	pkg  string // folder of the package
	name string
	file string
	old  string
	new  string
}

// outcome says how a mutant fared. Only caught is good.
type outcome string

const (
	caught   outcome = "caught"
	survived outcome = "SURVIVED"
	unfit    outcome = "UNFIT" // it cannot be applied, or does not build
)

// verdict is what came of a mutant.
type verdict struct {
	mutant
	outcome outcome
	detail  string // the test that caught it, or what is wrong
	took    time.Duration
}

// parse reads mutants in blocks of four lines, "mutant:", "file:", "old:" and
// "new:" in this order, with empty lines and lines beginning with # between
// them. Only "new:" may be empty. Errors begin with the line number.
func parse(text string) ([]mutant, error) {
	var all []mutant
	var m mutant
	fields := []struct {
		key string
		to  *string
	}{{"mutant", &m.name}, {"file", &m.file}, {"old", &m.old}, {"new", &m.new}}
	at := 0
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if at == 0 && (strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#")) {
			continue
		}
		if at > 0 && line == "" && i == len(lines)-1 {
			break
		}
		key, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if f := fields[at]; !ok || key != f.key || value == "" && key != "new" {
			return nil, fmt.Errorf("%d: want %q and a value, got %q", i+1, f.key+":", line)
		}
		*fields[at].to = value
		if at++; at == len(fields) {
			all, at = append(all, m), 0
		}
	}
	if at != 0 {
		return nil, fmt.Errorf("%d: the last mutant is not whole", len(lines))
	}
	return all, nil
}

// apply returns the source with the bug in it.
func (m mutant) apply(source string) (string, error) {
	switch n := strings.Count(source, m.old); {
	case n != 1:
		return "", fmt.Errorf("%q is in %s %d times, want 1", m.old, m.file, n)
	case m.old == m.new:
		return "", errors.New("old and new are the same")
	}
	return strings.Replace(source, m.old, m.new, 1), nil
}
