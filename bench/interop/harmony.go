package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"harmony/agent"
	"harmony/vrrp"
)

// harmony is our agent.
type harmony struct {
	setup
	binary string
	out    output
	proc   *process
}

// start writes the objects and runs the agent, once the last life is over.
func (h *harmony) start(context.Context) (err error) {
	if h.proc != nil {
		if err := h.proc.wait(20 * time.Second); err != nil {
			return err
		}
	}
	if err := h.setPriority(h.priority); err != nil {
		return err
	}
	h.proc, err = launch(h.node, &h.out, h.binary, "agent", "--from", filepath.Join(h.folder, "objects"),
		"--node", ours, "--run-dir", filepath.Join(h.folder, "run"), "--http", "")
	return err
}

func (h *harmony) stop() error { return h.proc.signal(syscall.SIGTERM, false) }

// kill kills the elector and the worker, which are one process group.
func (h *harmony) kill() error { return h.proc.signal(syscall.SIGKILL, true) }

func (h *harmony) pause() error  { return h.proc.signal(syscall.SIGSTOP, false) }
func (h *harmony) resume() error { return h.proc.signal(syscall.SIGCONT, false) }

// setPriority writes the objects, which the agent watches.
func (h *harmony) setPriority(p int) error {
	folder := filepath.Join(h.folder, "objects")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	path := filepath.Join(folder, "router.yaml")
	if err := os.WriteFile(path+".new", []byte(h.objects(p)), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (h *harmony) objects(priority int) string {
	var list []string
	for _, vip := range h.addresses() {
		options := ""
		if h.Unicast {
			options += fmt.Sprintf("  transport: {mode: Unicast, peers: ['%v', '%v']}\n", h.cell.node(1, familyOf(vip)), h.cell.node(2, familyOf(vip)))
		}
		if h.nopreempt {
			options += "  preempt: {mode: Never}\n"
		}
		switch h.Feature {
		case "PASS":
			options += "  authentication: {type: Password, password: {name: vrrp, key: password}}\n"
		case "AH":
			options += "  authentication: {type: AH, password: {name: vrrp, key: password}}\n"
		case messageOnly:
			options += "  checksum: MessageOnly\n"
		case "sync group":
			options += "  syncGroup: all\n"
		case "VMAC":
			options += "  virtualMAC: {enabled: true}\n"
		}
		list = append(list, fmt.Sprintf(`apiVersion: kaas.harmony/v1alpha1
kind: VirtualRouter
metadata: {name: web%d}
spec:
  vrid: %d
  version: %d
  interface: eth0
  addresses: ['%v']
  priority: %d
  advertInterval: %v
%s`, familyOf(vip), vrid, h.Version, vip, priority, h.interval(), options))
	}
	list = append(list, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: vrrp}\ntype: Opaque\ndata: {password: %s}\n",
		base64.StdEncoding.EncodeToString([]byte(password))))
	return strings.Join(list, "---\n")
}

func (h *harmony) status(ctx context.Context) ([]vrrp.RouterStatus, error) {
	resp, err := agent.Ask(ctx, agent.RunDir(filepath.Join(h.folder, "run")), agent.Request{Command: "status"})
	if err != nil {
		return nil, err
	}
	return resp.Status.Election.Routers, nil
}

func (h *harmony) ready(ctx context.Context) bool {
	routers, err := h.status(ctx)
	for _, r := range routers {
		if r.State != vrrp.Backup && r.State != vrrp.Master {
			return false
		}
	}
	return err == nil && len(routers) > 0
}

// complaints are the adverts that were refused, and what does not work.
func (h *harmony) complaints(ctx context.Context) (out []string) {
	routers, err := h.status(ctx)
	if err != nil {
		return nil // it is stopped
	}
	for _, r := range routers {
		for reason, n := range r.Counters.Dropped {
			out = append(out, fmt.Sprintf("%v: %d adverts refused: %v", r.Router.Key, n, reason))
		}
		if r.Problem != "" {
			out = append(out, fmt.Sprintf("%v: %s", r.Router.Key, r.Problem))
		}
	}
	return out
}

func (h *harmony) log() string { return h.out.String() }
