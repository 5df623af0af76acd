package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// envStage tells a program that Isolate has started which part it is.
	envStage   = "HARMONY_LAB_STAGE"
	stageInit  = "init" // the first process of the namespaces
	stageInner = "inner"

	namedNS = "/run/netns" // where ip netns looks for names
)

// Scratch is a folder that every Linux has. Inside Isolate it is the lab's own,
// in memory, and vanishes with it.
const Scratch = "/dev/shm"

// Isolated reports whether the program runs inside Isolate. Then every node
// has a name for "ip netns exec", and /dev/shm is the lab's own.
func Isolated() bool { return os.Getenv(envStage) == stageInner }

// Isolate runs the program, with the same arguments, once more in PID and
// mount namespaces of its own, so that no process and no mount outlives it,
// however it ends. The caller exits at once with the code that it returns,
// unless inside is true: then this is that second run, and goes on.
//
//	inside, code, err := lab.Isolate()
//	if err != nil { … }
//	if !inside { os.Exit(code) }
//
// Inside there are an own /proc, and empty folders in memory at /run/netns and
// /dev/shm. SIGINT and SIGTERM are passed on; a terminal's Ctrl-C may arrive
// twice. It needs root, and is to be called before anything is started.
func Isolate() (inside bool, code int, err error) {
	switch os.Getenv(envStage) {
	case stageInner:
		return true, 0, nil
	case stageInit:
		code, err = isolateInit()
	default:
		code, err = isolateOuter()
	}
	if err != nil {
		return false, 1, fmt.Errorf("isolate: %w", err)
	}
	return false, code, nil
}

// isolateOuter starts the first process of the new namespaces, whose death the
// kernel makes that of all others in there.
func isolateOuter() (int, error) {
	made := os.Mkdir(namedNS, 0o755) == nil
	if made {
		defer os.Remove(namedNS)
	}
	cmd, err := again(stageInit)
	if err != nil {
		return 0, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	return runPassingSignals(cmd)
}

// isolateInit prepares the namespaces and runs the program proper, while it
// reaps, as the first process must, whatever else ends.
func isolateInit() (int, error) {
	err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""),
		unix.Mount("harmony-lab", namedNS, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"),
		unix.Mount("harmony-lab", Scratch, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"),
	)
	if err != nil {
		return 0, fmt.Errorf("mount: %w", err)
	}
	cmd, err := again(stageInner)
	if err != nil {
		return 0, err
	}
	signals := passSignals()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer signals(cmd.Process)()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait: %w", err)
		case pid == cmd.Process.Pid:
			return exitCode(status), nil
		}
	}
}

// again is this program once more, as another stage.
func again(stage string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), envStage+"="+stage)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd, nil
}

// runPassingSignals runs the command to its end and returns its exit code.
func runPassingSignals(cmd *exec.Cmd) (int, error) {
	// Pdeathsig is about the thread that starts the command.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := passSignals()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer signals(cmd.Process)()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return exitCode(unix.WaitStatus(cmd.ProcessState.Sys().(syscall.WaitStatus))), nil
}

// passSignals catches SIGINT and SIGTERM from now on. The function it returns
// passes them on to a process, and itself returns what ends that.
func passSignals() func(*os.Process) (stop func()) {
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, os.Interrupt, syscall.SIGTERM)
	return func(to *os.Process) func() {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case s := <-caught:
					_ = to.Signal(s) // it may have ended
				case <-ctx.Done():
					return
				}
			}
		}()
		return func() {
			signal.Stop(caught)
			cancel()
			<-done
		}
	}
}

// exitCode is the exit status as the shell counts it.
func exitCode(s unix.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

// bindName gives the node's namespace its name for "ip netns exec", where no
// one but this lab sees it.
func (nd *Node) bindName() error {
	if !Isolated() {
		return nil
	}
	path := filepath.Join(namedNS, nd.name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	return nd.Do(func() error { return unix.Mount(threadNS, path, "", unix.MS_BIND, "") })
}

// unname undoes bindName.
func (nd *Node) unname() error {
	if !Isolated() {
		return nil
	}
	path := filepath.Join(namedNS, nd.name)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("node %s: unmount its name: %w", nd.name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
