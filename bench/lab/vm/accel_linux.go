package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// proveWait bounds the proof that KVM works. A kernel that it runs says its
// version within a second.
const proveWait = 10 * time.Second

// The two ways to run the machine. MSR_IA32_ARCH_CAPABILITIES is left out:
// some clouds show it and then refuse that it is set.
var (
	accelKVM = []string{"-accel", "kvm", "-cpu", "host,arch-capabilities=off"}
	accelTCG = []string{"-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"}
)

// accelerator picks KVM where it works. That /dev/kvm can be opened is not
// enough: in some clouds it is there and no machine ever starts. So it is
// proved with the kernel itself, once in the life of the running kernel.
func accelerator(ctx context.Context, cache string, k kernel, log *slog.Logger) []string {
	if unix.Access("/dev/kvm", unix.R_OK|unix.W_OK) != nil {
		return accelTCG
	}
	life, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		log.Warn("the verdict on KVM cannot be kept", "err", err)
	}
	verdict := filepath.Join(cache, "kvm")
	known, _ := os.ReadFile(verdict) // absent: not known yet
	for _, works := range []bool{true, false} {
		if bytes.Equal(known, verdictText(life, works)) {
			return accelOf(works)
		}
	}
	works := proveKVM(ctx, k)
	log.Info("KVM tried", "works", works)
	if ctx.Err() == nil {
		if err := os.WriteFile(verdict, verdictText(life, works), 0o644); err != nil {
			log.Warn("the verdict on KVM cannot be kept", "err", err)
		}
	}
	return accelOf(works)
}

func accelOf(kvm bool) []string {
	if kvm {
		return accelKVM
	}
	return accelTCG
}

func verdictText(life []byte, works bool) []byte {
	return fmt.Appendf(nil, "%s works: %v\n", bytes.TrimSpace(life), works)
}

// proveKVM says whether the kernel runs under KVM as far as its first line.
func proveKVM(ctx context.Context, k kernel) bool {
	runtime.LockOSThread() // Pdeathsig is about the thread that starts QEMU
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithTimeout(ctx, proveWait)
	defer cancel()
	args := append([]string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", "256", "-serial", "stdio",
		"-kernel", k.image, "-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1",
	}, accelKVM...)
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	console, _ := cmd.Output() // without a root it panics, which is the end wanted
	return bytes.Contains(console, []byte("Linux version"))
}
