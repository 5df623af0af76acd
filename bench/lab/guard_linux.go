package lab

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
)

// guardScript reads the ids of namespaces, one a line, until its input ends,
// which it does when the lab is closed or its process dies, by SIGKILL too.
// Then it kills every process inside them until there is none.
const guardScript = `
all=
while read -r ns; do all="$all $ns "; done
found=yes
while [ "$found" ]; do
	found=
	for p in /proc/[0-9]*; do
		ns=$(readlink "$p/ns/net") || continue
		case "$all" in *" $ns "*) kill -KILL "${p#/proc/}" && found=yes;; esac
	done
done 2>/dev/null
`

// guard is the process that leaves no other process behind: Pdeathsig reaches
// only direct children, while daemons have children of their own.
type guard struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out strings.Builder
}

func newGuard() (*guard, error) {
	g := &guard{cmd: exec.Command("sh", "-c", guardScript)}
	g.cmd.Stderr = &g.out
	// A session of its own, so that Ctrl-C ends the lab and not the guard.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := g.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	g.in = in
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return g, nil
}

// watch puts the namespace in the guard's care.
func (g *guard) watch(id string) error {
	if _, err := io.WriteString(g.in, id+"\n"); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	return nil
}

// close kills what is in the namespaces and waits until that is done.
func (g *guard) close() error {
	err := errors.Join(g.in.Close(), g.cmd.Wait())
	if err != nil {
		return fmt.Errorf("guard: %w: %s", err, strings.TrimSpace(g.out.String()))
	}
	return nil
}
