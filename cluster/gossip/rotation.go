package gossip

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// rotation is a change of the key, as the node sees it that leads it. The key
// goes to everybody first, and only when everybody who is there can read it
// does anybody encrypt with it:
//
//	installing -- all who are there have it --> using -- all use it --> done
//	     |                                        |
//	     +-- limit passed --> failed              +-- limit passed --> done
//
// A node that is away is not waited for. It is given the key when it comes, if
// that is within Grace.
type rotation struct {
	offer
	phase phase
	limit time.Time // of the phase
}

type phase uint8

const (
	installing phase = iota
	using
	done
	failed
)

// rotationLimit bounds each phase.
const rotationLimit = 10 * time.Second

// holder is what the leader knows of a peer that is there.
type holder struct {
	name           string
	active, newest stamp
}

// lead begins a rotation to a fresh key.
func (r *ring) lead(fresh Key, generation uint64, now time.Time) *rotation {
	o := offer{generation: generation, key: fresh}
	r.accept(o, now)
	return &rotation{offer: o, limit: now.Add(rotationLimit)}
}

// step moves a rotation on with what is known now. It returns to whom the
// offer shall be sent (again), and whether the ring has changed.
func (o *rotation) step(r *ring, there []holder, now time.Time) (send []string, changed bool) {
	goal := stamp{o.generation, o.key.mark()}
	if o.phase == installing && len(o.lacking(there)) == 0 {
		o.phase, o.use, o.limit = using, true, now.Add(rotationLimit)
		changed = r.accept(o.offer, now)
	}
	if r.active().compare(goal) > 0 { // somebody else has led a later one
		o.phase = done
		return nil, changed
	}
	send = o.lacking(there)
	switch late := !now.Before(o.limit); {
	case o.phase == using && (len(send) == 0 || late):
		o.phase = done
	case o.phase == installing && late:
		o.phase = failed
	}
	return send, changed
}

// lacking are the peers that have not confirmed the phase.
func (o *rotation) lacking(there []holder) []string {
	goal := stamp{o.generation, o.key.mark()}
	var names []string
	for _, h := range there {
		has := h.newest
		if o.phase == using {
			has = h.active
		}
		if has.compare(goal) < 0 {
			names = append(names, h.name)
		}
	}
	slices.Sort(names)
	return names
}

// result says how a rotation ended that is done or failed.
func (o *rotation) result(there []holder) (string, error) {
	if o.phase == failed {
		return "", fmt.Errorf("the old key stays in use: no confirmation of the new one from %s within %v; run `harmony keys rotate` again, it goes on with the same key",
			strings.Join(o.lacking(there), ", "), rotationLimit)
	}
	text := fmt.Sprintf("key %s is in use; the one before stays readable for %v", o.key.Fingerprint(), Grace)
	if late := o.lacking(there); len(late) > 0 {
		text += "; not confirmed yet by " + strings.Join(late, ", ")
	}
	return text, nil
}
