package vrrp

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"time"
)

// The trailer of keepalived's auth_hmac (since 2.4), behind the advert:
//
//	 0                   1                   2                   3
//	+---------------+---------------+-------------------------------+
//	| type          | key id        | reserved, 0                   |
//	+---------------+---------------+-------------------------------+
//	| seconds since 1970, UTC                                       |
//	+-------------------------------+-------------------------------+
//	| 1/65536 s                     | counter                       |
//	+-------------------------------+-------------------------------+
//	| HMAC-SHA-256, the first 16 bytes                              |
//	+---------------------------------------------------------------+
//
// Time and counter together are one sequence, which only rises. The HMAC covers
// a pseudo-header (family, version, VRID, 0, source address filled up to 16
// bytes), the advert with a checksum of zero, and the trailer with an HMAC of
// zero: not the destination, so that all peers get the same.
const (
	trailerLen  = 28
	trailerType = 1
	sequenceAt  = 4
	digestAt    = 12
	digestLen   = 16
)

// digest is the HMAC of a signed advert: pdu is the advert and the trailer, whose
// own HMAC does not count.
func digest(key []byte, version Version, src netip.Addr, pdu []byte) [digestLen]byte {
	mac := hmac.New(sha256.New, key)
	pseudo := [20]byte{uint8(familyOf(src)), version.number(), pdu[1]}
	copy(pseudo[4:], src.AsSlice())
	mac.Write(pseudo[:])
	mac.Write(pdu[:6])
	mac.Write([]byte{0, 0})
	mac.Write(pdu[8 : len(pdu)-digestLen])
	mac.Write(make([]byte, digestLen))
	return [digestLen]byte(mac.Sum(nil)[:digestLen])
}

// sequence is the time as a sequence: seconds, a fraction, and a counter of 0.
func sequence(now time.Time) uint64 {
	return uint64(uint32(now.Unix()))<<32 | uint64(now.Nanosecond())<<16/1e9<<16
}

// after says whether sequence a follows b (RFC 1982): it survives the year 2106.
func after(a, b uint64) bool { return int64(a-b) > 0 }

// skewOf is by how much the clock that made a sequence is behind ours, in whole
// seconds.
func skewOf(now time.Time, seq uint64) time.Duration {
	return time.Duration(int32(uint32(now.Unix())-uint32(seq>>32))) * time.Second
}

// window is how far clocks may differ.
func (r *router) window() time.Duration {
	if r.Auth.Window != 0 {
		return r.Auth.Window
	}
	return max((3*r.AdvertInterval + time.Second - 1).Truncate(time.Second), leastWindow)
}

// nextSequence is the one for our next advert. A clock that was set back far is
// followed, since nobody accepts what is beyond the window.
func (r *router) nextSequence(now time.Time) uint64 {
	m := &r.memory
	clock := sequence(now)
	if after(clock, m.signed) || -skewOf(now, m.signed) > r.window() {
		m.signed = clock
	} else {
		m.signed++
	}
	return m.signed
}

// sendHMAC appends the same trailer to each packet.
func (r *router) sendHMAC(now time.Time, adverts []Send) []Send {
	if len(adverts) == 0 {
		return nil
	}
	trailer := make([]byte, trailerLen)
	trailer[0], trailer[1] = trailerType, r.Auth.Active
	binary.BigEndian.PutUint64(trailer[sequenceAt:], r.nextSequence(now))
	signed := make([]Send, len(adverts))
	for i, s := range adverts {
		b := make([]byte, 0, len(s.Packet)+trailerLen)
		b = append(append(b, s.Packet...), trailer...)
		if i == 0 {
			sum := digest(r.Auth.key(r.Auth.Active).Secret.bytes(), r.Version, s.Src, b)
			copy(trailer[digestAt:], sum[:])
		}
		copy(b[len(b)-digestLen:], trailer[digestAt:])
		if s.Src.Is6() { // the kernel's checksum covers all that follows the IP header
			Advert{Version: r.Version}.seal(b, s.Src, s.Dst)
		}
		s.Packet = b
		signed[i] = s
	}
	return signed
}

// hearHMAC says what is wrong with the trailer of an advert.
func (n *Node) hearHMAC(r *router, e Received, a Advert) doubt {
	size := a.size(r.Family)
	if len(e.Packet) != size+trailerLen {
		if r.Auth.Mode != Enforce {
			return doubt{}
		}
		return doubt{DropAuthType, "is not signed"}
	}
	trailer := e.Packet[size:]
	if trailer[0] != trailerType || trailer[2] != 0 || trailer[3] != 0 {
		return doubt{DropHMAC, "has a trailer of an unknown kind"}
	}
	seq := binary.BigEndian.Uint64(trailer[sequenceAt:])
	// Before the HMAC, which costs more: this only refuses.
	if skew := skewOf(n.now, seq); skew.Abs() > r.window() {
		side := "behind"
		if skew < 0 {
			side = "ahead of"
		}
		return doubt{DropClock, fmt.Sprintf("has a clock that differs by %v (%s ours, or it is an old advert sent again); at most %v may be", skew.Abs(), side, r.window())}
	}
	key := r.Auth.key(trailer[1])
	if key == nil {
		return doubt{DropKey, fmt.Sprintf("is signed with key %d, which is not configured here", trailer[1])}
	}
	want := digest(key.Secret.bytes(), a.Version, e.Src, e.Packet)
	if subtle.ConstantTimeCompare(want[:], trailer[digestAt:]) != 1 {
		return doubt{DropHMAC, fmt.Sprintf("has a wrong signature: another key %d, or changed on its way", trailer[1])}
	}
	return n.remember(r, e.Src, seq)
}

// remember refuses a sequence that does not follow the sender's last one. What
// has left the window orders nothing any more: the window itself refuses it.
func (n *Node) remember(r *router, from netip.Addr, seq uint64) doubt {
	m := &r.memory
	left := func(_ netip.Addr, last uint64) bool { return skewOf(n.now, last).Abs() > r.window() }
	if last, ok := m.heard[from]; ok && !left(from, last) && !after(seq, last) {
		return doubt{DropReplay, "is not later than its last one"}
	}
	maps.DeleteFunc(m.heard, left)
	if m.heard == nil {
		m.heard = map[netip.Addr]uint64{}
	}
	m.heard[from] = seq
	return doubt{}
}
