package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
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
