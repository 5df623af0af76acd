package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"harmony/bench/lab"
)

// plan is what both peers are configured with.
type plan struct {
	advert  time.Duration
	routers []virtual
}

// virtual is one virtual router; with addresses of both families it is one
// election per family.
type virtual struct {
	vrid      int
	addresses []netip.Prefix
}

// planned is what events happen to: one router of both families.
func planned(advert time.Duration) plan {
	return plan{advert, []virtual{{vrid, []netip.Prefix{netip.PrefixFrom(vip4, 24), netip.PrefixFrom(vip6, 64)}}}}
}

// peer is an implementation of VRRP that can be started on a node.
type peer interface {
	name() string
	// command runs it in the foreground as node A or B, its files in folder.
	command(nd *lab.Node, folder, node string, priority int) (*exec.Cmd, error)
}

// harmony runs our agent with VirtualRouters.
type harmony struct {
	binary string
	plan
}

func (o options) newHarmony(p plan) peer {
	if o.control {
		p.advert *= 2
	}
	return harmony{o.harmony, p}
}

func (harmony) name() string { return "harmony" }

func (h harmony) command(nd *lab.Node, folder, node string, priority int) (*exec.Cmd, error) {
	objects := filepath.Join(folder, "objects")
	if err := os.MkdirAll(objects, 0o755); err != nil {
		return nil, err
	}
	var text []string
	for _, v := range h.routers {
		var addrs []string
		for _, a := range v.addresses {
			addrs = append(addrs, fmt.Sprintf("%q", a))
		}
		text = append(text, fmt.Sprintf(`apiVersion: kaas.harmony/v1alpha1
kind: VirtualRouter
metadata: {name: bench-%d}
spec:
  vrid: %d
  interface: eth0
  addresses: [%s]
  priority: %d
  advertInterval: %s
`, v.vrid, v.vrid, strings.Join(addrs, ", "), priority, h.advert))
	}
	if err := os.WriteFile(filepath.Join(objects, "routers.yaml"), []byte(strings.Join(text, "---\n")), 0o600); err != nil {
		return nil, err
	}
	return nd.Command(context.Background(), h.binary, "agent", "--from", objects, "--node", node,
		"--run-dir", filepath.Join(folder, "run"), "--http", ""), nil
}

// keepalived runs Debian's keepalived, its VRRP part only.
type keepalived struct{ plan }

func (keepalived) name() string { return "keepalived" }

func (k keepalived) command(nd *lab.Node, folder, node string, priority int) (*exec.Cmd, error) {
	conf := filepath.Join(folder, "keepalived.conf")
	if err := os.WriteFile(conf, []byte(k.configuration(node, priority)), 0o644); err != nil {
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

// inAdvert is how many addresses of an instance its adverts carry; the others
// are excluded from them, as keepalived's manual wants it for so many.
const inAdvert = 20

// configuration has an instance for each router and family; else it is the
// same as Harmony's.
func (p plan) configuration(node string, priority int) string {
	text := fmt.Sprintf("global_defs {\n    router_id %s\n    vrrp_version 3\n}\n", node)
	for _, v := range p.routers {
		for _, family := range []string{"4", "6"} {
			var list []string
			for _, a := range v.addresses {
				if a.Addr().Is4() == (family == "4") {
					list = append(list, a.String())
				}
			}
			if len(list) == 0 {
				continue
			}
			more := list[min(len(list), inAdvert):]
			list = slices.Clone(list[:len(list)-len(more)])
			text += fmt.Sprintf("vrrp_instance bench-%d-%s {\n    state BACKUP\n    interface eth0\n    virtual_router_id %d\n    priority %d\n    advert_int %g\n    virtual_ipaddress {\n        %s\n    }\n",
				v.vrid, family, v.vrid, priority, p.advert.Seconds(), strings.Join(list, "\n        "))
			if len(more) > 0 {
				text += "    virtual_ipaddress_excluded {\n        " + strings.Join(more, "\n        ") + "\n    }\n"
			}
			text += "}\n"
		}
	}
	return text
}
