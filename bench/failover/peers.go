package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"harmony/bench/lab"
)

// harmony runs our agent with one VirtualRouter.
type harmony struct {
	binary string
	advert time.Duration
}

func (o options) newHarmony(advert time.Duration) peer {
	if o.control {
		advert *= 2
	}
	return harmony{o.harmony, advert}
}

func (harmony) name() string { return "harmony" }

func (h harmony) command(nd *lab.Node, folder, node string, priority int) (*exec.Cmd, error) {
	objects := filepath.Join(folder, "objects")
	if err := os.MkdirAll(objects, 0o755); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`apiVersion: kaas.harmony/v1alpha1
kind: VirtualRouter
metadata: {name: bench}
spec:
  vrid: %d
  interface: eth0
  addresses: [%s/24, %s/64]
  priority: %d
  advertInterval: %s
`, vrid, vip4, vip6, priority, h.advert)
	if err := os.WriteFile(filepath.Join(objects, "router.yaml"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	return nd.Command(context.Background(), h.binary, "agent", "--from", objects, "--node", node,
		"--run-dir", filepath.Join(folder, "run"), "--http", ""), nil
}

// keepalived runs Debian's keepalived, its VRRP part only.
type keepalived struct{ advert time.Duration }

func (keepalived) name() string { return "keepalived" }

func (k keepalived) command(nd *lab.Node, folder, node string, priority int) (*exec.Cmd, error) {
	conf := filepath.Join(folder, "keepalived.conf")
	if err := os.WriteFile(conf, []byte(keepalivedConfig(node, priority, k.advert)), 0o644); err != nil {
		return nil, err
	}
	pids := []string{filepath.Join(folder, "pid"), filepath.Join(folder, "vrrp.pid")}
	for _, p := range pids { // of a killed one: its process may not have been reaped yet
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return nd.Command(context.Background(), "keepalived", "-n", "-l", "-P", "-f", conf,
		"-p", pids[0], "-r", pids[1]), nil
}

// keepalivedConfig has an instance for each family; else it is the same.
func keepalivedConfig(node string, priority int, advert time.Duration) string {
	text := fmt.Sprintf("global_defs {\n    router_id %s\n    vrrp_version 3\n}\n", node)
	for _, vip := range []netip.Prefix{netip.PrefixFrom(vip4, 24), netip.PrefixFrom(vip6, 64)} {
		family := "4"
		if vip.Addr().Is6() {
			family = "6"
		}
		text += fmt.Sprintf(`vrrp_instance bench%s {
    state BACKUP
    interface eth0
    virtual_router_id %d
    priority %d
    advert_int %g
    virtual_ipaddress {
        %s
    }
}
`, family, vrid, priority, advert.Seconds(), vip)
	}
	return text
}
