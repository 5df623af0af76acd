package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// DropReason says why an advert was not accepted. It is an error, so that
// callers of ParseAdvert find it with errors.As.
type DropReason uint8

// The reasons. Those up to DropInterval are found in the packet alone.
const (
	DropLength      DropReason = iota + 1 // shorter than its header and addresses
	DropVersion                           // not the router's version of the protocol, or none that we know
	DropType                              // not an advertisement
	DropChecksum                          // wrong in every form that the version has
	DropInterval                          // advert interval of zero; version 2: not the router's own
	DropVRID                              // no router of ours on this interface has this VRID
	DropTTL                               // TTL or hop limit too low: it has crossed routers
	DropOwnAddress                        // sent from our own address: a loop, or an address in use twice
	DropDestination                       // unicast to a multicast router, or the other way round
	DropNotPeer                           // source is not among the unicast peers
	DropAuthType                          // authenticated in another way than the router, or not at all
	DropPassword                          // AuthPassword: another one
	DropAH                                // AuthAH: a wrong check value, or no proper header
	DropHMAC                              // AuthHMAC: a wrong signature
	DropKey                               // AuthHMAC: signed with a key that is not configured
	DropClock                             // AuthHMAC: the sender's clock differs too much, or it is an old advert
	DropReplay                            // AuthAH and AuthHMAC: not later than one that was accepted
	dropReasons
)

var dropNames = [...]string{
	DropLength: "length", DropVersion: "version", DropType: "type",
	DropChecksum: "checksum", DropInterval: "interval", DropVRID: "vrid",
	DropTTL: "ttl", DropOwnAddress: "own-address",
	DropDestination: "destination", DropNotPeer: "not-peer",
	DropAuthType: "auth-type", DropPassword: "password", DropAH: "ah",
	DropHMAC: "hmac", DropKey: "key", DropClock: "clock", DropReplay: "replay",
}

// String returns the reason as a short label, such as "checksum".
func (r DropReason) String() string { return enumName(dropNames[:], r) }

// Error makes a reason an error.
func (r DropReason) Error() string { return "vrrp advert dropped: " + r.String() }

// MarshalText writes the label.
func (r DropReason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (r *DropReason) UnmarshalText(b []byte) error { return enumValue(dropNames[:], b, r) }

// Refusal is an advert that a router has refused.
type Refusal struct {
	At     time.Time  `json:"at"`
	Reason DropReason `json:"reason"`
	Addr   netip.Addr `json:"addr"`           // the sender
	Text   string     `json:"text,omitempty"` // what is wrong with it
}

// String tells people who is not listened to and why.
func (f Refusal) String() string {
	if f.Text == "" {
		return fmt.Sprintf("adverts of %v are refused (%v)", f.Addr, f.Reason.String())
	}
	return fmt.Sprintf("adverts of %v are refused (%v): it %s", f.Addr, f.Reason.String(), f.Text)
}

// refusals are the times of the last refusals, by reason.
type refusals map[DropReason]time.Time

// tellAgain is how long there must have been no refusal of a kind for the next
// one to be told of.
const tellAgain = time.Minute

// tell notes a refusal now, and says from when on it would have been worth
// telling.
func (f *refusals) tell(reason DropReason, now time.Time) time.Time {
	if *f == nil {
		*f = refusals{}
	}
	last, again := (*f)[reason]
	(*f)[reason] = now
	if !again {
		return now
	}
	return last.Add(tellAgain)
}
