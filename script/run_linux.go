package script

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// grace is what a process group has between SIGTERM and SIGKILL.
	grace = 500 * time.Millisecond
	// lastWords is how long after the program's end its output is read, if
	// something that it has left behind still holds it.
	lastWords = 100 * time.Millisecond
	// most is how many scripts run at once; the others wait. Each run has a
	// thread.
	most = 256
)

// Runner runs scripts. It may be used by any goroutine.
type Runner struct{ slots chan struct{} }

// NewRunner returns a Runner. It marks the descriptors that this process was
// started with as not to be inherited; Go marks all others itself.
func NewRunner() (*Runner, error) {
	if err := keepDescriptors(); err != nil {
		return nil, fmt.Errorf("keeping descriptors from scripts: %w", err)
	}
	return &Runner{slots: make(chan struct{}, most)}, nil
}

// keepDescriptors marks all descriptors but the first three as not to be
// inherited.
func keepDescriptors() error {
	if unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC) == nil {
		return nil
	}
	open, err := os.ReadDir("/proc/self/fd") // before Linux 5.11
	for _, f := range open {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return err
}

// Run checks s and runs it, and returns when it and, if it had to be stopped,
// its whole process group have ended. It is stopped after s.Timeout or when ctx
// is done, whichever is first; Run returns half a second after that at the
// latest. Processes that a program leaves behind when it ends by itself stay.
func (r *Runner) Run(ctx context.Context, s Script, in Input) Result {
	began := time.Now()
	who, err := admit(s)
	if err != nil {
		return Result{Err: err}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.Timeout, fmt.Errorf("%w after %v", ErrTimeout, s.Timeout))
	defer cancel()
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return Result{Err: fmt.Errorf("script %s was not started: %d others run: %w", s.Name, most, context.Cause(ctx)), Took: time.Since(began)}
	}
	var output tail
	p, err := start(command(s, in, who, &output), in.Outlive)
	if err != nil {
		<-r.slots
		return Result{Err: startError(s, who, err), Took: time.Since(began)}
	}
	stopped, err := p.wait(ctx)
	if err != nil { // it goes on, and keeps its place
		go func() { // ends with it
			<-p.exited
			_ = p.reap() // nobody is left to hear how
			<-r.slots
		}()
		return Result{Err: fmt.Errorf("%w, and cannot be ended without root or the capability KILL: %w", stopError(ctx), err), Took: time.Since(began)}
	}
	err = p.reap()
	<-r.slots
	result := Result{Took: time.Since(began), Output: string(output.b)}
	switch {
	case stopped:
		result.Err = stopError(ctx)
	case err != nil:
		result.Err = exitError(err, result.Output)
	}
	return result
}

func command(s Script, in Input, who account, output *tail) *exec.Cmd {
	cmd := &exec.Cmd{
		Path: s.Command[0],
		Args: append(append([]string{}, s.Command...), in.Args...),
		Dir:  "/",
		Env: append([]string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
			"USER=" + who.name, "LOGNAME=" + who.name, "HOME=" + who.home,
		}, in.Env...),
		Stdout: output, Stderr: output,
		WaitDelay: lastWords,
		// A session of its own is a process group of its own, without terminal.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if in.Stdin != nil {
		cmd.Stdin = bytes.NewReader(in.Stdin)
	}
	if unix.Geteuid() == 0 || int(who.uid) != unix.Geteuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: who.uid, Gid: who.gid, Groups: who.groups}
	}
	return cmd
}

// process is a running script. Its leader is not reaped before the end, so
// that the number of the process group cannot become that of another.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the leader has ended
}

// start starts cmd from a thread of its own, which no_new_privs and the empty
// set of ambient capabilities belong to, and which its child inherits. The
// thread waits for the child's end, since the kernel takes the end of the
// thread for that of the parent, and is thrown away.
func start(cmd *exec.Cmd, outlive bool) (*process, error) {
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	if !outlive {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	go func() { // ends with the child
		runtime.LockOSThread() // never unlocked
		err := errors.Join(
			unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
			unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			awaitEnd(cmd.Process.Pid)
			close(p.exited)
		}
	}()
	return p, <-started
}

// awaitEnd returns when the child has ended, and leaves it to be reaped.
func awaitEnd(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// wait returns when the program has ended, by itself or, when ctx is done, by
// force; then stopped is true. The error says that force is not allowed.
func (p *process) wait(ctx context.Context) (stopped bool, err error) {
	select {
	case <-p.exited:
		return false, nil
	case <-ctx.Done():
	}
	group := -p.cmd.Process.Pid
	if err := unix.Kill(group, unix.SIGTERM); errors.Is(err, unix.EPERM) {
		return true, err
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
	}
	_ = unix.Kill(group, unix.SIGKILL) // what has outlived its leader, too
	<-p.exited
	return true, nil
}

// reap returns the program's end. That something holds its output is no fault.
func (p *process) reap() error {
	err := p.cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}

// stopError says why a program was stopped.
func stopError(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		return ErrTimeout
	}
	return cause
}

// startError says what to do when the kernel did not start the program.
func startError(s Script, who account, err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("script %s: running it as %s needs root, or the capabilities SETUID and SETGID: %w", s.Name, who.name, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("script %s: user %s may not execute it: look at the permissions of the file and its folders, its #! line, and noexec: %w", s.Name, who.name, err)
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("script %s: the kernel does not know what it is: does it begin with #! and its interpreter?: %w", s.Name, err)
	}
	return fmt.Errorf("script %s: %w", s.Name, err)
}

// exitError turns what Wait says into an *ExitError.
func exitError(err error, output string) error {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return err // of passing its input or output on
	}
	e := &ExitError{Status: exit.ExitCode(), Said: lastLine(output)}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Status, e.Signal = 128+int(status.Signal()), unix.SignalName(status.Signal())
	}
	return e
}
