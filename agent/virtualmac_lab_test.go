package agent_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"harmony/bench/lab"
	"harmony/vrrp"
)

// guarded is router with virtual MACs, a firewall and a service.
func guarded(priority int) string {
	return router(priority) + `  virtualMAC: {enabled: true}
  firewall: {mode: Services, allow: [{port: 2222}]}
`
}

// has says whether the node's macvlan has its address, and no other.
func (h *host) has() bool {
	out, err := h.node.Output(h.t.Context(), "ip", "-o", "addr")
	return err == nil && strings.Contains(out, "vrrp.51    inet 10.9.0.100/24") && strings.Contains(out, "vrrp6.51    inet6 fd09::100/64")
}

// bare says whether nothing of ours is left but what others have.
func (h *host) bare() bool {
	out := h.node.Run(h.t, "ip", "-o", "addr") + h.node.Run(h.t, "ip", "-o", "link") + h.node.Run(h.t, "nft", "list", "ruleset") +
		h.node.Run(h.t, "cat", "/proc/sys/net/ipv4/conf/eth0/arp_ignore")
	return !strings.Contains(out, "vrrp") && !strings.Contains(out, "harmony") && strings.HasSuffix(out, "\n0\n")
}

// A node's whole life with virtual MACs and the address firewall: owner, killed,
// swept as a backup, refused beside a foreign device, stopped.
func TestLabVirtualMACAndFirewall(t *testing.T) {
	lab.Require(t, "root", "nft", "ip", "ping", "arping")
	net := lab.New(t)
	a, b := newHost(t, net, "a", "10.9.0.1/24", 150), newHost(t, net, "b", "10.9.0.2/24", 100)
	for h, priority := range map[*host]int{a: 150, b: 100} {
		h.await("is ready", h.ready)
		h.write("router.yaml", guarded(priority))
	}
	a.await("owns by virtual MAC", a.has)
	b.await("is a backup with virtual MAC", func() bool {
		out, err := b.node.Output(t.Context(), "ip", "link", "show", "vrrp.51")
		return err == nil && !b.has() && !strings.Contains(out, ",UP")
	})
	a.await("guards the addresses", func() bool {
		s, err := a.status()
		return err == nil && s.Worker.Ready && fmt.Sprint(s.Worker.Firewall.Addresses) == "[10.9.0.100 fd09::100]"
	})
	if got := a.node.Run(t, "nft", "list", "table", "ip", "harmony-firewall"); !strings.Contains(got, "10.9.0.100 . tcp . 2222") {
		t.Errorf("the firewall is\n%s", got)
	}

	s, _ := a.status()
	a.kill(s.Election.PID, s.Worker.PID)
	<-a.exited
	b.await("took over", b.has)
	// The dead node has device and addresses still, and does not turn the
	// switch back, whoever asks.
	client := net.Node("client", "10.9.0.9/24")
	mac := vrrp.VirtualMAC(vrrp.IPv4, 51)
	for range 5 {
		client.Run(t, "arping", "-c1", "-w2", "-I", "eth0", "10.9.0.100")
		client.Run(t, "ping", "-c1", "-W2", "10.9.0.100")
		if at, err := net.Behind(mac); err != nil || at != "b" {
			t.Errorf("the switch sees %s behind %q, %v", mac, at, err)
		}
	}
	if !a.has() {
		t.Error("the dead node has nothing left to turn the switch with: the test tests nothing")
	}
	a.write("router.yaml", guarded(50))
	a.start()
	a.await("is a backup, and lowers its devices", func() bool {
		out, err := a.node.Output(t.Context(), "ip", "link", "show", "vrrp.51")
		return err == nil && !a.has() && !strings.Contains(out, ",UP")
	})

	a.node.Run(t, "ip", "link", "add", "theirs.51", "type", "veth", "peer", "other")
	a.write("router.yaml", strings.Replace(guarded(50), "enabled: true", "enabled: true, prefix: theirs", 1))
	a.await("is at fault beside a foreign device", func() bool {
		s, err := a.status()
		if err != nil {
			return false
		}
		for _, r := range s.Election.Routers {
			if r.Router.Family == vrrp.IPv4 {
				return r.State == vrrp.Fault && strings.Contains(r.Why, "VirtualRouter edge spec.virtualMAC: device theirs.51 on eth0: there is a device of this name")
			}
		}
		return false
	})
	for _, h := range []*host{a, b} {
		if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if <-h.exited; h.err != nil {
			t.Errorf("exit: %v", h.err)
		}
		lab.Poll(t, 5*time.Second, h.node.Name()+" has left nothing", h.bare)
	}
}
