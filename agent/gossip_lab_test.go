package agent_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"harmony/agent"
	"harmony/bench/lab"
	"harmony/vrrp"
)

const gossipKey = "0123456789abcdef0123456789abcdef"

// gossipRouter is router by gossip, under an id wider than a VRID, and the
// Settings for it.
func gossipRouter(priority int) string {
	return strings.Replace(router(priority), "vrid: 51", "vrid: 4711\n  transport: {mode: Gossip}", 1) + `---
apiVersion: kaas.harmony/v1alpha1
kind: Settings
metadata: {name: default}
spec: {gossip: {join: [10.9.0.1, 10.9.0.2], keys: [{name: gossip, key: key}]}}
---
apiVersion: v1
kind: Secret
metadata: {name: gossip, namespace: default}
stringData: {key: ` + gossipKey + `}
`
}

// gossipPair is two agents that hear each other by gossip only.
func gossipPair(t *testing.T) (n *lab.Net, a, b *host) {
	lab.Require(t, "root", "ip", "nft", "tcpdump")
	n = lab.New(t)
	a, b = prepareHost(t, n, "a", "10.9.0.1/24", 150), prepareHost(t, n, "b", "10.9.0.2/24", 100)
	a.write("router.yaml", gossipRouter(150))
	b.write("router.yaml", gossipRouter(100))
	a.start()
	b.start()
	a.await("owns the addresses, and is heard", func() bool { return a.owns() && b.clean() && b.hears("a") })
	a.await("is ready", a.ready)
	b.await("is ready", b.ready)
	return n, a, b
}

// hears says whether all routers are backups of that node.
func (h *host) hears(owner string) bool {
	s, err := h.status()
	if err != nil || len(s.Election.Routers) != 2 {
		return false
	}
	for _, r := range s.Election.Routers {
		if r.State != vrrp.Backup || r.Owner.Name != owner {
			return false
		}
	}
	return true
}

// TestLabGossip: hand-overs and a rotation of the key under load lose nothing,
// no advert is on the wire, and no key is where it does not belong.
func TestLabGossip(t *testing.T) {
	n, a, b := gossipPair(t)
	load := ask(t, n, a, b)
	wire := b.node.Command(t.Context(), "tcpdump", "-l", "-n", "-i", "eth0", "ip proto 112 or ip6 proto 112")
	seen, err := os.Create(filepath.Join(t.TempDir(), "wire"))
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Close()
	wire.Stdout = seen
	if err := b.node.Start(wire); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	order := func(h *host, req agent.Request) agent.Response {
		t.Helper()
		resp, err := agent.Ask(t.Context(), h.dir, req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	for range 2 {
		order(a, agent.Request{Command: "failover", Router: "edge"})
		a.await("has handed over", func() bool { return b.master() && a.clean() && a.hears("b") })
		if done := order(b, agent.Request{Command: "keys rotate"}).Done; !strings.Contains(done, "is in use") || strings.Contains(done, "not confirmed") {
			t.Errorf("rotate: %s", done)
		}
		order(a, agent.Request{Command: "failover", Router: "edge", Undo: true})
		a.await("has taken back", func() bool { return a.master() && b.clean() && b.hears("a") })
	}
	end := time.Now()
	lab.Poll(t, 5*time.Second, "all probes are settled", func() bool { return load.Settled(end) })
	w := load.Window("udp", begin, end)
	t.Logf("%d of %d datagrams lost in 4 hand-overs and 2 rotations", w.Lost, w.Sent)
	if w.Lost > 0 {
		t.Errorf("%d of %d datagrams lost, dark for %v", w.Lost, w.Sent, w.Dark)
	}
	if text, err := os.ReadFile(seen.Name()); err != nil || len(text) > 0 {
		t.Errorf("adverts on the wire, or %v:\n%s", err, text)
	}
	keys := order(a, agent.Request{Command: "keys list"}).Gossip.Keys
	if len(keys) != 3 || keys[0].Generation != 2 || keys[2].Expires.IsZero() {
		t.Errorf("keys: %+v", keys)
	}
	keysStayHidden(t, a)
}

// keysStayHidden looks for the key in the status and in the run folder.
func keysStayHidden(t *testing.T, h *host) {
	t.Helper()
	var status strings.Builder
	s, err := h.status()
	if err == nil {
		err = agent.WriteJSON(&status, s)
	}
	if err != nil || strings.Contains(status.String(), gossipKey) {
		t.Errorf("the status shows the key, or %v", err)
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(gossipKey))
	err = filepath.WalkDir(string(h.dir), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !strings.Contains(string(text), gossipKey) && !strings.Contains(string(text), encoded) {
			return nil
		}
		if name := d.Name(); name != "gossip.json" && name != "snapshot.json" || info.Mode().Perm() != 0o600 {
			t.Errorf("%s (%v) has the key", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestLabGossipElectorKilled: the worker gives the routers up by gossip, and
// the next life of the node is heard again.
func TestLabGossipElectorKilled(t *testing.T) {
	_, a, b := gossipPair(t)
	s, _ := a.status()
	a.kill(s.Election.PID)
	b.await("took over", b.master)
	taken, _ := b.status()
	for _, r := range taken.Election.Routers {
		if r.Cause != vrrp.PeerReleased {
			t.Errorf("%v took over by %v: %s", r.Router.Key, r.Cause, r.Why)
		}
	}
	a.await("has surrendered", a.clean)
	<-a.exited
	a.start()
	a.await("took the addresses back", func() bool { return a.owns() && b.clean() && b.hears("a") })
}
