package ipvs

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Attributes of the IPVS generic netlink family (<linux/ip_vs.h>,
// IPVS_CMD_ATTR_*, IPVS_SVC_ATTR_*, IPVS_DEST_ATTR_*, IPVS_STATS_ATTR_*).
const (
	attrService = 1
	attrDest    = 2

	svcFamily   = 1
	svcProtocol = 2
	svcAddress  = 3
	svcPort     = 4
	svcFWMark   = 5
	svcSched    = 6
	svcFlags    = 7
	svcTimeout  = 8
	svcNetmask  = 9
	svcEngine   = 11
	svcStats64  = 12

	destAddress    = 1
	destPort       = 2
	destForwarding = 3
	destWeight     = 4
	destUpper      = 5
	destLower      = 6
	destActive     = 7
	destInactive   = 8
	destFamily     = 11
	destStats64    = 12
	destTunType    = 13
	destTunPort    = 14
	destTunFlags   = 15

	statsConnections = 1
	statsPacketsIn   = 2
	statsPacketsOut  = 3
	statsBytesIn     = 4
	statsBytesOut    = 5
)

// Service flags (IP_VS_SVC_F_*).
const (
	flagPersistent = 0x1
	flagHashed     = 0x2 // the kernel's own
	flagOnePacket  = 0x4
	flagFallback   = 0x8  // SCHED1
	flagHashPort   = 0x10 // SCHED2
	flagsModelled  = flagPersistent | flagHashed | flagOnePacket | flagFallback | flagHashPort
)

const (
	familyIPv4 = 2  // AF_INET
	familyIPv6 = 10 // AF_INET6 of Linux

	forwardMask  = 0x7 // IP_VS_CONN_F_FWD_MASK
	addressBytes = 16  // of union nf_inet_addr, also for IPv4
	nested       = 1 << 15
)

// attributes is a growing list of netlink attributes: a length with the header,
// a type, the value, and padding to four bytes.
type attributes []byte

func (a *attributes) header(kind uint16, size int) {
	*a = binary.NativeEndian.AppendUint16(*a, uint16(4+size))
	*a = binary.NativeEndian.AppendUint16(*a, kind)
}

// padding follows a value of that size.
func (a *attributes) padding(size int) { *a = append(*a, "\x00\x00\x00"[:-size&3]...) }

func (a *attributes) add(kind uint16, value []byte) {
	a.header(kind, len(value))
	*a = append(*a, value...)
	a.padding(len(value))
}

func (a *attributes) u8(kind uint16, value uint8) {
	a.header(kind, 1)
	*a = append(*a, value, 0, 0, 0)
}

func (a *attributes) u16(kind, value uint16) {
	a.header(kind, 2)
	*a = append(binary.NativeEndian.AppendUint16(*a, value), 0, 0)
}

func (a *attributes) u32(kind uint16, value uint32) {
	a.header(kind, 4)
	*a = binary.NativeEndian.AppendUint32(*a, value)
}

// port is in network order.
func (a *attributes) port(kind, value uint16) {
	a.header(kind, 2)
	*a = append(binary.BigEndian.AppendUint16(*a, value), 0, 0)
}

func (a *attributes) text(kind uint16, value string) {
	a.header(kind, len(value)+1)
	*a = append(append(*a, value...), 0)
	a.padding(len(value) + 1)
}

func (a *attributes) address(kind uint16, addr netip.Addr) {
	a.header(kind, addressBytes)
	switch {
	case addr.Is6():
		v := addr.As16()
		*a = append(*a, v[:]...)
	default:
		v := addr.As4()
		*a = append(append(*a, v[:]...), make([]byte, addressBytes-len(v))...)
	}
}

// nest writes an attribute that holds what f writes.
func (a *attributes) nest(kind uint16, f func(*attributes)) {
	start := len(*a)
	a.header(kind|nested, 0)
	f(a)
	binary.NativeEndian.PutUint16((*a)[start:], uint16(len(*a)-start))
}

// each calls f for every attribute of data; it is false when data is cut off.
func each(data []byte, f func(kind uint16, value []byte)) bool {
	for len(data) >= 4 {
		size := int(binary.NativeEndian.Uint16(data))
		if size < 4 || size > len(data) {
			return false
		}
		f(binary.NativeEndian.Uint16(data[2:])&^nested, data[4:size])
		data = data[min(len(data), (size+3)&^3):]
	}
	return len(data) == 0
}

// encode appends the attributes of a command to b.
func encode(b []byte, c Command) []byte {
	a := attributes(b)
	a.nest(attrService, func(a *attributes) {
		encodeKey(a, c.Service.Key)
		if c.Op == NewService || c.Op == SetService {
			encodeSettings(a, c.Service)
		}
	})
	switch c.Op {
	case NewDest, SetDest, DelDest:
		a.nest(attrDest, func(a *attributes) { encodeDestination(a, c.Destination) })
	}
	return a
}

// encodeKey names a service.
func encodeKey(a *attributes, k Key) {
	family := uint16(familyIPv4)
	if k.is6() {
		family = familyIPv6
	}
	a.u16(svcFamily, family)
	if k.FWMark != 0 {
		a.u32(svcFWMark, k.FWMark)
		return
	}
	a.u16(svcProtocol, uint16(k.Protocol))
	a.address(svcAddress, k.Address)
	a.port(svcPort, k.Port)
}

// encodeSettings says how a service balances. A netmask of 0 would be refused
// for IPv6 and would lump all clients together for IPv4.
func encodeSettings(a *attributes, s Service) {
	var flags uint32
	set := func(on bool, flag uint32) {
		if on {
			flags |= flag
		}
	}
	set(s.Persistence > 0, flagPersistent)
	set(s.OnePacket, flagOnePacket)
	set(s.Fallback, flagFallback)
	set(s.HashPort, flagHashPort)
	a.text(svcSched, s.Scheduler)
	if s.Engine != "" {
		a.text(svcEngine, s.Engine)
	}
	a.header(svcFlags, 8) // struct ip_vs_flags: flags and their mask
	*a = binary.NativeEndian.AppendUint32(*a, flags)
	*a = binary.NativeEndian.AppendUint32(*a, ^uint32(0))
	a.u32(svcTimeout, uint32(s.Persistence/time.Second))
	length := s.Netmask
	if length == 0 {
		length = bits(s.is6())
	}
	if s.is6() {
		a.u32(svcNetmask, uint32(length)) // a length, unlike IPv4's
		return
	}
	a.header(svcNetmask, 4)
	*a = binary.BigEndian.AppendUint32(*a, ^uint32(0)<<(32-length))
}

func encodeDestination(a *attributes, d Destination) {
	family := uint16(familyIPv4)
	if d.Address.Is6() {
		family = familyIPv6
	}
	a.address(destAddress, d.Address)
	a.port(destPort, d.Port)
	a.u32(destForwarding, uint32(d.Forwarding))
	a.u32(destWeight, uint32(d.Weight))
	a.u32(destUpper, d.Upper)
	a.u32(destLower, d.Lower)
	a.u16(destFamily, family)
	a.u8(destTunType, uint8(d.Tunnel.Type))
	a.port(destTunPort, d.Tunnel.Port)
	a.u16(destTunFlags, uint16(d.Tunnel.Checksum))
}

// errTruncated is an answer of the kernel that cannot be read.
var errTruncated = fmt.Errorf("the kernel's answer is cut off")

// inside returns the value of the one attribute that an answer consists of.
func inside(data []byte, want uint16) (value []byte, err error) {
	if !each(data, func(kind uint16, v []byte) {
		if kind == want {
			value = v
		}
	}) || value == nil {
		return nil, errTruncated
	}
	return value, nil
}

// decodeService reads a service without destinations, and what went through it.
func decodeService(data []byte) (s Service, t Traffic, err error) {
	if data, err = inside(data, attrService); err != nil {
		return s, t, err
	}
	var raw rawService
	if !each(data, raw.read) || raw.short {
		return s, t, errTruncated
	}
	s, err = raw.service()
	return s, raw.traffic, err
}

// rawService is a service as its attributes show it.
type rawService struct {
	family, protocol, port        uint16
	address                       []byte
	mark, flags, timeout, netmask uint32
	scheduler, engine             string
	traffic                       Traffic
	short                         bool // an attribute was too short
}

func (r *rawService) read(kind uint16, v []byte) {
	switch kind {
	case svcFamily:
		r.family = uint16(number(v, 2, &r.short))
	case svcProtocol:
		r.protocol = uint16(number(v, 2, &r.short))
	case svcAddress:
		r.address = v
	case svcPort:
		r.port = networkPort(v, &r.short)
	case svcFWMark:
		r.mark = uint32(number(v, 4, &r.short))
	case svcSched:
		r.scheduler = text(v)
	case svcEngine:
		r.engine = text(v)
	case svcFlags:
		r.flags = uint32(number(v, 4, &r.short))
	case svcTimeout:
		r.timeout = uint32(number(v, 4, &r.short))
	case svcNetmask:
		if r.short = r.short || len(v) < 4; !r.short {
			r.netmask = binary.NativeEndian.Uint32(v)
		}
	case svcStats64:
		r.traffic = decodeTraffic(v, &r.short)
	}
}

func (r *rawService) service() (Service, error) {
	s := Service{
		Scheduler: r.scheduler, Engine: r.engine,
		Fallback: r.flags&flagFallback != 0, HashPort: r.flags&flagHashPort != 0, OnePacket: r.flags&flagOnePacket != 0,
		Unmodelled: r.flags&^flagsModelled != 0,
	}
	is6 := r.family == familyIPv6
	if s.Key = (Key{FWMark: r.mark, IPv6: is6}); r.mark == 0 {
		addr, err := address(r.address, is6)
		if err != nil {
			return s, err
		}
		s.Key = Key{Address: addr, Port: r.port, Protocol: Protocol(r.protocol)}
	}
	if r.flags&flagPersistent == 0 {
		return s, nil
	}
	s.Persistence = time.Duration(r.timeout) * time.Second
	length, whole := maskLength(r.netmask, is6)
	s.Unmodelled = s.Unmodelled || !whole
	if length != bits(is6) {
		s.Netmask = length
	}
	return s, nil
}

// maskLength is the prefix length of a netmask as the kernel has it; false for
// one that is no prefix.
func maskLength(mask uint32, is6 bool) (length int, ok bool) {
	if is6 {
		return int(mask), mask <= 128
	}
	m := binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, mask))
	for length < 32 && m&(1<<(31-length)) != 0 {
		length++
	}
	return length, m<<length == 0
}

// decodeDestination reads a destination of a service.
func decodeDestination(data []byte, serviceIs6 bool) (d Destination, err error) {
	if data, err = inside(data, attrDest); err != nil {
		return d, err
	}
	var short bool
	var raw []byte
	is6 := serviceIs6 // kernels before 3.18 do not say
	ok := each(data, func(kind uint16, v []byte) {
		switch kind {
		case destAddress:
			raw = v
		case destPort:
			d.Port = networkPort(v, &short)
		case destForwarding:
			method := number(v, 4, &short) & forwardMask
			d.Forwarding = Forwarding(method)
		case destWeight:
			d.Weight = int(int32(number(v, 4, &short)))
		case destUpper:
			d.Upper = uint32(number(v, 4, &short))
		case destLower:
			d.Lower = uint32(number(v, 4, &short))
		case destActive:
			d.Stats.Active = int(number(v, 4, &short))
		case destInactive:
			d.Stats.Inactive = int(number(v, 4, &short))
		case destFamily:
			is6 = number(v, 2, &short) == familyIPv6
		case destStats64:
			d.Stats.Traffic = decodeTraffic(v, &short)
		case destTunType:
			d.Tunnel.Type = TunnelType(number(v, 1, &short))
		case destTunPort:
			d.Tunnel.Port = networkPort(v, &short)
		case destTunFlags:
			flags := number(v, 2, &short)
			d.Tunnel.Checksum = Checksum(flags)
			d.Unmodelled = flags > uint64(RemoteChecksum)
		}
	})
	if !ok || short {
		return d, errTruncated
	}
	if d.Forwarding != TUN {
		d.Tunnel = Tunnel{} // it is left over from before
	}
	d.Address, err = address(raw, is6)
	return d, err
}

func decodeTraffic(data []byte, short *bool) (t Traffic) {
	ok := each(data, func(kind uint16, v []byte) {
		switch kind {
		case statsConnections:
			t.Connections = number(v, 8, short)
		case statsPacketsIn:
			t.PacketsIn = number(v, 8, short)
		case statsPacketsOut:
			t.PacketsOut = number(v, 8, short)
		case statsBytesIn:
			t.BytesIn = number(v, 8, short)
		case statsBytesOut:
			t.BytesOut = number(v, 8, short)
		}
	})
	*short = *short || !ok
	return t
}

// number reads a number of that many bytes in native order.
func number(v []byte, size int, short *bool) uint64 {
	if len(v) < size {
		*short = true
		return 0
	}
	switch size {
	case 1:
		return uint64(v[0])
	case 2:
		return uint64(binary.NativeEndian.Uint16(v))
	case 4:
		return uint64(binary.NativeEndian.Uint32(v))
	}
	return binary.NativeEndian.Uint64(v)
}

func networkPort(v []byte, short *bool) uint16 {
	if len(v) < 2 {
		*short = true
		return 0
	}
	return binary.BigEndian.Uint16(v)
}

func text(v []byte) string {
	s, _, _ := strings.Cut(string(v), "\x00")
	return s
}

func address(v []byte, is6 bool) (netip.Addr, error) {
	size := bits(is6) / 8
	if len(v) < size {
		return netip.Addr{}, fmt.Errorf("%d bytes of address: %w", len(v), errTruncated)
	}
	addr, _ := netip.AddrFromSlice(v[:size])
	return addr, nil
}
