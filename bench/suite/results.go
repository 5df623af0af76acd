package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"harmony/bench/lab"
)

// event is a line of go test -json.
type event struct {
	Action  string
	Package string
	Test    string  `json:",omitempty"`
	Output  string  `json:",omitempty"`
	Elapsed float64 `json:",omitempty"`
}

// testName names a test, or a subtest by its path.
type testName struct {
	pkg  string
	test string
}

func (n testName) String() string { return n.pkg + " " + n.test }

// top is the test that the subtest belongs to.
func (n testName) top() testName {
	n.test, _, _ = strings.Cut(n.test, "/")
	return n
}

func compareNames(a, b testName) int {
	return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.test, b.test))
}

// results is what came of the tests.
type results struct {
	action map[testName]string // "pass", "fail" or "skip", the last one said
	output map[testName][]string
	broken map[string]bool // packages that failed as a whole
}

func newResults() *results {
	return &results{
		action: map[testName]string{},
		output: map[testName][]string{},
		broken: map[string]bool{},
	}
}

// add takes in an event. It returns what a test that has just failed, or been
// skipped, has printed.
func (r *results) add(e event) []string {
	n := testName{e.Package, e.Test}
	switch e.Action {
	case "output":
		if e.Test != "" || e.Output != "PASS\n" && e.Output != "FAIL\n" { // the program's last word
			r.output[n] = append(r.output[n], e.Output)
		}
	case "run":
		delete(r.output, n)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.broken[e.Package] = r.broken[e.Package] || e.Action == "fail"
		} else {
			r.action[n] = e.Action
		}
		if e.Action == "fail" || e.Action == "skip" && e.Test != "" {
			return r.output[n]
		}
	}
	return nil
}

// fault records that a package could not be tested; a nil error is none.
func (r *results) fault(pkg string, err error) {
	if err != nil {
		r.broken[pkg] = true
	}
}

func (r *results) failed(pkg string) bool { return r.broken[pkg] }

// later lists the tests of a package that were left for the virtual machine.
func (r *results) later(pkg string) []string {
	var tests []string
	for n, action := range r.action {
		if n.pkg == pkg && action == "skip" && strings.Contains(strings.Join(r.output[n], ""), lab.Later) {
			tests = append(tests, n.top().test)
		}
	}
	slices.Sort(tests)
	return slices.Compact(tests)
}

// report prints a summary. The error says if a test or package failed, or a
// required one did not pass with all its subtests.
func (r *results) report(w io.Writer, required []testName) error {
	count := map[string]int{}
	var failed []testName
	for n, action := range r.action {
		if n == n.top() {
			count[action]++
			if action == "fail" {
				failed = append(failed, n)
			}
		}
	}
	slices.SortFunc(failed, compareNames)
	fmt.Fprintf(w, "\n%d tests: %d passed, %d failed, %d skipped\n", count["pass"]+count["fail"]+count["skip"], count["pass"], count["fail"], count["skip"])
	for _, n := range failed {
		fmt.Fprintf(w, "--- FAIL: %s\n", n)
	}
	for _, pkg := range slices.Sorted(maps.Keys(r.broken)) {
		if r.broken[pkg] {
			fmt.Fprintf(w, "FAIL\t%s\n", cmp.Or(pkg, "(the run itself)"))
			failed = append(failed, testName{pkg: pkg})
		}
	}
	missing := r.missing(required)
	for _, line := range missing {
		fmt.Fprintf(w, "REQUIRED\t%s\n", line)
	}
	if len(required) > 0 {
		fmt.Fprintf(w, "%d tests are required, %d of them did not pass\n", len(required), len(missing))
	}
	if len(failed)+len(missing) > 0 {
		fmt.Fprintln(w, "FAIL")
		return errors.New("not all tests passed")
	}
	fmt.Fprintln(w, "PASS")
	return nil
}

// missing says of each required test that did not pass what became of it.
func (r *results) missing(required []testName) []string {
	skipped := map[testName]testName{} // by test: a part of it that was skipped
	for n, action := range r.action {
		if action == "skip" {
			skipped[n.top()] = n
		}
	}
	var lines []string
	for _, n := range required {
		part, skip := skipped[n]
		switch {
		case r.action[n] == "":
			lines = append(lines, n.String()+": did not run")
		case r.action[n] == "fail":
			lines = append(lines, n.String()+": failed")
		case skip:
			lines = append(lines, n.String()+": skipped: "+part.test)
		}
	}
	return lines
}
