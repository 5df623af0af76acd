package agent_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"harmony/bench/lab"
	"harmony/vrrp"
)

// TestLabNotifyAsKeepalived: keepalived and we live the same life, with the
// same names, script, user and FIFO. Each router's and each group's lines are
// the same, in the arguments of the scripts and in the FIFO.
func TestLabNotifyAsKeepalived(t *testing.T) {
	lab.Require(t, "root", "ip", "nft", "keepalived")
	net := lab.New(t)
	ours, theirs := newDiary(t, ""), newDiary(t, "")
	fifo, peerFIFO := openFIFO(t, ours), openFIFO(t, theirs)
	a := newNotifying(t, net, "10.9.0.1/24", ours.settings(fmt.Sprintf(`  notifyFIFO: {path: %s}
  syncGroups:
  - name: all
    notify: {master: master, backup: backup, fault: fault, stop: stop, any: any}
`, fifo.path), "master", "backup", "fault", "stop", "any"), four("edge", "  syncGroup: all\n"+allHooks)+"---\n"+second(four("edge", "  syncGroup: all\n  notify: {any: any}\n")))
	b := net.Node("b", "10.9.0.2/24")
	k := keepalived(t, b, theirs, peerFIFO.path)
	// Each step is told by both before the next.
	step := func(what string, lines int) {
		t.Helper()
		for name, d := range map[string]*diary{"we tell": ours, "keepalived tells": theirs} {
			lab.Poll(t, 20*time.Second, name+" of "+what, func() bool { return len(d.lines()) >= lines })
		}
	}
	each := func(args ...string) {
		t.Helper()
		a.node.Run(t, "ip", args...)
		b.Run(t, "ip", args...)
	}
	step("the start", 10) // five runs for each state of the group
	a.await("is ready", a.ready)
	each("link", "set", "eth0", "down")
	step("the fault", 15)
	each("link", "set", "eth0", "up")
	step("the recovery", 25)
	for _, cmd := range []*exec.Cmd{a.cmd, k} {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	step("the stop", 30)
	<-a.exited
	_ = k.Wait() // by the signal
	// keepalived runs scripts side by side, so that they may overtake each other.
	if diff := cmp.Diff(slices.Sorted(slices.Values(theirs.lines())), slices.Sorted(slices.Values(ours.lines()))); diff != "" {
		t.Errorf("arguments (-keepalived +ours)\n%s", diff)
	}
	told := bySubject(fifo.lines())
	if diff := cmp.Diff(bySubject(peerFIFO.lines()), told); diff != "" {
		t.Errorf("FIFO (-keepalived +ours)\n%s", diff)
	}
	for subject, lines := range bySubject(ours.lines()) {
		for i, l := range lines {
			lines[i] = strings.TrimPrefix(l, "nobody any ")
		}
		unquoted := strings.Split(strings.ReplaceAll(strings.Join(told[subject], "\n"), `"`, ""), "\n")
		if diff := cmp.Diff(unquoted, lines); diff != "" {
			t.Errorf("our scripts are not in the order of events\n%s", diff)
		}
	}
	t.Logf("both said, by subject: %q", told)
}

// bySubject sorts lines with arguments by what they are about.
func bySubject(lines []string) map[string][]string {
	out := map[string][]string{}
	for _, l := range lines {
		words := strings.Fields(l)
		i := slices.IndexFunc(words, func(w string) bool { return w == "INSTANCE" || w == "GROUP" })
		if i >= 0 {
			subject := words[i] + " " + strings.Trim(words[i+1], `"`)
			out[subject] = append(out[subject], l)
		}
	}
	return out
}

// fifo is one that the test reads.
type fifo struct {
	t    *testing.T
	path string
	file *os.File
}

// openFIFO makes a FIFO beside a script, and keeps it open.
func openFIFO(t *testing.T, d *diary) *fifo {
	t.Helper()
	path := filepath.Join(filepath.Dir(d.script), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &fifo{t, path, f}
}

// lines are those that are in it.
func (f *fifo) lines() []string {
	f.t.Helper()
	if err := f.file.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		f.t.Fatal(err)
	}
	var text []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := f.file.Read(buf)
		if text = append(text, buf[:n]...); err != nil {
			return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
		}
	}
}

// TestLabRivalIsTold: a node that was cut off and took over comes back. The
// owner tells of it as keepalived does, but not of each advert.
func TestLabRivalIsTold(t *testing.T) {
	lab.Require(t, "root", "ip", "nft", "keepalived")
	net := lab.New(t)
	ours, theirs := newDiary(t, ""), newDiary(t, "")
	fifo, peerFIFO := openFIFO(t, ours), openFIFO(t, theirs)
	a := newNotifying(t, net, "10.9.0.1/24", ours.settings("  notifyFIFO: {path: "+fifo.path+"}\n", "rival"), four("edge", "  notify: {masterRxLowerPri: rival}\n"))
	keepalived(t, net.Node("k", "10.9.0.3/24"), theirs, peerFIFO.path)
	b := newHost(t, net, "b", "10.9.0.2/24", 100)
	b.write("second.yaml", strings.NewReplacer("vrid: 52", "vrid: 61", "10.9.0.101", "10.9.0.110", "150", "100").Replace(second(four("edge", ""))))
	masters := func(h *host) (n int) {
		s, err := h.status()
		for _, r := range s.Election.Routers {
			if err == nil && r.State == vrrp.Master {
				n++
			}
		}
		return n
	}
	a.await("is master", func() bool { return masters(a) == 1 })
	b.await("has all its routers, as a backup of two", func() bool {
		s, err := b.status()
		return err == nil && len(s.Election.Routers) == 3 && masters(b) == 1
	})
	if err := b.node.Deafen(true); err != nil {
		t.Fatal(err)
	}
	b.await("is master too", func() bool { return masters(b) == 3 })
	if err := b.node.Deafen(false); err != nil {
		t.Fatal(err)
	}
	ours.expect("rival")
	has := func(lines []string, line string) bool { return slices.Contains(lines, line) }
	var peer []string
	lab.Poll(t, 10*time.Second, "keepalived tells of its rival", func() bool {
		peer = append(peer, peerFIFO.lines()...)
		return has(theirs.lines(), "nobody rival") && has(peer, `INSTANCE "edge" MASTER_RX_LOWER_PRI 150`)
	})
	if lines := fifo.lines(); !has(lines, `INSTANCE "edge" MASTER_RX_LOWER_PRI 150`) {
		t.Errorf("%q", lines)
	}
}

// keepalived starts one with the routers and groups of TestLabNotifyAsKeepalived.
func keepalived(t *testing.T, n *lab.Node, d *diary, fifo string) *exec.Cmd {
	t.Helper()
	hooks := ""
	for _, h := range []string{"master", "backup", "fault", "stop"} {
		hooks += fmt.Sprintf("\tnotify_%s \"%s %s\"\n", h, d.script, h)
	}
	rival := fmt.Sprintf("\tnotify_master_rx_lower_pri \"%s rival\"\n", d.script)
	anyHook := fmt.Sprintf("\tnotify \"%s any\"\n", d.script)
	instance := func(name string, vrid int, address, hooks string) string {
		return fmt.Sprintf("vrrp_instance %s {\n\tinterface eth0\n\tstate BACKUP\n\tversion 3\n\tvirtual_router_id %d\n\tpriority 150\n\tadvert_int 0.05\n\tvirtual_ipaddress {\n\t\t%s\n\t}\n%s}\n",
			name, vrid, address, hooks)
	}
	conf := "global_defs {\n\tscript_user nobody\n\tenable_script_security\n\tvrrp_notify_fifo " + fifo + "\n}\n" +
		"vrrp_sync_group all {\n\tgroup {\n\t\tedge\n\t\tsecond\n\t}\n" + hooks + anyHook + "}\n" +
		instance("edge", 61, "10.9.0.110/24", hooks+rival+anyHook) + instance("second", 62, "10.9.0.111/24", anyHook)
	dir := t.TempDir()
	path := filepath.Join(dir, "keepalived.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := n.Command(context.Background(), "keepalived", "-n", "-l", "-P", "-f", path, "-p", filepath.Join(dir, "pid"), "-r", filepath.Join(dir, "vrrp.pid"))
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := n.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }) // it may have ended
	return cmd
}
