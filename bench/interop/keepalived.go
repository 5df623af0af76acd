package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// keepalived is the one of this machine, or that of a root folder.
type keepalived struct {
	setup
	root string // "": this machine's
	out  output
	proc *process
}

func (k *keepalived) start(context.Context) (err error) {
	if k.proc != nil {
		if err := k.proc.wait(20 * time.Second); err != nil {
			return err
		}
	}
	if err := k.write(k.priority); err != nil {
		return err
	}
	pids := []string{filepath.Join(k.folder, "pid"), filepath.Join(k.folder, "vrrp.pid")}
	for _, p := range pids { // of a killed one
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	name, args := "keepalived", []string{"-n", "-l", "-D", "-P", "-f", k.conf(), "-p", pids[0], "-r", pids[1]}
	if k.root != "" {
		name, args = "chroot", append([]string{k.root, "/usr/sbin/keepalived"}, args...)
	}
	k.proc, err = launch(k.node, &k.out, name, args...)
	return err
}

func (k *keepalived) conf() string { return filepath.Join(k.folder, "keepalived.conf") }

func (k *keepalived) write(priority int) error {
	return os.WriteFile(k.conf(), []byte(k.configuration(priority)), 0o644)
}

func (k *keepalived) configuration(priority int) string {
	text := "global_defs {\n router_id peer\n vrrp_priority -20\n}\n"
	var names []string
	for _, vip := range k.addresses() {
		name := fmt.Sprintf("web%d", familyOf(vip))
		names = append(names, name)
		text += fmt.Sprintf("vrrp_instance %s {\n state BACKUP\n version %d\n interface eth0\n virtual_router_id %d\n priority %d\n advert_int %g\n%s virtual_ipaddress {\n  %v\n }\n}\n",
			name, k.Version, vrid, priority, k.interval().Seconds(), k.options(familyOf(vip)), vip)
	}
	if k.Feature == "sync group" {
		text += "vrrp_sync_group all {\n group {\n  " + strings.Join(names, "\n  ") + "\n }\n}\n"
	}
	return text
}

// options are those of an instance.
func (k *keepalived) options(family int) (text string) {
	if k.Unicast {
		text += fmt.Sprintf(" unicast_src_ip %v\n unicast_peer {\n  %v\n }\n", k.cell.node(2, family), k.cell.node(1, family))
	}
	if k.nopreempt {
		text += " nopreempt\n"
	}
	switch k.Feature {
	case "PASS", "AH":
		text += fmt.Sprintf(" authentication {\n  auth_type %s\n  auth_pass %s\n }\n", k.Feature, password)
	case messageOnly:
		text += " v3_checksum_as_v2\n"
	case "VMAC":
		text += " use_vmac\n"
	}
	return text
}

func (k *keepalived) stop() error { return k.proc.signal(syscall.SIGTERM, false) }
func (k *keepalived) kill() error { return k.proc.signal(syscall.SIGKILL, true) }

func (k *keepalived) pause() error  { return k.proc.signal(syscall.SIGSTOP, true) }
func (k *keepalived) resume() error { return k.proc.signal(syscall.SIGCONT, true) }

// setPriority is a reload.
func (k *keepalived) setPriority(p int) error {
	return errors.Join(k.write(p), k.proc.signal(syscall.SIGHUP, false))
}

func (k *keepalived) ready(context.Context) bool {
	return strings.Count(k.log(), "Entering BACKUP STATE") >= len(k.addresses())
}

func (k *keepalived) complaints(context.Context) []string { return objections(k.log()) }

func (k *keepalived) log() string { return k.out.String() }
