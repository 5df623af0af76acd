package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"harmony/cluster/gossip"
)

// Request is one command over the control socket.
type Request struct {
	// Command is "status", "failover", "drain", "undrain", "restart",
	// "keys rotate" or "keys list".
	Command string `json:"command"`
	Router  string `json:"router,omitempty"` // failover: the VirtualRouter's name
	To      string `json:"to,omitempty"`     // failover: the node expected to take over
	Undo    bool   `json:"undo,omitempty"`   // failover: withdraw the standing order
	Node    string `json:"node,omitempty"`   // drain, undrain: the node meant
}

// Response answers a Request. Refused says why a command was not carried out;
// then nothing has changed.
type Response struct {
	Refused string `json:"refused,omitempty"`
	Done    string `json:"done,omitempty"` // one line: what has happened
	// Left are the routers that a drain has left here, since nobody took over.
	Left   []string `json:"left,omitempty"`
	Status *Status  `json:"status,omitempty"`
	// Gossip answers "keys list".
	Gossip *gossip.Status `json:"gossip,omitempty"`
}

// RefusedError is a command that the agent did not carry out, with its reason.
type RefusedError struct{ Reason string }

// Error returns the reason.
func (e *RefusedError) Error() string { return e.Reason }

// ErrNoAgent is wrapped by Ask when no agent answers in the run directory.
var ErrNoAgent = errors.New("no agent is running")

const (
	maxRequest     = 4 << 10
	requestTimeout = 5 * time.Second  // for a request to arrive whole
	answerTimeout  = 90 * time.Second // a hand-over at the longest advert interval fits
	statusTimeout  = 10 * time.Second // for what needs no hand-over
)

// Ask sends one request to the agent of a run directory and waits for its
// answer. It returns a *RefusedError when the agent refused, and an error that
// wraps ErrNoAgent when there is none.
func Ask(ctx context.Context, dir RunDir, req Request) (Response, error) {
	var resp Response
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", dir.Control())
	if err != nil {
		if os.IsPermission(err) {
			return resp, fmt.Errorf("control socket %s: %w", dir.Control(), err)
		}
		return resp, fmt.Errorf("%w at %s: %w", ErrNoAgent, dir, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) }) // what it interrupts tells
	defer stop()
	timeout := answerTimeout
	if req.Command == "status" {
		timeout = statusTimeout
	}
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return resp, fmt.Errorf("asking the agent: %w", err)
	}
	if err := json.NewEncoder(c).Encode(req); err != nil {
		return resp, fmt.Errorf("asking the agent: %w", err)
	}
	err = json.NewDecoder(io.LimitReader(c, maxMessage)).Decode(&resp)
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		return resp, fmt.Errorf("the agent has not answered within %v: is its elector stopped or stuck?", timeout)
	}
	if err != nil {
		return resp, fmt.Errorf("reading the agent's answer: %w", err)
	}
	if resp.Refused != "" {
		return resp, &RefusedError{resp.Refused}
	}
	return resp, nil
}

// control serves the socket: one goroutine accepts, one answers each client.
type control struct {
	ln   net.Listener
	wg   sync.WaitGroup
	stop context.CancelFunc
}

// listenControl replaces a socket that a previous agent left behind; the
// caller holds the run directory's lock. answer is called concurrently.
func listenControl(path string, answer func(context.Context, Request) Response, log *slog.Logger) (*control, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the old control socket: %w", err)
	}
	// The name appears only with its final mode: bound aside, then renamed.
	aside := path + ".new"
	os.Remove(aside)
	ln, err := net.Listen("unix", aside)
	if err != nil {
		return nil, fmt.Errorf("listening on the control socket: %w", err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(aside, 0o600), os.Rename(aside, path)); err != nil {
		ln.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &control{ln: ln, stop: cancel}
	c.wg.Add(1)
	go c.accept(ctx, answer, log)
	return c, nil
}

func (c *control) accept(ctx context.Context, answer func(context.Context, Request) Response, log *slog.Logger) {
	defer c.wg.Done()
	for {
		conn, err := c.ln.Accept()
		if err != nil {
			return // closed
		}
		c.wg.Add(1)
		go func() {
			defer c.wg.Done()
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			if err := serveOne(ctx, conn, answer); err != nil {
				log.Warn("control request failed", "err", err)
			}
		}()
	}
}

// serveOne reads one request and writes its answer.
func serveOne(ctx context.Context, conn net.Conn, answer func(context.Context, Request) Response) error {
	if err := conn.SetReadDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	var req Request
	if err := json.NewDecoder(io.LimitReader(conn, maxRequest)).Decode(&req); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	resp := answer(ctx, req)
	if err := conn.SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	return json.NewEncoder(conn).Encode(resp)
}

// close ends the socket and waits for requests under way, which it cancels.
func (c *control) close() {
	c.stop()
	c.ln.Close()
	c.wg.Wait()
}
