package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/bench/lab"
)

func TestFileTests(t *testing.T) {
	const src = `package p
import "testing"
func TestA(t *testing.T) {}
func TestMain(m *testing.M) {}
func FuzzB(f *testing.F) {}
func BenchmarkC(b *testing.B) {}
func helper(t *testing.T) {}
func TestTwo(t *testing.T, n int) {}
func TestNone() {}
func (s suite) TestMethod(t *testing.T) {}
`
	got, err := fileTests("p_test.go", src)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"TestA", "FuzzB"}, got); diff != "" {
		t.Errorf("tests (-want +got):\n%s", diff)
	}
}

func TestParseList(t *testing.T) {
	got, err := parseList("x", "# head\n\nharmony/check TestFold\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []testName{{"harmony/check", "TestFold"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(testName{})); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if _, err := parseList("x", "# head\nTestFold\n"); err == nil || !strings.HasPrefix(err.Error(), "x:2: ") {
		t.Errorf("a line without a package: error %v, want one for line 2", err)
	}
}

// TestReport checks what is said of required tests that did not pass as they
// should, and that it makes the whole fail.
func TestReport(t *testing.T) {
	r := newResults()
	for _, e := range []event{
		{Action: "run", Package: "p", Test: "TestGood"},
		{Action: "pass", Package: "p", Test: "TestGood"},
		{Action: "fail", Package: "p", Test: "TestBad"},
		{Action: "output", Package: "p", Test: "TestVM/ipvs", Output: "no ip_vs here; " + lab.Later + "\n"},
		{Action: "skip", Package: "p", Test: "TestVM/ipvs"},
		{Action: "pass", Package: "p", Test: "TestVM"},
		{Action: "skip", Package: "p", Test: "TestSkipped"},
	} {
		r.add(e)
	}
	if diff := cmp.Diff([]string{"TestVM"}, r.later("p")); diff != "" {
		t.Errorf("left for the machine (-want +got):\n%s", diff)
	}
	required := []testName{{"p", "TestGood"}, {"p", "TestBad"}, {"p", "TestVM"}, {"p", "TestSkipped"}, {"p", "TestGone"}}
	want := []string{
		"p TestBad: failed",
		"p TestVM: skipped: TestVM/ipvs",
		"p TestSkipped: skipped: TestSkipped",
		"p TestGone: did not run",
	}
	if diff := cmp.Diff(want, r.missing(required)); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	var text strings.Builder
	if err := r.report(&text, required); err == nil {
		t.Errorf("no error from a report with failures:\n%s", &text)
	}

	// The machine makes up for what was skipped before.
	r.add(event{Action: "pass", Package: "p", Test: "TestVM/ipvs"})
	if got := r.missing(required[:1]); got != nil {
		t.Errorf("a passed test is missing: %v", got)
	}
	if got := r.missing([]testName{{"p", "TestVM"}}); got != nil {
		t.Errorf("a test that passed in the machine is missing: %v", got)
	}
}

func TestReportPackageFault(t *testing.T) {
	r := newResults()
	r.add(event{Action: "pass", Package: "p", Test: "TestGood"})
	r.add(event{Action: "fail", Package: "p"}) // such as a panic after the tests
	var text strings.Builder
	if err := r.report(&text, nil); err == nil || !strings.Contains(text.String(), "FAIL\tp\n") {
		t.Errorf("error %v, report:\n%s\nwant the package named", err, &text)
	}
}
