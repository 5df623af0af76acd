// Vm runs a command where IPVS is: directly when the running kernel has it,
// else in a virtual machine with the distribution's kernel and the host's
// files. In there the command is root, every write stays in memory and
// vanishes, and there is no network but the loopback. Directly it is root too, by
// sudo if need be.
//
//	vm [flags] COMMAND [ARGUMENT...]     exit status, standard streams and terminal are the command's
//	vm [flags]                           a shell
//	vm -fetch                            nothing but get the kernel and try KVM
//	go test -exec vm ./ipvs              any package's tests
//
// It needs QEMU (KVM is used where it works), kmod, dpkg and apt, and fetches the
// kernel's package once into its cache, without installing it. It was tried on
// Debian 12; Ubuntu's kernel packages are handled by the same code, untried.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// exitVM is the exit status for a fault of the machine, not of the command.
const exitVM = 125

type options struct {
	cache   string
	memory  int // MiB
	cpus    int
	timeout time.Duration
	outs    paths
	always  bool
	verbose bool
	fetch   bool
}

// cacheFolder is where the kernel is kept.
func (o options) cacheFolder() (string, error) {
	if o.cache != "" {
		return filepath.Abs(o.cache)
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the kernel: %w", err)
	}
	return filepath.Join(user, "harmony", "vm"), nil
}

// fetchOnly gets the kernel and tries KVM, so that a later run need not wait.
func fetchOnly(ctx context.Context, o options) (int, error) {
	cache, err := o.cacheFolder()
	if err != nil {
		return exitVM, err
	}
	k, err := fetchKernel(ctx, cache)
	if err != nil {
		return exitVM, err
	}
	accelerator(ctx, cache, k, slog.New(slog.DiscardHandler))
	return 0, nil
}

// paths is a flag that may be repeated.
type paths []string

func (p *paths) String() string { return strings.Join(*p, ",") }

func (p *paths) Set(s string) error {
	abs, err := filepath.Abs(s)
	*p = append(*p, abs)
	return err
}

func main() {
	if os.Getpid() == 1 && os.Args[0] == guestInit {
		guest() // does not return
	}
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
	}
	os.Exit(code)
}

func run() (int, error) {
	var o options
	flag.StringVar(&o.cache, "cache", os.Getenv("HARMONY_VM_CACHE"), "folder for the kernel (default: in the user's cache)")
	flag.IntVar(&o.memory, "m", 3072, "memory of the machine, in MiB, files written included")
	flag.IntVar(&o.cpus, "cpus", min(runtime.NumCPU(), 4), "processors")
	flag.DurationVar(&o.timeout, "timeout", 0, "kill the machine after this time (0: never)")
	flag.Var(&o.outs, "out", "existing folder whose writes reach the host (repeatable)")
	flag.BoolVar(&o.always, "always", false, "use the machine even if the running kernel has ip_vs")
	flag.BoolVar(&o.verbose, "v", false, "say what is done, and when")
	flag.BoolVar(&o.fetch, "fetch", false, "only get the kernel and try KVM, where a machine is needed")
	flag.Parse()

	args := flag.Args()
	if len(args) == 0 {
		args = []string{shell()}
	}
	if !o.always && hasIPVS() {
		if o.fetch {
			return 0, nil
		}
		return direct(args)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	if o.fetch {
		return fetchOnly(ctx, o)
	}
	code, err := boot(ctx, o, args)
	if err != nil {
		return exitVM, err
	}
	return code, nil
}

func shell() string {
	if s := os.Getenv("SHELL"); s != "" {
		return s
	}
	return "/bin/sh"
}

// hasIPVS also makes the kernel load it where it can.
func hasIPVS() bool {
	const table = "/proc/net/ip_vs"
	if _, err := os.Stat(table); err == nil {
		return true
	}
	// The answer is whether the table is there then.
	_ = exec.Command("modprobe", "-q", "ip_vs").Run()
	_, err := os.Stat(table)
	return err == nil
}

// direct replaces this process by the command, as root.
func direct(args []string) (int, error) {
	if os.Geteuid() != 0 {
		// sudo has a PATH of its own.
		args = append([]string{"sudo", "-E", "env", "PATH=" + os.Getenv("PATH")}, args...)
	}
	path, err := findCommand(args[0])
	if err != nil {
		return exitVM, err
	}
	return exitVM, syscall.Exec(path, args, os.Environ())
}

// findCommand finds a program as the shell does, in the working folder too if
// PATH says so.
func findCommand(name string) (string, error) {
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrDot) {
		err = nil
	}
	return path, err
}
