package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// terminalWait is how long processes that the command leaves behind may keep
// the terminal, and the machine, busy.
const terminalWait = time.Second

// guest is the machine's first process. It ends with the machine.
func guest() {
	r, err := guestRun()
	if err != nil {
		r.Fault = err.Error()
	}
	if err := tell(r); err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err, r) // the host keeps what the console says
	}
	// The host ends the machine when it has read the report.
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	os.Exit(exitVM)
}

// tell sends a line to the host by the status port.
func tell(line any) error {
	status, err := os.OpenFile(portDevice("status"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(status).Encode(line), status.Close())
}

func guestRun() (report, error) {
	text, err := os.ReadFile(guestSpec)
	if err != nil {
		return report{}, err
	}
	var s spec
	if err := json.Unmarshal(text, &s); err != nil {
		return report{}, err
	}
	for _, step := range []struct {
		name string
		do   func(spec) error
	}{
		{"load modules", loadBoot},
		{"mount the host's files", mountHost},
		{"change root", changeRoot},
		{"mount", mountSystem},
		{"share folders", mountOuts},
		{"set up", setup},
	} {
		if err := step.do(s); err != nil {
			return report{}, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return command(s)
}

// loadBoot loads the modules of the initial root, compressed or not.
func loadBoot(s spec) error {
	for _, path := range s.Boot {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		flags := 0
		if !strings.HasSuffix(path, ".ko") {
			flags = unix.MODULE_INIT_COMPRESSED_FILE
		}
		err = unix.FinitModule(int(f.Fd()), "", flags)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// mount is mount(2), after making the folder.
func mount(source, target, kind string, flags uintptr, data string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("%s on %s: %w", kind, target, err)
	}
	return nil
}

// ninep are the options of the 9p mounts. The host's files are taken not to
// change while the machine runs, which makes them fast.
const ninep = "trans=virtio,version=9p2000.L,msize=524288,cache="

// mountHost makes /root of the host's files below and memory above.
func mountHost(spec) error {
	return errors.Join(
		mount("host", "/host", "9p", unix.MS_RDONLY, ninep+"loose"),
		mount("memory", "/memory", "tmpfs", 0, "size=80%"),
		os.MkdirAll("/memory/upper", 0o755),
		os.MkdirAll("/memory/work", 0o755),
		mount("root", "/root", "overlay", 0, "lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work"),
	)
}

// changeRoot does what switch_root(8) does, except freeing the initial root.
func changeRoot(spec) error {
	return errors.Join(
		os.Chdir("/root"),
		unix.Mount(".", "/", "", unix.MS_MOVE, ""),
		unix.Chroot("."),
		os.Chdir("/"),
	)
}

func mountSystem(spec) error {
	return errors.Join(
		mount("dev", "/dev", "devtmpfs", 0, ""),
		mount("devpts", "/dev/pts", "devpts", 0, "ptmxmode=0666,mode=0620,gid=5"),
		mount("shm", "/dev/shm", "tmpfs", 0, "mode=1777"),
		mount("proc", "/proc", "proc", 0, ""),
		mount("sys", "/sys", "sysfs", 0, ""),
		mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, ""),
		mount("run", "/run", "tmpfs", 0, "mode=0755"),
		os.MkdirAll("/run/lock", 0o1777),
		link("/proc/self/fd", "/dev/fd"),
		link("/proc/self/fd/0", "/dev/stdin"),
		link("/proc/self/fd/1", "/dev/stdout"),
		link("/proc/self/fd/2", "/dev/stderr"),
	)
}

// link makes a symbolic link where nothing is yet.
func link(to, at string) error {
	if err := os.Symlink(to, at); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func mountOuts(s spec) error {
	var errs []error
	for i, path := range s.Outs {
		errs = append(errs, mount(fmt.Sprintf("out%d", i), path, "9p", 0, ninep+"none"))
	}
	return errors.Join(errs...)
}

func setup(s spec) error {
	nofile := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	return errors.Join(
		unix.Sethostname([]byte("lab")),
		unix.Setrlimit(unix.RLIMIT_NOFILE, &nofile),
		loopbackUp(),
		os.MkdirAll("/lib/modules", 0o755),
		link(s.Modules, filepath.Join("/lib/modules", filepath.Base(s.Modules))),
		modprobe("ip_vs"),
	)
}

func modprobe(name string) error {
	out, err := exec.Command("/sbin/modprobe", name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("modprobe %s: %w: %s", name, err, out)
	}
	return nil
}

func loopbackUp() error {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(sock)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(sock, unix.SIOCSIFFLAGS, lo)
}

// command runs the command to its end.
func command(s spec) (report, error) {
	path, err := lookPath(s)
	if err != nil {
		return report{}, err
	}
	stdio, drain, err := streams(s)
	if err != nil {
		return report{}, err
	}
	if err := tell(report{Up: true}); err != nil {
		return report{}, err
	}
	child, err := os.StartProcess(path, s.Args, &os.ProcAttr{
		Dir:   s.Dir,
		Env:   s.Env,
		Files: stdio[:],
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: s.TTY},
	})
	if err != nil {
		return report{}, err
	}
	for _, f := range stdio {
		f.Close() // the command's now
	}
	code, err := reap(child.Pid)
	drain()
	return report{Code: code}, err
}

// lookPath finds the command as the shell would on the host.
func lookPath(s spec) (string, error) {
	for _, e := range s.Env {
		if path, ok := strings.CutPrefix(e, "PATH="); ok {
			if err := os.Setenv("PATH", path); err != nil {
				return "", err
			}
		}
	}
	if err := os.Chdir(s.Dir); err != nil {
		return "", err
	}
	return findCommand(s.Args[0])
}

// streams opens what the command has for its standard streams; drain waits
// until what it wrote has reached the host.
func streams(s spec) (stdio [3]*os.File, drain func(), err error) {
	var opened [3]*os.File
	for i, port := range []string{"stdin", "stdout", "stderr"} {
		flag := os.O_WRONLY
		if port == "stdin" {
			flag = os.O_RDONLY
		}
		if opened[i], err = os.OpenFile(portDevice(port), flag, 0); err != nil {
			return stdio, nil, err
		}
	}
	if !s.TTY {
		return opened, func() {}, nil // writing to a port waits for the host
	}
	return terminal(s, opened[0], opened[1])
}

// terminal makes a pseudo terminal whose other side is the given streams.
func terminal(s spec, in, out *os.File) (stdio [3]*os.File, drain func(), err error) {
	master, err := os.OpenFile("/dev/pts/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return stdio, nil, err
	}
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return stdio, nil, err
	}
	size := &unix.Winsize{Row: s.Rows, Col: s.Columns}
	if err := errors.Join(
		unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0),
		unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size),
	); err != nil {
		return stdio, nil, err
	}
	for i := range stdio {
		if stdio[i], err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
			return stdio, nil, err
		}
	}
	written := make(chan struct{})
	// Both end with the machine; copying out also when no process has the
	// terminal open any more, as the master then gives an error.
	go func() { _, _ = io.Copy(master, in) }()
	go func() { _, _ = io.Copy(out, master); close(written) }()
	return stdio, func() {
		select {
		case <-written:
		case <-time.After(terminalWait):
		}
	}, nil
}

// portDevice is the device of a port, of the only virtio-serial bus.
func portDevice(name string) string {
	for i, port := range ports {
		if port == name {
			return fmt.Sprintf("/dev/vport0p%d", 1+i)
		}
	}
	return ""
}

// reap waits for every child until the given one has ended, and returns its
// exit status, as the shell counts it.
func reap(pid int) (int, error) {
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case got != pid:
		case ws.Signaled():
			return 128 + int(ws.Signal()), nil
		default:
			return ws.ExitStatus(), nil
		}
	}
}
