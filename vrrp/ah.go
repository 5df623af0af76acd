package vrrp

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// The IP Authentication Header (RFC 4302 §2) as keepalived uses it for VRRPv2.
// MD5 is here for its sake alone: who can choose takes AuthHMAC.
const (
	protocolAH = 51 // the IP protocol number
	ahLen      = 24
	icvAt      = 12 // where the integrity check value begins,
	icvLen     = 12 // HMAC-MD5-96 (RFC 2403)

	// ahMargin is by how many adverts a router can have got ahead of one a
	// second, for all that another process knows.
	ahMargin = 60
)

// header4 is the IPv4 header of a packet by AH, whose check covers it.
func header4(src, dst netip.Addr, id uint16, length int) [20]byte {
	h := [20]byte{0: 0x45, 1: trafficClass, 8: hopLimit, 9: protocolAH}
	binary.BigEndian.PutUint16(h[2:], uint16(20+length))
	binary.BigEndian.PutUint16(h[4:], id)
	s, d := src.As4(), dst.As4()
	copy(h[12:], s[:])
	copy(h[16:], d[:])
	return h
}

// icv is the integrity check value of a packet, which begins with its
// Authentication Header. As keepalived has it, the header's TTL counts as zero
// for unicast only; the other fields that routers change are zero.
func icv(key [authDataLen]byte, src, dst netip.Addr, id uint16, packet []byte) [icvLen]byte {
	h := header4(src, dst, id, len(packet))
	h[1] = 0
	if !dst.IsMulticast() {
		h[8] = 0
	}
	mac := hmac.New(md5.New, key[:])
	mac.Write(h[:])
	mac.Write(packet[:icvAt])
	mac.Write(make([]byte, icvLen))
	mac.Write(packet[ahLen:])
	return [icvLen]byte(mac.Sum(nil))
}

// sendAH puts an Authentication Header before each packet. All have the next
// sequence number: keepalived accepts only what is above all it has seen, from
// whomever, so ours is above all that we have. It is at least the time in
// seconds, so that it rises over a restart, too.
func (r *router) sendAH(now time.Time, adverts []Send) []Send {
	m := &r.memory
	m.ahSent = max(m.ahSent+1, m.ahHeard+1, uint32(now.Unix()))
	signed := make([]Send, len(adverts))
	for i, s := range adverts {
		b := make([]byte, ahLen, ahLen+len(s.Packet))
		b[0] = Protocol
		b[1] = ahLen/4 - 2
		src := s.Src.As4()
		copy(b[4:], src[:]) // the security parameters index, by keepalived's convention
		binary.BigEndian.PutUint32(b[8:], m.ahSent)
		b = append(b, s.Packet...)
		s.AH, s.ID = true, max(1, uint16(m.ahSent)) // the kernel puts its own in place of 0
		sum := icv(r.Auth.password(), s.Src, s.Dst, s.ID, b)
		copy(b[icvAt:], sum[:])
		s.Packet = b
		signed[i] = s
	}
	return signed
}

// follow makes our next sequence number one that must follow those of another
// process which has signed for the same router until now.
func (m *memory) follow(now time.Time) { m.ahSent = uint32(now.Unix()) + ahMargin }

// advert returns the part of a packet that ParseAdvert reads.
func (e Received) advert() ([]byte, bool) {
	if !e.AH {
		return e.Packet, true
	}
	if !e.Src.Is4() || !e.Dst.Is4() || len(e.Packet) < ahLen || e.Packet[0] != Protocol || e.Packet[1] != ahLen/4-2 {
		return nil, false
	}
	return e.Packet[ahLen:], true
}

// hearAH says what is wrong with the Authentication Header of a packet. Each
// sender has a sequence of its own (RFC 2402 §3.4.3: one for each parameters
// index, which is the sender), so that owners who begin at the same time hear
// each other.
func (r *router) hearAH(e Received) doubt {
	want := icv(r.Auth.password(), e.Src, e.Dst, e.ID, e.Packet)
	if subtle.ConstantTimeCompare(want[:], e.Packet[icvAt:ahLen]) != 1 {
		return doubt{DropAH, "has a wrong check value: another password, or changed on its way"}
	}
	if src := e.Src.As4(); [4]byte(e.Packet[4:8]) != src {
		return doubt{DropAH, "has a security parameters index that is not its address"}
	}
	seq := binary.BigEndian.Uint32(e.Packet[8:])
	m := &r.memory
	if seq <= m.ahFrom[e.Src] {
		return doubt{DropReplay, fmt.Sprintf("has sequence number %d; heard up to %d", seq, m.ahFrom[e.Src])}
	}
	if m.ahFrom == nil {
		m.ahFrom = map[netip.Addr]uint32{}
	}
	m.ahFrom[e.Src], m.ahHeard = seq, max(m.ahHeard, seq)
	return doubt{}
}
