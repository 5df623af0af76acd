package vrrp

import "slices"

// claim is a take-over that waits for the rest of the sync group.
type claim struct {
	why  Cause
	text string
}

// others are the other routers of r's sync group that are not ending.
func (n *Node) others(r *router) []*router {
	if r.Group == "" {
		return nil
	}
	var list []*router
	for _, m := range n.routers {
		if m != r && m.Group == r.Group && m.retired == NoCause {
			list = append(list, m)
		}
	}
	return list
}

// waitsFor is a router of the sync group that r has to wait for: one that
// neither serves its addresses nor is ready to take over. Nil for none.
func (n *Node) waitsFor(r *router) *router {
	for _, m := range n.others(r) {
		if m.state != Master && m.state != Leaving && m.claim == nil {
			return m
		}
	}
	return nil
}

// takeOver makes a router master, and with it those of its sync group that
// have waited for it; or lets it wait.
func (n *Node) takeOver(r *router, why Cause, text string) {
	if n.waitsFor(r) != nil {
		r.claim = &claim{why, text}
		return
	}
	n.becomeMaster(r, why, text)
	for _, m := range n.others(r) {
		if m.claim != nil {
			n.becomeMaster(m, m.claim.why, m.claim.text)
		}
	}
}

// pull makes the rest of a sync group give up, because another node owns what
// r should. It hands over: the other node wants the whole group too.
func (n *Node) pull(r *router) {
	for _, m := range n.others(r) {
		if m.state == Master {
			n.becomeLeaving(m, SyncGroup)
		}
	}
}

// resign hands over every router of that name that is master, and the rest of
// their sync groups.
func (n *Node) resign(name string) {
	var groups []string
	for _, r := range n.routers {
		if r.Name == name && r.Group != "" {
			groups = append(groups, r.Group)
		}
	}
	for _, r := range n.routers {
		if r.state == Master && (r.Name == name || slices.Contains(groups, r.Group)) {
			n.becomeLeaving(r, HandOver)
		}
	}
}

// decides says whether a router may yield to an owner of equal priority. In a
// sync group only the first one does, or two nodes would each yield a part and
// pull the rest. The others follow when that has not ended the tie in the time
// that it takes.
func (n *Node) decides(r *router) bool {
	others := n.others(r)
	if len(others) == 0 || compareKeys(r.Key, others[0].Key) < 0 {
		return true
	}
	if n.now.Sub(r.tieAt) > r.downInterval() {
		r.tieFrom = n.now
	}
	r.tieAt = n.now
	return n.now.Sub(r.tieFrom) > r.downInterval()
}
