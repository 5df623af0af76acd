package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"harmony/agent"
	"harmony/bench/lab"
	"harmony/source"
	"harmony/vrrp"
)

// tracked is the router of these tests with what it tracks.
func tracked(priority int, track string) string {
	return router(priority) + "  track:\n    - " + track + "\n"
}

// declare writes a shell script and returns the Settings that declare it.
// Its text may use $DIR, the folder dir, where everybody may write.
func declare(t *testing.T, name, text string) (settings, dir string) {
	t.Helper()
	safe, dir := lab.Folder(t), lab.Folder(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(safe, name)
	if err := os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\nDIR=%s\n%s\n", dir, text), 0o755); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`apiVersion: kaas.harmony/v1alpha1
kind: Settings
metadata: {name: default}
spec:
  scripts:
    - {name: %s, command: [%s], user: nobody}
`, name, path), dir
}

// states are the states of the router's families, such as "MASTER MASTER".
func (h *host) states() string {
	s, err := h.status()
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, r := range s.Election.Routers {
		out = append(out, r.State.String())
	}
	return strings.Join(out, " ")
}

// tracker is the only one of the status.
func (h *host) tracker() agent.TrackerStatus {
	s, err := h.status()
	if err != nil || len(s.Worker.Trackers) != 1 {
		return agent.TrackerStatus{}
	}
	return s.Worker.Trackers[0]
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestLabScriptMovesTheAddress: a script lowers the priority while it fails,
// runs as its user, and the peer takes over and gives back.
func TestLabScriptMovesTheAddress(t *testing.T) {
	lab.Require(t, "root")
	settings, dir := declare(t, "chk", "id -un >$DIR/user\n[ ! -e $DIR/bad ] || { echo it is bad; exit 7; }")
	n := lab.New(t)
	a := tracking(t, n, "a", "10.9.0.1/24", map[string]string{
		"settings.yaml": settings,
		"router.yaml":   tracked(150, "{name: app, script: chk, weight: -100, interval: 50ms, timeout: 5s, rise: 2, fall: 2}"),
	})
	a.await("owns the addresses", a.owns)
	b := newHost(t, n, "b", "10.9.0.2/24", 100)
	b.await("is ready", b.ready)
	if who, err := os.ReadFile(filepath.Join(dir, "user")); err != nil || string(who) != "nobody\n" {
		t.Errorf("the script runs as %q: %v", who, err)
	}
	touch(t, filepath.Join(dir, "bad"))
	b.await("took over", b.owns)
	a.await("gave up", a.clean)
	a.await("says why", func() bool {
		s, err := a.status()
		return err == nil && strings.Contains(s.Election.Routers[0].Why, "10.9.0.2 advertises 100, I have 50 = 150 − 100 (track app down)")
	})
	if tr := a.tracker(); tr.Up || tr.LastError != "exit status 7: it is bad" || tr.Check != "script chk" {
		t.Errorf("tracker: %+v", tr)
	}
	remove(t, filepath.Join(dir, "bad"))
	a.await("took back", a.owns)
}

// tracking starts an agent with the files in its folder.
func tracking(t *testing.T, n *lab.Net, name, addr string, files map[string]string, change ...func(*host)) *host {
	t.Helper()
	h := &host{t: t, node: n.Node(name, addr), dir: agent.RunDir(t.TempDir()), from: t.TempDir()}
	h.mac = linkAddress(t, h.node)
	for _, f := range change {
		f(h)
	}
	for file, text := range files {
		h.write(file, text)
	}
	h.start()
	t.Cleanup(func() { // before the folders go
		_ = h.cmd.Process.Kill() // it may have ended
		<-h.exited
	})
	return h
}

// TestLabFaultTracker: without weight a tracker takes the node out; a worker
// that is killed meanwhile, a reload, and an edit of the tracker change nothing.
func TestLabFaultTracker(t *testing.T) {
	lab.Require(t, "root")
	dir := lab.Folder(t)
	good := filepath.Join(dir, "good")
	track := "{name: app, file: {path: " + good + "}, interval: 50ms}"
	h := tracking(t, lab.New(t), "a", "10.9.0.1/24", map[string]string{"router.yaml": tracked(150, track)})
	h.await("is in FAULT from the start", func() bool { return h.states() == "FAULT FAULT" })
	if s, _ := h.status(); !strings.HasPrefix(s.Election.Routers[0].Why, "FAULT: track app: stat "+good) || !h.clean() {
		t.Errorf("why: %s", s.Election.Routers[0].Why)
	}
	touch(t, good)
	h.await("owns the addresses", h.owns)
	h.await("is ready", h.ready)
	before, _ := h.status()
	same := func(after string) {
		t.Helper()
		s, err := h.status()
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range s.Election.Routers {
			if r.State != vrrp.Master || r.Since != before.Election.Routers[i].Since {
				t.Errorf("%s: %v is %v since %v", after, r.Router.Key, r.State, r.Since)
			}
		}
	}
	h.kill(before.Worker.PID)
	h.await("has a new worker", func() bool {
		s, err := h.status()
		return err == nil && s.Worker.PID != before.Worker.PID && s.Worker.Ready
	})
	same("a new worker")
	h.write("router.yaml", tracked(150, strings.Replace(track, "50ms", "60ms", 1)+"\n    - {name: more, file: {path: /}}"))
	h.await("has the edit", func() bool {
		s, err := h.status()
		return err == nil && len(s.Worker.Trackers) == 2 && s.Worker.Trackers[1].Known
	})
	same("an edit")
	remove(t, good)
	h.await("is in FAULT", func() bool { return h.states() == "FAULT FAULT" && h.clean() })
	s, _ := h.status()
	h.kill(s.Worker.PID)
	h.await("has another worker", func() bool {
		now, err := h.status()
		return err == nil && now.Worker.PID != s.Worker.PID && now.Worker.Ready
	})
	if got := h.states(); got != "FAULT FAULT" {
		t.Errorf("with a new worker: %s", got)
	}
}

// TestLabHangingAndInsecureScripts: one that hangs is ended with all that it
// started, one that others may change does not run; both count as down.
func TestLabHangingAndInsecureScripts(t *testing.T) {
	lab.Require(t, "root")
	settings, dir := declare(t, "chk", `trap "" TERM; sh -c 'echo $$ >'$DIR'/child; trap "" TERM; while :; do sleep 1; done'`)
	h := tracking(t, lab.New(t), "a", "10.9.0.1/24", map[string]string{
		"settings.yaml": settings,
		"router.yaml":   tracked(150, "{name: app, script: chk, interval: 200ms, timeout: 100ms, fall: 1}"),
	})
	h.await("says that it timed out", func() bool { return h.tracker().LastError == "timed out" })
	child, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	h.write("router.yaml", router(150)) // no more children
	h.await("ended the child", func() bool {
		_, err := os.Stat("/proc/" + strings.TrimSpace(string(child)))
		return os.IsNotExist(err)
	})
	if err := os.WriteFile(filepath.Join(dir, "chk"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(settings, "command: [")
	path, _, _ := strings.Cut(line, "]")
	h.write("settings.yaml", strings.Replace(settings, path, filepath.Join(dir, "chk"), 1))
	h.write("router.yaml", tracked(150, "{name: app, script: chk, interval: 200ms}"))
	h.await("refuses to run it", func() bool {
		return strings.Contains(h.tracker().LastError, "script chk is not run: "+dir+" is a folder that everybody may write to")
	})
	s, _ := h.status()
	if !slices.ContainsFunc(s.Worker.Source.Problems, func(p source.Problem) bool {
		return p.Severity == source.Error && p.Code == source.CodeInsecure && p.Field == "spec.scripts[0].command"
	}) {
		t.Errorf("problems: %v", s.Worker.Source.Problems)
	}
}

// TestLabUnitRunsScripts: with the capabilities that the systemd unit leaves, a
// script runs as its user and can be ended.
func TestLabUnitRunsScripts(t *testing.T) {
	lab.Require(t, "root", "setpriv")
	unit, err := os.ReadFile("../manifests/systemd/harmony.service")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(unit), "\nCapabilityBoundingSet=")
	line, _, _ := strings.Cut(rest, "\n")
	if !ok || !strings.Contains(string(unit), "\nNoNewPrivileges=yes\n") {
		t.Fatal("the unit has changed; so must this test")
	}
	bounding := "-all"
	for capability := range strings.FieldsSeq(line) {
		bounding += ",+" + strings.ToLower(strings.TrimPrefix(capability, "CAP_"))
	}
	binary, err := harmony()
	if err != nil {
		t.Fatal(err)
	}
	confined := filepath.Join(t.TempDir(), "harmony")
	text := fmt.Sprintf("#!/bin/sh\nexec setpriv --bounding-set=%s --no-new-privs %s \"$@\"\n", bounding, binary)
	if err := os.WriteFile(confined, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	settings, dir := declare(t, "chk", "id -un >$DIR/user; sleep 60")
	h := tracking(t, lab.New(t), "a", "10.9.0.1/24", map[string]string{
		"settings.yaml": settings,
		"router.yaml":   tracked(150, "{name: app, script: chk, weight: -10, interval: 500ms, timeout: 300ms}"),
	}, func(h *host) { h.binary = confined })
	h.await("says that it timed out", func() bool { return h.tracker().LastError == "timed out" })
	if who, err := os.ReadFile(filepath.Join(dir, "user")); err != nil || string(who) != "nobody\n" {
		t.Errorf("the script runs as %q: %v", who, err)
	}
}

// TestLabTrackers: each other kind of tracker against the real thing.
func TestLabTrackers(t *testing.T) {
	lab.Require(t, "root", "nginx")
	h := tracking(t, lab.New(t), "a", "10.9.0.1/24", map[string]string{"router.yaml": tracked(150,
		"{name: nginx, weight: 1, interval: 100ms, nginx: {}}\n"+
			"    - {name: number, weight: 2, interval: 100ms, file: {path: /proc/sys/net/ipv4/conf/lo/forwarding, content: Number}}\n"+
			"    - {name: agent, weight: 1, interval: 100ms, process: {name: harmony}}\n"+
			"    - {name: pid, weight: 1, interval: 100ms, process: {pidFile: /no/such}}\n"+
			"    - {name: http, weight: 1, interval: 100ms, http: {url: 'http://127.0.0.1:9650/healthz'}}\n"+
			"    - {name: tcp, weight: 1, interval: 100ms, tcp: {address: 127.0.0.1, port: 9650}}\n"+
			"    - {name: grpc, weight: 1, interval: 100ms, grpc: {address: 127.0.0.1, port: 9650}}\n"+
			"    - {name: api, weight: 1, interval: 100ms, kubeAPIServer: {}}")})
	up := func() string {
		s, err := h.status()
		if err != nil {
			return err.Error()
		}
		var names []string
		for _, tr := range s.Worker.Trackers {
			if tr.Known && tr.Up {
				names = append(names, tr.Name)
			}
		}
		return strings.Join(names, " ")
	}
	h.await("sees what is there", func() bool { return up() == "number agent http tcp" })
	supervisor := h.supervise()
	h.await("sees NGINX", func() bool { return up() == "nginx number agent http tcp" })
	s, _ := h.status()
	h.kill(supervisor)
	h.signal(syscall.SIGTERM, s.Worker.NGINX.PID) // its workers end with it, as they do not when it is killed
	h.await("sees NGINX go", func() bool { return up() == "number agent http tcp" })
}

// supervise runs NGINX's supervisor on the host and returns its process.
func (h *host) supervise() int {
	h.t.Helper()
	path, err := harmony()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := h.node.Command(h.t.Context(), path, "nginx", "--run-dir", string(h.dir))
	cmd.Stderr = h.t.Output()
	if err := h.node.Start(cmd); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// TestLabRestartInheritsWithTrackers: a restart alone in the network waits for
// the first results, slow ones too, and then goes on without a loss.
func TestLabRestartInheritsWithTrackers(t *testing.T) {
	lab.Require(t, "root", "ip", "nft")
	settings, _ := declare(t, "chk", "sleep 0.5")
	n := lab.New(t)
	a := tracking(t, n, "a", "10.9.0.1/24", map[string]string{
		"settings.yaml": settings,
		"router.yaml":   tracked(150, "{name: app, script: chk, interval: 1s}"),
	})
	a.await("owns the addresses", a.owns)
	a.await("is ready", a.ready)
	load := ask(t, n, a)
	begin := time.Now()
	a.restart()
	a.start()
	a.await("is master", a.master)
	a.await("is ready", a.ready)
	end := time.Now()
	lab.Poll(t, 5*time.Second, "all probes are settled", func() bool { return load.Settled(end) })
	if w := load.Window("udp", begin, end); w.Lost > 0 {
		t.Errorf("%d of %d datagrams lost, dark for %v", w.Lost, w.Sent, w.Dark)
	}
	if s, _ := a.status(); len(s.Worker.Trackers) != 1 || !s.Worker.Trackers[0].Up {
		t.Errorf("trackers: %+v", s.Worker.Trackers)
	}
}
