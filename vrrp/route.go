package vrrp

import (
	"net/netip"
	"strconv"
)

// RouteType says what a route does with a packet.
type RouteType uint8

// The route types.
const (
	RouteUnicast     RouteType = iota // sends it on
	RouteBlackhole                    // drops it
	RouteUnreachable                  // drops it and says so
	RouteProhibit                     // says that it is not allowed
)

var routeNames = [...]string{"unicast", "blackhole", "unreachable", "prohibit"}

// String returns the type as ip-route(8) names it.
func (t RouteType) String() string { return enumName(routeNames[:], t) }

// MarshalText writes the name.
func (t RouteType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (t *RouteType) UnmarshalText(b []byte) error { return enumValue(routeNames[:], b, t) }

// Route is a route that exists while the router owns its addresses. The
// election does not look at it.
type Route struct {
	Type        RouteType    `json:"type"`
	Destination netip.Prefix `json:"destination"`
	Via         netip.Addr   `json:"via,omitzero"`        // invalid: on the link
	Interface   string       `json:"interface,omitempty"` // only of RouteUnicast; empty: where Via is
	Source      netip.Addr   `json:"source,omitzero"`     // preferred; invalid: the kernel's choice
	Table       uint32       `json:"table,omitempty"`     // 0: main
	Metric      uint32       `json:"metric,omitempty"`    // 0: the kernel's default
}

// String is the route as ip-route(8) shows it.
func (r Route) String() string {
	text := ""
	if r.Type != RouteUnicast {
		text = r.Type.String() + " "
	}
	text += r.Destination.String()
	for _, part := range []struct {
		name, value string
		is          bool
	}{
		{"via", r.Via.String(), r.Via.IsValid()}, {"dev", r.Interface, r.Interface != ""}, {"src", r.Source.String(), r.Source.IsValid()},
		{"table", decimal(r.Table), r.Table != 0}, {"metric", decimal(r.Metric), r.Metric != 0},
	} {
		if part.is {
			text += " " + part.name + " " + part.value
		}
	}
	return text
}

// Rule is a policy routing rule that exists while the router owns its
// addresses.
type Rule struct {
	Family   Family       `json:"family"`
	Priority uint32       `json:"priority"`
	From     netip.Prefix `json:"from,omitzero"` // invalid: all
	To       netip.Prefix `json:"to,omitzero"`   // invalid: all
	Mark     uint32       `json:"mark,omitempty"`
	Mask     uint32       `json:"mask,omitempty"` // of Mark; 0: all of it
	Input    string       `json:"input,omitempty"`
	Table    uint32       `json:"table"`
}

// String is the rule as ip-rule(8) shows it.
func (r Rule) String() string {
	text := decimal(r.Priority) + ": from "
	if r.From.IsValid() {
		text += r.From.String()
	} else {
		text += "all"
	}
	if r.To.IsValid() {
		text += " to " + r.To.String()
	}
	if r.Mark != 0 {
		text += " fwmark " + decimal(r.Mark)
		if r.Mask != 0 {
			text += "/" + decimal(r.Mask)
		}
	}
	if r.Input != "" {
		text += " iif " + r.Input
	}
	return text + " table " + decimal(r.Table)
}

func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
