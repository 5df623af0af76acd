package cluster

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"harmony/api/v1alpha1"
	"harmony/source"
	"harmony/vrrp"
)

// Gossip is how nodes find each other for routers with transport mode Gossip.
type Gossip struct {
	Port  uint16        `json:"port"`
	Join  []string      `json:"join,omitempty"`
	Keys  []vrrp.Secret `json:"-"` // the first encrypts
	Plain bool          `json:"plain,omitempty"`
}

const (
	gossipKeySize = 32
	maxSeeds      = 64
	maxGossipKeys = 16
)

// gossip is what the Settings of r say of gossip; nil for none.
func (t *translator) gossip(r *source.Report, g *v1alpha1.Gossip) *Gossip {
	const field = "spec.gossip"
	if g == nil {
		return nil
	}
	r.Port(field+".port", *g.Port)
	out := &Gossip{Port: uint16(*g.Port), Plain: g.Encryption == v1alpha1.GossipNone}
	if len(g.Join) > maxSeeds {
		r.Refuse(field+".join", source.CodeTooLarge, "at most %d nodes, not %d", maxSeeds, len(g.Join))
		return nil
	}
	for i, seed := range g.Join {
		at := source.At(field+".join", i)
		seedNode(r, at, seed)
		if slices.Contains(out.Join, seed) {
			r.Refuse(at, source.CodeDuplicate, "%s is there already", source.Quote(seed))
		}
		out.Join = append(out.Join, seed)
	}
	switch {
	case g.Encryption != v1alpha1.GossipRequired && g.Encryption != v1alpha1.GossipNone:
		r.Refuse(field+".encryption", source.CodeInvalid, "must be Required or None, not %s", source.Quote(string(g.Encryption)))
	case out.Plain && len(g.Keys) > 0:
		r.Refuse(field+".keys", source.CodeInvalid, "belong to encryption: remove them, or encryption None")
	case !out.Plain && len(g.Keys) == 0:
		r.Refuse(field+".keys", source.CodeRequired, "at least one key is needed; without encryption (encryption: None) everybody takes part who reaches port %d", *g.Port)
	case out.Plain:
		r.Warn(field+".encryption", source.CodeInsecure, "is None: everybody who reaches port %d can take the addresses", *g.Port)
	}
	out.Keys = t.gossipKeys(r, field+".keys", g.Keys)
	return out
}

func (t *translator) gossipKeys(r *source.Report, field string, refs []v1alpha1.SecretKeyReference) []vrrp.Secret {
	if len(refs) > maxGossipKeys {
		r.Refuse(field, source.CodeTooLarge, "at most %d keys, not %d", maxGossipKeys, len(refs))
		return nil
	}
	var keys []vrrp.Secret
	for i, ref := range refs {
		at := source.At(field, i)
		value := t.secret(r, at, ref)
		if value == nil {
			continue
		}
		key := vrrp.NewSecret(value)
		switch {
		case lineBreak(r, at, value):
		case len(value) != gossipKeySize:
			r.Refuse(at, source.CodeOutOfRange, "a key has %d bytes, this one %d", gossipKeySize, len(value))
		case slices.ContainsFunc(keys, key.Equal):
			r.Refuse(at, source.CodeDuplicate, "is one of the keys before")
		}
		keys = append(keys, key)
	}
	return keys
}

// seedNode refuses what is neither an address nor a name, each with or without
// a port.
func seedNode(r *source.Report, field, text string) {
	host := text
	if h, port, err := net.SplitHostPort(text); err == nil {
		host = h
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			r.Refuse(field, source.CodeInvalid, "%s is not a port", source.Quote(port))
		}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.IsLinkLocalUnicast() {
			r.Refuse(field, source.CodeInvalid, "%s is not an address by which other nodes reach it", source.Quote(host))
		}
		return
	}
	if strings.ContainsAny(host, ":/") || len(validation.IsDNS1123Subdomain(strings.ToLower(host))) > 0 {
		r.Refuse(field, source.CodeInvalid, "%s is neither an address nor a host name", source.Quote(text))
	}
}

// gossiping makes a router one of transport mode Gossip, if it is, with the
// bound that its id has.
func (t *translator) gossiping(r *source.Report, spec v1alpha1.VirtualRouterSpec, to *vrrp.Router) {
	if spec.Transport.Mode != v1alpha1.TransportGossip {
		r.Range("spec.vrid", spec.VRID, 1, 255)
		return
	}
	const field = "spec.transport.mode"
	r.Range("spec.vrid", spec.VRID, 1, 65535)
	to.Gossip = uint32(spec.VRID)
	switch {
	case t.state.Gossip == nil:
		r.Refuse(field, source.CodeRequired, "Gossip needs spec.gossip in usable Settings")
	case spec.Version != 3:
		r.Refuse("spec.version", source.CodeInvalid, "must be 3 with transport mode Gossip")
	}
	if spec.Checksum != v1alpha1.ChecksumPseudoHeader {
		r.Refuse("spec.checksum", source.CodeInvalid, "belongs to adverts on the wire, and transport mode Gossip has none")
	}
	if spec.Authentication.Type != v1alpha1.AuthenticationNone {
		r.Refuse("spec.authentication.type", source.CodeInvalid, "must be None with transport mode Gossip: it is encrypted as a whole, by the keys in Settings")
	}
	if spec.VirtualMAC.Enabled {
		r.Refuse("spec.virtualMAC.enabled", source.CodeInvalid, "there is no virtual MAC with transport mode Gossip: no advert would keep the switches' tables right")
	}
}
