package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"harmony/cluster"
	"harmony/cluster/gossip"
	"harmony/vrrp"
)

// gossipWish is cluster.Gossip on its way to the elector, with the keys. Only
// its JSON shows them.
type gossipWish struct {
	Port  uint16   `json:"port"`
	Join  []string `json:"join,omitempty"`
	Keys  [][]byte `json:"keys,omitempty"`
	Plain bool     `json:"plain,omitempty"`
}

func newGossipWish(g *cluster.Gossip) *gossipWish {
	if g == nil {
		return nil
	}
	w := &gossipWish{Port: g.Port, Join: g.Join, Plain: g.Plain}
	for _, k := range g.Keys {
		w.Keys = append(w.Keys, k.Reveal())
	}
	return w
}

// Format writes all but the keys.
func (w *gossipWish) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "gossip on port %d, join %q, %d keys", w.Port, w.Join, len(w.Keys))
}

// LogValue says all but the keys.
func (w *gossipWish) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(w)) }

// config is what package gossip makes of a wish.
func (w *gossipWish) config() (gossip.Config, error) {
	c := gossip.Config{Port: w.Port, Join: w.Join, Plain: w.Plain}
	for _, b := range w.Keys {
		k, err := gossip.NewKey(b)
		if err != nil {
			return c, err
		}
		c.Keys = append(c.Keys, k)
	}
	return c, nil
}

// equal says whether both wishes are the same.
func (w *gossipWish) equal(o *gossipWish) bool {
	if w == nil || o == nil {
		return w == o
	}
	return w.Port == o.Port && w.Plain == o.Plain && slices.Equal(w.Join, o.Join) &&
		slices.EqualFunc(w.Keys, o.Keys, func(a, b []byte) bool { return string(a) == string(b) })
}

// configureGossip gives the mesh what the worker wishes, if that is new. A wish
// that is gone leaves it as it is: no router uses it then.
func (e *elector) configureGossip() error {
	wish := e.wish.Gossip
	if wish == nil || wish.equal(e.gossips) {
		return nil
	}
	c, err := wish.config()
	if err == nil {
		err = e.mesh.Configure(c)
	}
	if err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	e.gossips = wish
	return nil
}

// keys carries out `harmony keys rotate` and `harmony keys list`, in the
// client's goroutine: the mesh may be asked from any.
func (e *elector) keys(ctx context.Context, rotate bool) Response {
	if !rotate {
		s := e.mesh.Status()
		if s == nil {
			return Response{Refused: errNoGossip.Error()}
		}
		return Response{Gossip: s}
	}
	text, err := e.mesh.Rotate(ctx)
	return answerOf(text, nil, err)
}

var errNoGossip = errors.New("there is no gossip on this node: Settings have no spec.gossip that can be used")

// WriteKeys renders the keys of gossip, by their fingerprints, for people.
func WriteKeys(w io.Writer, s gossip.Status, now time.Time) error {
	if s.Plain {
		_, err := fmt.Fprintln(w, "gossip is not encrypted")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "KEY\tROTATION\tSTATE\tNODES\n")
	for _, k := range s.Keys {
		state := "readable"
		switch {
		case k.Active:
			state = "in use"
		case !k.Expires.IsZero():
			state = "readable for " + k.Expires.Sub(now).Round(time.Minute).String()
		}
		fmt.Fprintf(tw, "%s\t%d\t%s\t%s\n", k.Fingerprint, k.Generation, state, strings.Join(users(s, k), ", "))
	}
	return tw.Flush()
}

// users are the nodes that encrypt with a key, as far as they are heard.
func users(s gossip.Status, k gossip.KeyStatus) []string {
	var nodes []string
	if k.Active {
		nodes = append(nodes, s.Node)
	}
	for _, p := range s.Peers {
		if p.Key == k.Fingerprint && p.State == "alive" {
			nodes = append(nodes, p.Node)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// writeGossip shows whom routers hear by gossip.
func writeGossip(w io.Writer, s *gossip.Status, now time.Time) {
	if s == nil || len(s.Peers) == 0 {
		return
	}
	fmt.Fprintf(w, "\nGOSSIP\tADDRESS\tINTERFACE\tSTATE\tHEARD\n")
	for _, p := range s.Peers {
		heard := "never"
		if !p.Heard.IsZero() {
			heard = age(p.Heard, now) + " ago"
		}
		fmt.Fprintf(w, "%s\t%v\t%s\t%s\t%s\n", p.Node, p.Addr, p.Interface, p.State, heard)
	}
}

// farewell sends by gossip what an elector that has died cannot.
func farewell(o Options) (send func(vrrp.Send) error, hangUp func()) {
	f, err := gossip.NewFarewell(o.Node, o.RunDir.gossip())
	if err != nil {
		return func(vrrp.Send) error { return err }, func() {}
	}
	return f.Send, f.Close
}
