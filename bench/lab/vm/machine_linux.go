package main

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bootWait bounds the time from the start of QEMU to that of the command. It
// is about 6 s without KVM on an idle host.
const bootWait = 3 * time.Minute

// machine is one run of QEMU.
type machine struct {
	options
	log    *slog.Logger
	kernel kernel
	accel  []string // QEMU's flags for the processor
	root   *os.File // the initial root, in memory, so that nothing is left of it
	tty    bool

	qemu    *exec.Cmd
	said    bytes.Buffer // by QEMU, to be read when it has ended
	console tail         // what the kernel said, likewise
	status  *os.File     // our end of the status port
	closer  []io.Closer
	copies  sync.WaitGroup // output on its way
}

// boot runs the command in a machine and returns its exit status.
func boot(ctx context.Context, o options, args []string) (int, error) {
	level := slog.LevelWarn
	if o.verbose {
		level = slog.LevelInfo
	}
	m := &machine{options: o, tty: isTerminal(os.Stdin) && isTerminal(os.Stdout)}
	m.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	if err := m.prepare(ctx, args); err != nil {
		return 0, err
	}
	defer m.root.Close()
	if m.tty {
		restore, err := rawTerminal(os.Stdin)
		if err != nil {
			return 0, fmt.Errorf("terminal: %w", err)
		}
		defer restore()
	}
	return m.run(ctx)
}

// prepare gets the kernel and makes the initial root.
func (m *machine) prepare(ctx context.Context, args []string) error {
	cache, err := m.cacheFolder()
	if err != nil {
		return err
	}
	if m.kernel, err = fetchKernel(ctx, cache); err != nil {
		return err
	}
	m.accel = accelerator(ctx, cache, m.kernel, m.log)
	s, err := m.spec(args)
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("initial root", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("initial root: %w", err)
	}
	m.root = os.NewFile(uintptr(fd), "initial root")
	if err := m.writeRoot(s); err != nil {
		return errors.Join(fmt.Errorf("initial root: %w", err), m.root.Close())
	}
	return nil
}

func (m *machine) spec(args []string) (spec, error) {
	dir, err := os.Getwd()
	if err != nil {
		return spec{}, err
	}
	s := spec{
		Args:    args,
		Env:     append(os.Environ(), "HARMONY_VM=1"),
		Dir:     dir,
		TTY:     m.tty,
		Modules: m.kernel.modules,
		Outs:    m.outs,
	}
	if size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ); err == nil {
		s.Rows, s.Columns = size.Row, size.Col
	}
	for _, path := range m.kernel.boot {
		s.Boot = append(s.Boot, "/modules/"+filepath.Base(path))
	}
	return s, nil
}

// writeRoot writes the initial root: this program as its init, the modules,
// and the spec.
func (m *machine) writeRoot(s spec) error {
	self, err := staticSelf()
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	root := newCPIO(m.root)
	for _, dir := range []string{"/dev", "/proc", "/sys", "/modules", "/host", "/memory", "/root"} {
		root.add(dir, cpioDir, nil)
	}
	root.add(guestInit, cpioFile, self)
	root.add(guestSpec, cpioFile, text)
	for i, path := range m.kernel.boot {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		root.add(s.Boot[i], cpioFile, data)
	}
	return root.close()
}

// staticSelf returns this program, which must be able to run without files.
func staticSelf() ([]byte, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			return nil, errors.New("this program is not static: build it with CGO_ENABLED=0")
		}
	}
	return data, nil
}

// run starts QEMU, waits for the report, and ends QEMU. Nothing of the machine
// is worth an orderly shutdown: its writes are in memory, or on the host.
func (m *machine) run(ctx context.Context) (int, error) {
	// Pdeathsig is about the thread that starts QEMU.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := time.Now()
	if err := m.start(); err != nil {
		return 0, errors.Join(err, m.close())
	}
	m.log.Info("machine started", "qemu", m.qemu.Args)
	reports := make(chan report)
	go func() { // ends when the status port does, that is with QEMU
		defer close(reports)
		for d := json.NewDecoder(m.status); ; {
			var r report
			if d.Decode(&r) != nil {
				return
			}
			reports <- r
		}
	}()
	result, err := m.await(ctx, reports, start)
	_ = m.qemu.Process.Kill()
	_ = m.qemu.Wait() // it was killed, or its status says nothing
	for range reports {
	}
	m.copies.Wait()
	if err != nil && ctx.Err() == nil {
		err = m.explain(err)
	}
	return result, errors.Join(err, m.close())
}

// await returns the exit status that the machine reports.
func (m *machine) await(ctx context.Context, reports <-chan report, start time.Time) (int, error) {
	late := time.NewTimer(bootWait)
	defer late.Stop()
	for {
		select {
		case r, ok := <-reports:
			switch {
			case !ok:
				return 0, errors.New("the machine stopped by itself")
			case r.Fault != "":
				return 0, errors.New(r.Fault)
			case !r.Up:
				return r.Code, nil
			}
			late.Stop()
			m.log.Info("command started", "after", time.Since(start).Round(time.Millisecond))
		case <-late.C:
			return 0, fmt.Errorf("the machine did not boot within %v", bootWait)
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// explain adds what QEMU said, and the end of what the kernel said.
func (m *machine) explain(err error) error {
	if m.said.Len() > 0 {
		err = fmt.Errorf("%w; QEMU said: %s", err, bytes.TrimSpace(m.said.Bytes()))
	}
	if len(m.console) > 0 {
		err = fmt.Errorf("%w; its kernel said last:\n%s", err, m.console)
	}
	return err
}

// start starts QEMU with its ports connected.
func (m *machine) start() error {
	m.qemu = exec.Command("qemu-system-x86_64", m.args()...)
	// Ctrl-C is for us only, and we end QEMU.
	m.qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	m.qemu.Stderr = &m.said
	if err := m.connect(); err != nil {
		return err
	}
	if err := m.qemu.Start(); err != nil {
		return fmt.Errorf("start the machine: %w", err)
	}
	for _, f := range m.qemu.ExtraFiles {
		if f != m.root {
			f.Close() // QEMU's now; if it stayed open, its other end would never end
		}
	}
	return nil
}

// connect gives QEMU one end of a socket for each port, from descriptor 3 on,
// and joins the other ends with our own streams.
func (m *machine) connect() error {
	for _, port := range sockets() {
		ours, theirs, err := socketPair(port)
		if err != nil {
			return err
		}
		m.qemu.ExtraFiles = append(m.qemu.ExtraFiles, theirs)
		m.closer = append(m.closer, ours)
		switch port {
		case "status":
			m.status = ours
		case "stdin":
			go m.feed(ours) // ends with our input, or with the process
		case "stdout":
			m.copy(os.Stdout, ours)
		case "stderr":
			m.copy(os.Stderr, ours)
		case "console":
			m.copy(&m.console, ours)
		}
	}
	m.qemu.ExtraFiles = append(m.qemu.ExtraFiles, m.root)
	return nil
}

// feed copies our standard input to the machine. A terminal that is not the
// command's is left alone.
func (m *machine) feed(to *os.File) {
	if m.tty || !isTerminal(os.Stdin) {
		// What the command does not read is lost, as with ssh.
		_, _ = io.Copy(to, os.Stdin)
	}
	raw, err := to.SyscallConn()
	if err != nil {
		return // the machine has ended
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) })
}

// copy forwards an output until QEMU ends.
func (m *machine) copy(to io.Writer, from *os.File) {
	m.copies.Go(func() {
		if _, err := io.Copy(to, from); err != nil {
			m.log.Warn("output is lost", "stream", from.Name(), "err", err)
		}
	})
}

func socketPair(name string) (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket for %s: %w", name, err)
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}

func (m *machine) close() error {
	var errs []error
	for _, c := range m.closer {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// args is QEMU's command line.
func (m *machine) args() []string {
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-smp", strconv.Itoa(m.cpus), "-m", strconv.Itoa(m.memory),
		"-kernel", m.kernel.image, "-initrd", descriptor(len(sockets())),
		"-append", "console=ttyS0 rdinit=" + guestInit + " quiet panic=-1 mitigations=off nokaslr audit=0 apparmor=0",
		"-serial", "chardev:console",
		"-device", "virtio-serial-pci",
		"-device", "virtio-rng-pci",
		"-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
	}
	args = append(args, m.accel...)
	for i, out := range m.outs {
		args = append(args, "-virtfs", fmt.Sprintf("local,path=%s,mount_tag=out%d,security_model=none,multidevs=remap", comma(out), i))
	}
	for i, port := range sockets() {
		args = append(args, "-chardev", fmt.Sprintf("socket,id=%s,fd=%d", port, firstFD+i))
	}
	for i, port := range ports {
		args = append(args, "-device", fmt.Sprintf("virtserialport,chardev=%s,nr=%d,name=%s", port, 1+i, port))
	}
	return args
}

// firstFD is the descriptor of the first of ExtraFiles.
const firstFD = 3

// descriptor is the path of one of ExtraFiles.
func descriptor(i int) string { return fmt.Sprintf("/dev/fd/%d", firstFD+i) }

// sockets names what QEMU has sockets for: the ports and the kernel's console.
func sockets() []string { return append(slices.Clone(ports), "console") }

// tail keeps the last that is written to it.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	const keep = 4000
	*t = append(*t, p...)
	*t = (*t)[max(0, len(*t)-keep):]
	return len(p), nil
}
