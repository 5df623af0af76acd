package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// frr is FRR's vrrpd with the zebra that it needs, from a root folder. Its
// macvlan devices are made by hand, as its manual says.
type frr struct {
	setup
	root         string
	out          output
	zebra, vrrpd *process
}

func (f *frr) start(ctx context.Context) (err error) {
	if f.zebra == nil {
		if err := f.prepare(ctx); err != nil {
			return err
		}
	}
	if f.vrrpd != nil {
		if err := f.vrrpd.wait(20 * time.Second); err != nil {
			return err
		}
	}
	if err := f.write("vrrpd.conf", f.configuration()); err != nil {
		return err
	}
	f.vrrpd, err = f.daemon("vrrpd")
	return err
}

func (f *frr) write(name, text string) error {
	return os.WriteFile(filepath.Join(f.folder, name), []byte(text), 0o644)
}

// prepare makes the device and runs zebra. The address is on the device all
// the time, which zebra takes down by protodown; with arp_ignore eth0 does not
// answer for it meanwhile.
func (f *frr) prepare(ctx context.Context) (err error) {
	device, vip := fmt.Sprintf("vrrp%d-2-1", f.Family), f.addresses()[0]
	mac := fmt.Sprintf("00:00:5e:00:%02d:%02x", map[int]int{4: 1, 6: 2}[f.Family], vrid)
	for _, args := range [][]string{
		{"link", "add", device, "link", "eth0", "type", "macvlan", "mode", "bridge"},
		{"link", "set", device, "address", mac},
		{"address", "add", vip.String(), "dev", device, "nodad"},
		{"link", "set", device, "up"},
	} {
		if f.Family == 4 && args[0] == "address" {
			args = args[:len(args)-1]
		}
		if _, err := f.setup.node.Output(ctx, "ip", args...); err != nil {
			return err
		}
	}
	if err := f.setup.node.Sysctl("net.ipv4.conf.all.arp_ignore", "1"); err != nil {
		return err
	}
	if err := f.write("zebra.conf", "hostname peer\n"); err != nil {
		return err
	}
	if f.zebra, err = f.daemon("zebra"); err != nil {
		return err
	}
	return poll(ctx, 10*time.Second, "zebra listens", func() bool {
		_, err := os.Stat(filepath.Join(f.folder, "zserv.api"))
		return err == nil
	})
}

func (f *frr) daemon(name string) (*process, error) {
	file := func(n string) string { return filepath.Join(f.folder, n) }
	return launch(f.setup.node, &f.out, "chroot", f.root, "/usr/lib/frr/"+name, "-u", "root", "-g", "root",
		"-f", file(name+".conf"), "-i", file(name+".pid"), "-z", file("zserv.api"), "--vty_socket", f.folder, "-P", "0", "--log", "stdout")
}

func (f *frr) configuration() string {
	lines := f.settings(f.priority)
	if f.nopreempt {
		lines = append(lines, fmt.Sprintf("no vrrp %d preempt", vrid))
	}
	return "debug vrrp\ninterface eth0\n " + strings.Join(lines, "\n ") + "\n"
}

func (f *frr) settings(priority int) []string {
	family := map[int]string{4: "ip", 6: "ipv6"}[f.Family]
	return []string{
		fmt.Sprintf("vrrp %d version %d", vrid, f.Version),
		fmt.Sprintf("vrrp %d priority %d", vrid, priority),
		fmt.Sprintf("vrrp %d advertisement-interval %d", vrid, f.interval().Milliseconds()),
		fmt.Sprintf("vrrp %d %s %v", vrid, family, f.addresses()[0].Addr()),
	}
}

func (f *frr) stop() error   { return f.vrrpd.signal(syscall.SIGTERM, false) }
func (f *frr) kill() error   { return f.vrrpd.signal(syscall.SIGKILL, false) }
func (f *frr) pause() error  { return f.vrrpd.signal(syscall.SIGSTOP, false) }
func (f *frr) resume() error { return f.vrrpd.signal(syscall.SIGCONT, false) }

func (f *frr) setPriority(p int) error {
	_, err := f.ask("enable", "configure terminal", "interface eth0", fmt.Sprintf("vrrp %d priority %d", vrid, p))
	return err
}

// ask talks to vrrpd as vtysh does: each command ends with a zero byte, each
// answer with three zeros and a status.
func (f *frr) ask(commands ...string) (string, error) {
	conn, err := net.DialTimeout("unix", filepath.Join(f.folder, "vrrpd.vty"), time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	r, last := bufio.NewReader(conn), ""
	for _, c := range commands {
		if _, err := conn.Write(append([]byte(c), 0)); err != nil {
			return "", err
		}
		if last, err = r.ReadString(0); err != nil {
			return "", err
		}
		end := make([]byte, 3)
		for i := range end {
			if end[i], err = r.ReadByte(); err != nil {
				return "", err
			}
		}
		if end[2] != 0 {
			return "", errors.New(c + ": " + strings.TrimRight(last, "\x00"))
		}
	}
	return last, nil
}

func (f *frr) ready(context.Context) bool {
	text, err := f.ask("show vrrp")
	if err != nil {
		return false
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, fmt.Sprintf("Status (v%d)", f.Family)) {
			return !strings.Contains(line, "Initialize")
		}
	}
	return false
}

func (f *frr) complaints(context.Context) []string {
	// Its zebra knows no MPLS here, which is nobody's fault; and vrrpd tells the
	// checksum of each advert that it has found right.
	return objections(f.log(), "MPLS", "crashlog", "Received VRRP Advertisement")
}

func (f *frr) log() string { return f.out.String() }
