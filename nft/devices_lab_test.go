package nft_test

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"harmony/bench/lab"
)

// Nothing leaves a device with a virtual MAC by which the kernel, unasked or
// answering a rival's announcement, would turn the switch back.
func TestLabDevicesTurnNoSwitchBack(t *testing.T) {
	lab.Require(t, "root", "nft", "ip", "tcpdump", "arping", "ping")
	n := lab.New(t)
	node, client := n.Node("node", own4+"/24", own6+"/64"), n.Node("client", "10.0.0.9/24", "fd00::9/64")
	const mac = "00:00:5e:00:01:33"
	device := map[string]net.HardwareAddr{"vrrp.51": {0, 0, 0x5e, 0, 1, 0x33}, "vrrp6.51": {0, 0, 0x5e, 0, 2, 0x33}}
	f := newFence(t, node)
	must(t, f.Devices(device))
	before := generation(t, node)
	must(t, f.Devices(device))
	if after := generation(t, node); after != before {
		t.Errorf("the same again wrote %d transactions", after-before)
	}
	add := func(nd *lab.Node) {
		nd.Run(t, "ip", "link", "add", "vrrp.51", "link", "eth0", "address", mac, "type", "macvlan", "mode", "private")
		nd.Run(t, "ip", "link", "set", "vrrp.51", "up")
		nd.Run(t, "ip", "addr", "add", vip4+"/32", "dev", "vrrp.51")
	}
	must(t, node.Sysctl("net.ipv4.conf.eth0.arp_ignore", "1"))

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	dump := node.Command(ctx, "tcpdump", "-i", "eth0", "-Q", "out", "-n", "-e", "-l", "igmp or icmp6 or arp")
	out, err := dump.StdoutPipe()
	must(t, err)
	stderr, err := dump.StderrPipe()
	must(t, err, node.Start(dump))
	for s := bufio.NewScanner(stderr); s.Scan() && !strings.Contains(s.Text(), "listening"); {
	}
	add(node)
	node.Run(t, "ip", "addr", "add", "224.1.1.1/32", "dev", "vrrp.51", "autojoin")
	node.Run(t, "ip", "addr", "add", "fd00::51/64", "dev", "vrrp.51", "nodad")
	client.Run(t, "ping", "-c1", "-W2", vip4) // its ARP request is answered
	rival := n.Node("rival", "10.0.0.2/24")
	add(rival)
	rival.Run(t, "arping", "-c2", "-w2", "-A", "-I", "vrrp.51", vip4)
	if _, err := rival.Output(t.Context(), "arping", "-c2", "-w2", "-U", "-I", "vrrp.51", vip4); err != nil {
		t.Logf("nobody answers an announcement: %v", err)
	}
	node.Run(t, "ip", "addr", "add", "224.1.1.2/32", "dev", "eth0", "autojoin")
	answered := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		answered = answered || strings.Contains(line, mac+" > 02:")
		if strings.Contains(line, mac+" >") && !strings.Contains(line, "> 02:") {
			t.Errorf("has left: %s", line)
		}
		if strings.Contains(line, "igmp v3 report") && strings.Contains(line, "02:") {
			break // the interface's own, which comes last
		}
	}
	if !answered {
		t.Error("the client's ARP request was not answered")
	}
	_ = dump.Process.Kill()
	must(t, f.Devices(nil))
	if got := node.Run(t, "nft", "list", "tables"); strings.Contains(got, "devices") {
		t.Errorf("tables without devices:\n%s", got)
	}
}
