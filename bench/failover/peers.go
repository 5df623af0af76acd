package main

import (
	"context"
	"errors"
	"fmt"
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
  addresses: [%s/24]
  priority: %d
  advertInterval: %s
`, vrid, vip, priority, h.advert)
	if err := os.WriteFile(filepath.Join(objects, "router.yaml"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	return nd.Command(context.Background(), h.binary, "agent", "--from", objects, "--node", node,
		"--run-dir", filepath.Join(folder, "run"), "--http", ""), nil
}

// keepalived runs Debian's keepalived, its VRRP part only.
type keepalived struct{ advert time.Duration }

func newKeepalived(advert time.Duration) peer { return keepalived{advert} }

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

func keepalivedConfig(node string, priority int, advert time.Duration) string {
	return fmt.Sprintf(`global_defs {
    router_id %s
    vrrp_version 3
}
vrrp_instance bench {
    state BACKUP
    interface eth0
    virtual_router_id %d
    priority %d
    advert_int %g
    virtual_ipaddress {
        %s/24
    }
}
`, node, vrid, priority, advert.Seconds(), vip)
}
