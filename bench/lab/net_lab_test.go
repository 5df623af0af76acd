package lab_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"harmony/bench/lab"
)

func TestLabNet(t *testing.T) {
	lab.Require(t, "root", "ping")
	n := lab.New(t)
	a := n.Node("a", "10.0.0.1/24", "fd00::1/64")
	b := n.Node("b", "10.0.0.2/24", "fd00::2/64")

	reaches := func(addr string) bool {
		_, err := a.Output(t.Context(), "ping", "-n", "-c1", "-W1", addr)
		return err == nil
	}
	carrier := func() bool {
		return !strings.Contains(b.Run(t, "ip", "link", "show", "eth0"), "NO-CARRIER")
	}
	tests := []struct {
		name             string
		act              func() error
		carrier, reaches bool
	}{
		{"fresh", func() error { return nil }, true, true},
		{"cut", b.Cut, false, false},
		{"healed", b.Heal, true, true},
		{"deafened", func() error { return b.Deafen(true) }, true, false},
		{"hears again", func() error { return b.Deafen(false) }, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.act(); err != nil {
				t.Fatal(err)
			}
			lab.Poll(t, 5*time.Second, fmt.Sprintf("carrier %v", tt.carrier), func() bool {
				return carrier() == tt.carrier
			})
			for _, addr := range []string{"10.0.0.2", "fd00::2"} {
				lab.Poll(t, 5*time.Second, fmt.Sprintf("%s reached: %v", addr, tt.reaches), func() bool {
					return reaches(addr) == tt.reaches
				})
			}
		})
	}
}

// TestLabNetLeavesNothing starts a daemon that has a child of its own, which
// SIGKILL of the daemon would leave behind.
func TestLabNetLeavesNothing(t *testing.T) {
	lab.Require(t, "root")
	s, err := lab.Open()
	if err != nil {
		t.Fatal(err)
	}
	nd, err := s.Attach(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	var ns string
	if err := nd.Do(func() (err error) {
		ns, err = os.Readlink("/proc/thread-self/ns/net")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	cmd := nd.Command(context.Background(), "sh", "-c", "setsid sleep 1000 & wait")
	if err := nd.Start(cmd); err != nil {
		t.Fatal(err)
	}
	lab.Poll(t, 5*time.Second, "shell and sleep running", func() bool { return len(inside(t, ns)) == 2 })

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the shell ended by itself, want it killed")
	}
	lab.Poll(t, 5*time.Second, "namespace empty", func() bool { return len(inside(t, ns)) == 0 })
	if err := nd.Do(func() error { return nil }); err == nil {
		t.Error("Do after Close: no error")
	}
}

// inside lists the processes in a network namespace.
func inside(t *testing.T, ns string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, l := range links {
		got, err := os.Readlink(l)
		if err == nil && got == ns { // an error: the process has just ended
			pids = append(pids, l)
		}
	}
	return pids
}
