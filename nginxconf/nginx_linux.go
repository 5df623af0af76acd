package nginxconf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	account "os/user"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	testTimeout = 60 * time.Second // for nginx -t
	maxMessage  = 64 << 10         // bytes kept of what NGINX says
	maxWorkers  = 16
)

// nginx runs one NGINX binary in one folder, never through a shell.
type nginx struct {
	binary string
	layout layout
}

// rejected is NGINX's own refusal of a configuration.
type rejected struct{ message string }

func (r *rejected) Error() string { return "NGINX refuses the configuration: " + firstEmerg(r.message) }

// firstEmerg picks the line that matters of what NGINX said.
func firstEmerg(message string) string {
	for line := range strings.Lines(message) {
		if i := strings.Index(line, "[emerg]"); i >= 0 {
			return strings.TrimSpace(line[i+len("[emerg]"):])
		}
	}
	return strings.TrimSpace(message)
}

// command runs the binary with its options in its folder. Its environment is
// empty but for the time zone: NGINX takes listening sockets from a variable.
func (n nginx) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, n.binary, append([]string{"-p", n.layout.root + "/"}, args...)...)
	cmd.Dir = n.layout.root
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TZ=" + os.Getenv("TZ")}
	cmd.WaitDelay = time.Second
	return cmd
}

// run runs the binary to its end and returns what it said.
func (n nginx) run(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	var said bounded
	cmd := n.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	return said.String(), err
}

// bounded keeps the first maxMessage bytes and drops the rest.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), maxMessage-b.Len())])
	return len(p), nil
}

// features asks the binary and the kernel. All its errors are of the environment.
func (n nginx) features(ctx context.Context) (Features, error) {
	said, err := n.run(ctx, "-v")
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return Features{}, &EnvironmentError{What: "there is no NGINX: " + n.binary + " does not exist", Do: "install the package nginx"}
	}
	if err != nil {
		return Features{}, &EnvironmentError{What: n.binary + " -v fails", Err: err, Do: "repair the installation of NGINX"}
	}
	f := Features{Workers: min(runtime.GOMAXPROCS(0), maxWorkers), NoIPv6: !hasIPv6(), User: workerUser()}
	if f.Version, err = ParseVersion(said); err != nil {
		return Features{}, &EnvironmentError{What: n.binary + " is not NGINX", Err: err, Do: "install the package nginx"}
	}
	if !f.Version.AtLeast(MinVersion) {
		return Features{}, &EnvironmentError{What: fmt.Sprintf("NGINX %s is too old", f.Version),
			Do: fmt.Sprintf("install %s or later", MinVersion)}
	}
	return f, nil
}

func hasIPv6() bool {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	return unix.Close(fd) == nil
}

// workerUser is the account the distribution made for NGINX's workers.
func workerUser() string {
	if os.Geteuid() != 0 {
		return ""
	}
	for _, name := range []string{"www-data", "nginx"} {
		if _, err := account.Lookup(name); err == nil {
			return name
		}
	}
	return "nobody"
}

// test asks NGINX whether it takes conf/NAME.
func (n nginx) test(ctx context.Context, name string) error {
	said, err := n.run(ctx, "-t", "-q", "-e", "stderr", "-c", filepath.Join("conf", name))
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit) && exit.Exited():
		return &rejected{said}
	}
	return fmt.Errorf("testing the configuration: %w", err)
}

// start starts a master with conf/nginx.conf, in a process group of its own, so
// that a Ctrl-C meant for us does not end it at once. It outlives us.
func (n nginx) start(ctx context.Context) (*master, error) {
	if err := os.Remove(n.layout.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	log, err := os.OpenFile(n.layout.errorLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := n.command(context.WithoutCancel(ctx), "-e", errorFile, "-c", "conf/nginx.conf")
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting NGINX: %w", err)
	}
	m := &master{process: cmd.Process, exited: make(chan struct{})}
	go func() { // ends with the process
		defer close(m.exited)
		m.err = cmd.Wait()
	}()
	return m, nil
}

// master is a running NGINX master process, started by us or adopted.
type master struct {
	process *os.Process
	exited  chan struct{} // closed when it is gone
	err     error         // how it ended, to be read after that
}

// end asks the master to quit, which lets open requests finish, and after grace
// makes it.
func (m *master) end(grace time.Duration) {
	for _, step := range []struct {
		signal os.Signal
		wait   time.Duration
	}{{syscall.SIGQUIT, grace}, {syscall.SIGTERM, 3 * time.Second}, {syscall.SIGKILL, time.Minute}} {
		if err := m.process.Signal(step.signal); errors.Is(err, os.ErrProcessDone) {
			return
		}
		select {
		case <-m.exited:
			return
		case <-time.After(step.wait):
		}
	}
}
