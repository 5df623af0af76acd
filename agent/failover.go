package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"harmony/vrrp"
)

// answer serves one request of the control socket, in that client's goroutine.
func (e *elector) answer(ctx context.Context, req Request) Response {
	switch req.Command {
	case "status":
		e.refresh(ctx)
		var s Status
		if err := e.do(ctx, func() {
			s = Status{Node: e.o.Node, Version: e.o.Version, Election: *e.election(), Worker: e.report}
		}); err != nil {
			return Response{Refused: errStopping.Error()}
		}
		return Response{Status: &s}
	case "failover":
		done, err := e.failover(ctx, req)
		return answerOf(done, nil, err)
	case "restart":
		if e.do(ctx, func() { e.o.Keep, e.ending = true, true }) != nil {
			return Response{Refused: errStopping.Error()}
		}
		return Response{Done: "the agent hands over and ends; what nobody takes over stays for the next one"}
	case "keys rotate", "keys list":
		return e.keys(ctx, req.Command == "keys rotate")
	case "drain", "undrain":
		return answerOf(e.drain(ctx, req))
	}
	return Response{Refused: fmt.Sprintf("unknown command %q", req.Command)}
}

// errStopping refuses what comes after SIGTERM.
var errStopping = errors.New("the agent is stopping")

// answerOf is the answer to a command.
func answerOf(done string, left []string, err error) Response {
	if err != nil {
		return Response{Refused: err.Error()}
	}
	return Response{Done: done, Left: left}
}

// failover carries out `harmony failover`. On the owner it makes this node the
// last to own the router and hands over at once; if nobody takes over, the
// order is withdrawn and nothing has changed. With --to naming this node it
// makes this node the first.
func (e *elector) failover(ctx context.Context, req Request) (string, error) {
	v, err := e.view(ctx, req.Router)
	switch {
	case err != nil:
		return "", err
	case req.Undo && v.orders[req.Router] != "": // the router may be gone
		return e.order(ctx, req.Router, "")
	case !slices.Contains(v.routers, req.Router):
		return "", fmt.Errorf("no virtual router %q on this node; there is: %s", req.Router, strings.Join(v.routers, ", "))
	case req.Undo:
		return fmt.Sprintf("no failover of %s to undo", req.Router), nil
	case req.To == e.o.Node && v.orders.Drained():
		return "", fmt.Errorf("this node is drained: run `harmony undrain %s` first", e.o.Node)
	case req.To == e.o.Node:
		return e.order(ctx, req.Router, Claim)
	case req.To != "" && !v.owns:
		return "", fmt.Errorf("this node does not own %s: run `harmony failover %s --to %s` on %s", req.Router, req.Router, req.To, req.To)
	case !v.owns:
		return "", fmt.Errorf("this node does not own %s: its owner is %s; run `harmony failover %s` there", req.Router, v.owner, req.Router)
	}
	if err := checkTarget(req.Router, v.nodes, e.o.Node, req.To); err != nil {
		return "", err
	}
	if _, err := e.order(ctx, req.Router, Yield); err != nil {
		return "", err
	}
	if err := e.handOver(ctx, req.Router); err != nil {
		_, undo := e.order(ctx, req.Router, v.orders[req.Router])
		return "", errors.Join(err, undo)
	}
	return fmt.Sprintf("%s handed over; this node stays last in line until `harmony failover %s --undo`", req.Router, req.Router), nil
}

// drain carries out `harmony drain` and `undrain`. What nobody takes over goes
// on being served here, and is returned: no service ends by a drain.
func (e *elector) drain(ctx context.Context, req Request) (done string, left []string, err error) {
	v, err := e.view(ctx, "")
	switch {
	case err != nil:
		return "", nil, err
	case req.Node != e.o.Node:
		return "", nil, fmt.Errorf("this agent is node %s: run `harmony %s %s` on %s", e.o.Node, req.Command, req.Node, req.Node)
	case req.Command == "undrain":
		done, err = e.order(ctx, allRouters, "")
		return done, nil, err
	}
	if done, err = e.order(ctx, allRouters, Yield); err != nil {
		return "", nil, err
	}
	failed := make([]error, len(v.routers))
	var wg sync.WaitGroup
	for i, name := range v.routers {
		wg.Go(func() { failed[i] = e.handOver(ctx, name) }) // ends with the hand-over, which has a limit
	}
	wg.Wait()
	for i, err := range failed {
		if err != nil {
			left = append(left, v.routers[i])
		}
	}
	return done, left, nil
}

// handOver makes a peer the owner of a router, unless one is already.
func (e *elector) handOver(ctx context.Context, router string) error {
	if err := e.engine.HandOver(ctx, router); !errors.As(err, new(vrrp.ErrNotOwner)) {
		return err
	}
	return nil
}

// view is what a command decides from.
type view struct {
	routers []string         // of this node
	nodes   map[string]uint8 // the priorities of the router asked for
	owns    bool             // any family of it
	owner   string           // of it, for people
	orders  Overrides
}

func (e *elector) view(ctx context.Context, router string) (v view, err error) {
	if e.do(ctx, func() {
		v = view{routers: e.routerNames(), nodes: maps.Clone(e.wish.Nodes[router]), orders: maps.Clone(e.orders)}
		var owner vrrp.Peer
		v.owns, owner = e.ownership(router)
		v.owner = describe(owner, v.nodes, e.o.Node)
	}) != nil {
		err = errStopping
	}
	return v, err
}

// ownership says whether this node owns any family of a router, and otherwise
// who owns the first of which that is known.
func (e *elector) ownership(name string) (owns bool, owner vrrp.Peer) {
	for _, r := range e.engine.Status() {
		switch {
		case r.Router.Name != name:
		case r.State == vrrp.Master:
			return true, vrrp.Peer{}
		case !owner.Addr.IsValid():
			owner = r.Owner
		}
	}
	return false, owner
}

// order records a standing order (or, with "", its end) before it acts on it.
func (e *elector) order(ctx context.Context, router string, o Override) (done string, err error) {
	stopping := e.do(ctx, func() {
		now := maps.Clone(e.orders)
		if now[router] = o; o == "" {
			delete(now, router)
		}
		if err = writeJSON(e.o.RunDir.overrides(), now); err != nil {
			return
		}
		e.orders = now
		e.o.Log.Info("failover order", "router", router, "order", o)
		e.apply()
	})
	if stopping != nil {
		return "", errStopping
	}
	switch {
	case router == allRouters && o == Yield:
		done = fmt.Sprintf("%s is drained: last in line for every router, until `harmony undrain %s`", e.o.Node, e.o.Node)
	case router == allRouters:
		done = e.o.Node + " takes part by its configured priorities again"
	case o == Claim:
		done = fmt.Sprintf("this node is first in line for %s until `harmony failover %s --undo`", router, router)
	case o == "":
		done = fmt.Sprintf("%s is elected by its configured priorities again", router)
	}
	return done, err
}
