package lab_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"harmony/bench/lab"
)

// TestLabIsolate lets a program in isolation leave a process behind, and ends
// the program in several ways: the process must be gone each time.
func TestLabIsolate(t *testing.T) {
	lab.Require(t, "root", "go", "ip")
	program := filepath.Join(t.TempDir(), "isolated")
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/isolated").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	tests := []struct {
		name string
		end  func(p *os.Process, stdin io.Closer) error
		code int // -1: by a signal
	}{
		{"by itself", func(_ *os.Process, stdin io.Closer) error { return stdin.Close() }, 7},
		{"SIGTERM is passed on", func(p *os.Process, _ io.Closer) error { return p.Signal(syscall.SIGTERM) }, 128 + int(syscall.SIGTERM)},
		{"SIGKILL", func(p *os.Process, _ io.Closer) error { return p.Kill() }, -1},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seconds := fmt.Sprintf("98765.%d%d", os.Getpid(), i) // found again by this
			cmd := exec.Command(program, seconds)
			cmd.Stderr = os.Stderr
			stdin, stdout := pipes(t, cmd)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			wantReady(t, stdout)
			lab.Poll(t, 10*time.Second, "a process left behind", func() bool { return sleeps(t, seconds) })
			if err := tt.end(cmd.Process, stdin); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != tt.code {
				t.Errorf("ended with %v, want exit code %d", err, tt.code)
			}
			lab.Poll(t, 10*time.Second, "process gone", func() bool { return !sleeps(t, seconds) })
		})
	}
}

func pipes(t *testing.T, cmd *exec.Cmd) (io.Closer, io.Reader) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	return stdin, stdout
}

// wantReady reads the node's addresses, seen by its name, and "ready".
func wantReady(t *testing.T, r io.Reader) {
	t.Helper()
	lines := bufio.NewScanner(r)
	var said strings.Builder
	for lines.Scan() && lines.Text() != "ready" {
		said.WriteString(lines.Text() + "\n")
	}
	if !strings.Contains(said.String(), "10.0.0.1/24") {
		t.Fatalf("before it was ready it said %q, want the node's address", said.String())
	}
}

// sleeps reports whether "sleep SECONDS" runs.
func sleeps(t *testing.T, seconds string) bool {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		// An error: the process has just ended.
		if text, err := os.ReadFile(f); err == nil && string(text) == "sleep\x00"+seconds+"\x00" {
			return true
		}
	}
	return false
}
