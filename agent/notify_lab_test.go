package agent_test

import (
	"bufio"
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

	"harmony/agent"
	"harmony/bench/lab"
)

// diary is a notify script, and the file in which it writes a line for each
// run: who ran it, and its arguments.
type diary struct {
	t            *testing.T
	script, file string
	want         []string
}

// newDiary's script runs more, which has the file in $0 and may exit, when it
// has written.
func newDiary(t *testing.T, more string) *diary {
	t.Helper()
	dir, open := lab.Folder(t), lab.Folder(t)
	d := &diary{t: t, script: filepath.Join(dir, "notify.sh"), file: filepath.Join(open, "diary")}
	text := fmt.Sprintf("#!/bin/sh\necho $(id -un) $* >>%s\n%s\n", d.file, more)
	if err := os.WriteFile(d.script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	return d
}

// lines are what was written.
func (d *diary) lines() []string {
	d.t.Helper()
	text, err := os.ReadFile(d.file)
	if err != nil && !os.IsNotExist(err) {
		d.t.Fatal(err)
	}
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
}

// expect waits until the script has written these lines, too, each run by user
// nobody, and nothing else.
func (d *diary) expect(lines ...string) {
	d.t.Helper()
	for _, l := range lines {
		d.want = append(d.want, "nobody "+l)
	}
	deadline := time.Now().Add(15 * time.Second)
	for len(d.lines()) < len(d.want) && time.Now().Before(deadline) {
		passes(d.t, 10*time.Millisecond)
	}
	if diff := cmp.Diff(d.want, d.lines()); diff != "" {
		d.t.Fatal(diff)
	}
}

// settings declares the script once with each argument.
func (d *diary) settings(more string, args ...string) string {
	text := "apiVersion: kaas.harmony/v1alpha1\nkind: Settings\nmetadata: {name: default}\nspec:\n  scripts:\n"
	for _, arg := range args {
		text += fmt.Sprintf("  - {name: %s, command: [%s, %s], user: nobody, timeout: 500ms}\n", arg, d.script, arg)
	}
	return text + more
}

// four is a router in IPv4 alone.
func four(name, spec string) string {
	return strings.NewReplacer(`, "fd09::100/64"`, "", "{name: edge}", "{name: "+name+"}").Replace(router(150)) + spec
}

const allHooks = "  notify: {master: master, backup: backup, fault: fault, stop: stop, any: any}\n"

// newNotifying is a host whose routers and settings are there from the start.
func newNotifying(t *testing.T, net *lab.Net, addr, settings, router string) *host {
	h := &host{t: t, node: net.Node("a", addr), dir: agent.RunDir(t.TempDir()), from: t.TempDir()}
	h.write("settings.yaml", settings)
	h.write("router.yaml", router)
	h.start()
	t.Cleanup(func() { // before the folders go
		_ = h.cmd.Process.Kill() // it may have ended
		<-h.exited
	})
	return h
}

// failover moves router edge away, or back.
func (h *host) failover(undo bool) {
	h.t.Helper()
	if _, err := agent.Ask(h.t.Context(), h.dir, agent.Request{Command: "failover", Router: "edge", Undo: undo}); err != nil {
		h.t.Fatal(err)
	}
}

// TestLabNotify is a life: each script has the right arguments and user, and
// comes in its order.
func TestLabNotify(t *testing.T) {
	lab.Require(t, "root", "ip", "nft")
	d, net := newDiary(t, ""), lab.New(t)
	a := newNotifying(t, net, "10.9.0.1/24", d.settings("", "master", "backup", "fault", "stop", "any"), four("edge", allHooks))
	d.expect("backup", "any INSTANCE edge BACKUP 150", "master", "any INSTANCE edge MASTER 150")
	a.await("is ready", a.ready)
	b := newHost(t, net, "b", "10.9.0.2/24", 100)
	b.await("is ready", b.ready)
	a.failover(false)
	d.expect("backup", "any INSTANCE edge BACKUP 1")
	a.failover(true)
	d.expect("master", "any INSTANCE edge MASTER 150")
	a.node.Run(t, "ip", "link", "set", "eth0", "down")
	d.expect("fault", "any INSTANCE edge FAULT 150")
	a.node.Run(t, "ip", "link", "set", "eth0", "up")
	d.expect("backup", "any INSTANCE edge BACKUP 150", "master", "any INSTANCE edge MASTER 150")
	a.signal(syscall.SIGHUP, a.cmd.Process.Pid)
	a.await("has read its source again", func() bool { s, err := a.status(); return err == nil && s.Worker.Source.Reloads > 1 })
	a.signal(syscall.SIGTERM, a.cmd.Process.Pid)
	<-a.exited
	d.expect("stop", "any INSTANCE edge STOP 150")
}

// TestLabHungScript: it is ended by its timeout, with all that it has started;
// meanwhile other routers are told, and afterwards nothing has been left out.
func TestLabHungScript(t *testing.T) {
	lab.Require(t, "root", "ip", "nft")
	d, net := newDiary(t, `[ $1 != hang ] || sleep 60`), lab.New(t)
	text := four("edge", "  notify: {any: hang}\n") + "---\n" + second(four("edge", "  notify: {any: any}\n"))
	a := newNotifying(t, net, "10.9.0.1/24", d.settings("", "hang", "any"), text)
	a.await("has told everything", func() bool { return len(d.lines()) == 4 })
	want := []string{"any INSTANCE second BACKUP 150", "any INSTANCE second MASTER 150", "hang INSTANCE edge BACKUP 150", "hang INSTANCE edge MASTER 150"}
	got := d.lines()
	if at := slices.Index(got, "nobody "+want[1]); at == 3 {
		t.Error("the second router has waited for the first one's script")
	}
	slices.Sort(got)
	for i := range want {
		want[i] = "nobody " + want[i]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	a.await("counts both", func() bool {
		s, err := a.status()
		if err != nil || len(s.Worker.Notify.Scripts) != 2 {
			return false
		}
		c := s.Worker.Notify.Scripts[1]
		return c.Name == "hang" && c.TimedOut == 2 && c.LastFailure != nil && strings.Contains(c.LastFailure.Error, "timed out after 500ms")
	})
	lab.Poll(t, 5*time.Second, "no script is left", func() bool { return exec.Command("pgrep", "-f", d.script).Run() != nil })
}

// TestLabWorkerKilledWhileTelling: what the dead worker had told is not told
// again, what it was telling is, and so is what happened meanwhile.
func TestLabWorkerKilledWhileTelling(t *testing.T) {
	lab.Require(t, "root", "ip", "nft")
	d, net := newDiary(t, `[ $4 != FAULT ] || sleep 60`), lab.New(t)
	settings := strings.ReplaceAll(d.settings("", "any"), "500ms", "1h")
	a := newNotifying(t, net, "10.9.0.1/24", settings, four("edge", "  notify: {any: any}\n"))
	d.expect("any INSTANCE edge BACKUP 150", "any INSTANCE edge MASTER 150")
	a.await("is ready", a.ready)
	before, _ := a.status()
	a.node.Run(t, "ip", "link", "set", "eth0", "down")
	d.expect("any INSTANCE edge FAULT 150")
	if err := os.WriteFile(d.script, fmt.Appendf(nil, "#!/bin/sh\necho $(id -un) $* >>%s\n", d.file), 0o755); err != nil {
		t.Fatal(err)
	}
	a.kill(before.Worker.PID)
	lab.Poll(t, 5*time.Second, "the script has ended with the worker", func() bool { return exec.Command("pgrep", "-f", d.script).Run() != nil })
	a.node.Run(t, "ip", "link", "set", "eth0", "up")
	d.expect("any INSTANCE edge FAULT 150", "any INSTANCE edge BACKUP 150", "any INSTANCE edge MASTER 150")
	after, err := a.status()
	if err != nil || after.Worker.PID == before.Worker.PID || after.Election.Untold != 0 {
		t.Errorf("%v, worker %d, untold %d", err, after.Worker.PID, after.Election.Untold)
	}
}

// TestLabElectorKilledIsTold: the surrender of its routers is the end of them.
func TestLabElectorKilledIsTold(t *testing.T) {
	lab.Require(t, "root", "ip", "nft")
	d, net := newDiary(t, ""), lab.New(t)
	a := newNotifying(t, net, "10.9.0.1/24", d.settings("", "any"), four("edge", "  notify: {any: any}\n"))
	d.expect("any INSTANCE edge BACKUP 150", "any INSTANCE edge MASTER 150")
	a.await("is ready", a.ready)
	a.kill(a.cmd.Process.Pid)
	d.expect("any INSTANCE edge STOP 150")
}

// TestLabNotifyGroupAndFIFO: a sync group is told as a whole, and the FIFO has a
// line for everything. Of the two families of a router each is told.
func TestLabNotifyGroupAndFIFO(t *testing.T) {
	lab.Require(t, "root", "ip", "nft")
	d, net := newDiary(t, ""), lab.New(t)
	fifo := filepath.Join(filepath.Dir(d.script), "fifo")
	a := newNotifying(t, net, "10.9.0.1/24",
		d.settings("  notifyFIFO: {path: "+fifo+"}\n  syncGroups:\n  - name: all\n    notify: {master: master, backup: backup, fault: fault, any: any}\n", "master", "backup", "fault", "any"),
		router(150)+"  syncGroup: all\n  notify: {any: any}\n")
	f, err := os.OpenFile(fifo, os.O_RDWR, 0)
	for deadline := time.Now().Add(15 * time.Second); err != nil && time.Now().Before(deadline); {
		passes(t, 10*time.Millisecond)
		f, err = os.OpenFile(fifo, os.O_RDWR, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a.await("is ready", a.ready)
	a.await("is master", a.master)
	a.node.Run(t, "ip", "link", "set", "eth0", "down")
	of := func(name string) (list []string) {
		for _, l := range d.lines() {
			if strings.Contains(l, "INSTANCE "+name+" ") || name == "all" && !strings.Contains(l, "INSTANCE") {
				list = append(list, strings.TrimPrefix(l, "nobody "))
			}
		}
		return list
	}
	a.await("has told of the fault", func() bool { return len(of("all")) == 6 && len(of("edge/IPv4")) == 3 && len(of("edge/IPv6")) == 3 })
	for name, want := range map[string][]string{
		"edge/IPv4": {"any INSTANCE edge/IPv4 BACKUP 150", "any INSTANCE edge/IPv4 MASTER 150", "any INSTANCE edge/IPv4 FAULT 150"},
		"edge/IPv6": {"any INSTANCE edge/IPv6 BACKUP 150", "any INSTANCE edge/IPv6 MASTER 150", "any INSTANCE edge/IPv6 FAULT 150"},
		"all":       {"backup", "any GROUP all BACKUP 0", "master", "any GROUP all MASTER 0", "fault", "any GROUP all FAULT 0"},
	} {
		if diff := cmp.Diff(want, of(name)); diff != "" {
			t.Error(diff)
		}
	}
	var lines []string
	for in := bufio.NewScanner(f); len(lines) < 9 && in.Scan(); {
		lines = append(lines, in.Text())
	}
	instances := map[string][]string{}
	for _, l := range lines {
		words := strings.Fields(l)
		instances[words[1]] = append(instances[words[1]], words[0]+" "+words[2]+" "+words[3])
	}
	want := map[string][]string{
		`"edge/IPv4"`: {"INSTANCE BACKUP 150", "INSTANCE MASTER 150", "INSTANCE FAULT 150"},
		`"edge/IPv6"`: {"INSTANCE BACKUP 150", "INSTANCE MASTER 150", "INSTANCE FAULT 150"},
		`"all"`:       {"GROUP BACKUP 0", "GROUP MASTER 0", "GROUP FAULT 0"},
	}
	if diff := cmp.Diff(want, instances); diff != "" {
		t.Errorf("%s\nin\n%s", diff, strings.Join(lines, "\n"))
	}
}
