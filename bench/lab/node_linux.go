package lab

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

// Node is a network namespace with lo and eth0, both up. It ends with its
// switch. Its methods may be called from several goroutines; work inside is
// done one at a time.
type Node struct {
	name   string
	thread *thread
	sw     *Switch
}

// Name is the name the node was attached with.
func (nd *Node) Name() string { return nd.name }

// Do runs f on an OS thread inside the namespace and returns its error.
// Sockets that f makes stay there. Goroutines that f starts do not run there,
// and /proc/net is not that of the namespace: /proc/thread-self/net is. f must
// not end its goroutine (t.Fatal, runtime.Goexit): that ends the node.
func (nd *Node) Do(f func() error) error { return nd.thread.do(f) }

// Command returns a command to be run by Start. When ctx ends, it is killed.
func (nd *Node) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	// A grandchild may keep the output open: do not wait for it for ever.
	cmd.WaitDelay = time.Second
	return cmd
}

// Start starts cmd inside the namespace. It is killed with the node, together
// with everything it has started. It leads a process group of its own, so that
// a signal to -cmd.Process.Pid reaches its children and Ctrl-C does not.
func (nd *Node) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = !cmd.SysProcAttr.Setsid
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := nd.Do(cmd.Start); err != nil {
		return fmt.Errorf("node %s: %w", nd.name, err)
	}
	return nil
}

// Output runs a command inside the namespace to its end and returns what it
// printed on standard output. The error holds its standard error.
func (nd *Node) Output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := nd.Command(ctx, name, args...)
	var stdout, stderr limitedBuffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := nd.Start(cmd); err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		return stdout.String(), fmt.Errorf("node %s: %s: %w: %s", nd.name, name, err, stderr.String())
	}
	return stdout.String(), nil
}

// Dial opens a connection from the node. The address must be an IP, as names
// are resolved elsewhere. It fits http.Transport.DialContext.
func (nd *Node) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = nd.Do(func() error {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Sysctl sets a kernel parameter of the node, such as "net.ipv4.ip_forward".
func (nd *Node) Sysctl(key, value string) error {
	return nd.Do(func() error { return sysctl(key, value) })
}

// Cut takes the switch's side of the link down: the node loses its carrier.
func (nd *Node) Cut() error { return nd.port("cut", netlink.LinkSetDown) }

// Heal undoes Cut. It does not wait for the carrier.
func (nd *Node) Heal() error { return nd.port("heal", netlink.LinkSetUp) }

// Deafen makes the switch drop all frames from and to the node, or no longer.
// The carrier stays, so only silence tells.
func (nd *Node) Deafen(on bool) error {
	return nd.port("deafen", func(port netlink.Link) error {
		if on {
			return netlink.LinkSetNoMaster(port)
		}
		return plug(nd.name)
	})
}

func (nd *Node) port(what string, f func(netlink.Link) error) error {
	err := nd.sw.thread.do(func() error {
		port, err := netlink.LinkByName(nd.name)
		if err != nil {
			return err
		}
		return f(port)
	})
	if err != nil {
		return fmt.Errorf("%s node %s: %w", what, nd.name, err)
	}
	return nil
}
