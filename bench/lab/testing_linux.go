package lab

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// The environment variables that Require obeys.
const (
	// envMode is "required" where a missing need fails the test instead of
	// skipping it.
	envMode = "HARMONY_LAB"
	// envLater names, separated by commas, needs that are met by a later run
	// of the same tests elsewhere (the virtual machine): these skip.
	envLater = "HARMONY_LAB_LATER"
)

// Later is part of what Require says when it leaves a test for a later run.
const Later = "runs later, in the virtual machine"

// Require skips the test, saying why, when something it needs is not there:
// "root", "ip_vs", or the name of a program, such as "keepalived". With
// HARMONY_LAB=required it fails the test instead.
func Require(t testing.TB, needs ...string) {
	t.Helper()
	later := strings.Split(os.Getenv(envLater), ",")
	for _, need := range needs {
		switch {
		case Has(need):
		case slices.Contains(later, need):
			t.Skipf("no %s here; "+Later, need)
		case os.Getenv(envMode) == "required":
			t.Fatalf("no %s here, and HARMONY_LAB=required", need)
		default:
			t.Skipf("no %s here; see make help", need)
		}
	}
}

// Has says whether a need, as Require takes it, is met. Asking for "ip_vs"
// makes the kernel load it where it can.
func Has(need string) bool {
	switch need {
	case "root":
		return os.Geteuid() == 0
	case "ip_vs":
		_, err := netlink.GenlFamilyGet("IPVS")
		return err == nil
	default:
		_, err := exec.LookPath(need)
		return err == nil
	}
}

// Net is a Switch that belongs to a test.
type Net struct {
	*Switch
	t testing.TB
}

// New returns a network without nodes that is closed when the test ends.
func New(t testing.TB) *Net {
	t.Helper()
	Require(t, "root")
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Net{Switch: s, t: t}
}

// Node is Switch.Attach; an error ends the test.
func (n *Net) Node(name string, addrs ...string) *Node {
	n.t.Helper()
	nd, err := n.Attach(n.t.Context(), name, addrs...)
	if err != nil {
		n.t.Fatal(err)
	}
	return nd
}

// Run is Output; an error ends the test.
func (nd *Node) Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := nd.Output(context.Background(), name, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// Poll waits until ok returns true, asking every few milliseconds; when it
// has not within the given time, it ends the test, naming what was awaited.
func Poll(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// limitedBuffer keeps the first megabyte written to it.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := 1<<20 - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

// Folder returns a new folder where only root may write, and which all may
// enter, on the whole way to it too: unlike that of t.TempDir. It is removed
// when the test ends.
func Folder(t testing.TB) string {
	t.Helper()
	Require(t, "root")
	dir, err := os.MkdirTemp("/var/lib", "harmony-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
