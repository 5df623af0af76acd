package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// killOne kills the process that elects: Harmony's parent, keepalived's child.
func (p *pair) killOne() error {
	pid := p.procA.Process.Pid
	if kids := children(pid); p.onA.name() == "keepalived" && len(kids) > 0 {
		pid = kids[0]
	}
	return kill(pid)
}

// killAll kills the process and its children at the same moment, the children
// first.
func (p *pair) killAll() error {
	pid := p.procA.Process.Pid
	for _, child := range children(pid) {
		if err := kill(child); err != nil {
			return err
		}
	}
	return kill(pid)
}

// killCgroup does what a supervisor does whose patience is at its end: it kills
// the control group, in which nothing can run any code in between.
func (p *pair) killCgroup() error {
	root, err := cgroups()
	if err != nil {
		return err
	}
	group, err := os.MkdirTemp(root, "harmony-bench-")
	if err != nil {
		return fmt.Errorf("control group: %w", err)
	}
	for _, pid := range family(p.procA.Process.Pid) {
		if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
			return fmt.Errorf("control group: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(group, "cgroup.kill"), []byte("1"), 0o600); err != nil {
		return fmt.Errorf("control group: %w", err)
	}
	<-p.endA
	p.groups = append(p.groups, group)
	return nil
}

// cgroups is where the unified hierarchy of control groups is mounted.
func cgroups() (string, error) {
	data, err := os.ReadFile("/proc/mounts")
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			return f[1], nil
		}
	}
	return "", errors.Join(errors.New("no cgroup2 is mounted"), err)
}

func kill(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// children are the processes that any thread of pid has started.
func children(pid int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			n, _ := strconv.Atoi(strings.Split(path, "/")[2])
			pids = append(pids, n)
		}
	}
	return pids
}
