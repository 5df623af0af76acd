package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
			return Response{Refused: "the agent is stopping"}
		}
		return Response{Status: &s}
	case "failover":
		done, err := e.failover(ctx, req)
		if err != nil {
			return Response{Refused: err.Error()}
		}
		return Response{Done: done}
	}
	return Response{Refused: fmt.Sprintf("unknown command %q", req.Command)}
}

// failover carries out `harmony failover`. On the owner it makes this node the
// last to own the router and hands over at once; if nobody takes over, the
// order is withdrawn and nothing has changed. With --to naming this node it
// makes this node the first.
func (e *elector) failover(ctx context.Context, req Request) (string, error) {
	var routers []string
	var nodes map[string]uint8
	var owns bool
	var owner string
	if err := e.do(ctx, func() {
		routers, nodes = e.routerNames(), maps.Clone(e.wish.Nodes[req.Router])
		owns, owner = e.ownership(req.Router)
	}); err != nil {
		return "", errors.New("the agent is stopping")
	}
	switch {
	case !slices.Contains(routers, req.Router):
		return "", fmt.Errorf("no virtual router %q on this node; there is: %s", req.Router, strings.Join(routers, ", "))
	case req.Undo:
		return e.order(ctx, req.Router, "")
	case req.To == e.o.Node:
		return e.order(ctx, req.Router, Claim)
	case !owns:
		return "", fmt.Errorf("this node does not own %s: its owner is %s; run `harmony failover %s` there", req.Router, owner, req.Router)
	}
	if err := checkTarget(req.Router, nodes, e.o.Node, req.To); err != nil {
		return "", err
	}
	before := e.orderNow(ctx, req.Router)
	if _, err := e.order(ctx, req.Router, Yield); err != nil {
		return "", err
	}
	if err := e.engine.HandOver(ctx, req.Router); err != nil && !errors.As(err, new(vrrp.ErrNotOwner)) {
		_, undo := e.order(ctx, req.Router, before)
		return "", errors.Join(err, undo)
	}
	return fmt.Sprintf("%s handed over; this node stays last in line until `harmony failover %s --undo`", req.Router, req.Router), nil
}

// ownership says whether this node owns every family of a router, and who does.
func (e *elector) ownership(name string) (owns bool, owner string) {
	owner = "not known"
	for _, r := range e.engine.Status() {
		if r.Router.Name != name {
			continue
		}
		if r.State == vrrp.Master {
			return true, e.o.Node
		}
		if r.Owner.Addr.IsValid() && owner == "not known" {
			owner = r.Owner.Addr.String()
		}
	}
	return false, owner
}

func (e *elector) orderNow(ctx context.Context, router string) (o Override) {
	_ = e.do(ctx, func() { o = e.orders[router] }) // a stopping agent refuses the order itself
	return o
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
		return "", errors.New("the agent is stopping")
	}
	switch o {
	case Claim:
		done = fmt.Sprintf("this node is first in line for %s until `harmony failover %s --undo`", router, router)
	case "":
		done = fmt.Sprintf("%s is elected by its configured priorities again", router)
	}
	return done, err
}
