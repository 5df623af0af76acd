package vrrp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var compareAddrs = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// The packets are those keepalived 2.2.7 sends for the same configuration.
func TestAdvertBytes(t *testing.T) {
	tests := []struct {
		name, src, dst, packet string
		advert                 Advert
	}{
		{
			"IPv4", "10.0.0.2", "224.0.0.18", "3133640100647572" + "0a000064",
			Advert{VRID: 51, Priority: 100, Interval: time.Second, Addresses: addrs("10.0.0.100")},
		},
		{
			"IPv4 unicast", "10.0.0.2", "10.0.0.1", "313464020001417c" + "0a000064" + "0a000065",
			Advert{VRID: 52, Priority: 100, Interval: 10 * time.Millisecond, Addresses: addrs("10.0.0.100", "10.0.0.101")},
		},
		{
			"IPv4, the other checksum", "10.0.0.2", "224.0.0.18", "3133c80100644402" + "c0000264",
			Advert{VRID: 51, Priority: 200, Interval: time.Second, Addresses: addrs("192.0.2.100"), Checksum: MessageOnly},
		},
		{
			"version 2", "10.0.0.2", "224.0.0.18", "213364010001" + "7066" + "0a000064" + "0000000000000000",
			Advert{Version: VRRPv2, VRID: 51, Priority: 100, Interval: time.Second, Addresses: addrs("10.0.0.100")},
		},
		{
			"IPv6", "fe80::2", "ff02::12", "31336401000a6ea0" + "fd000000000000000000000000000100",
			Advert{VRID: 51, Priority: 100, Interval: 100 * time.Millisecond, Addresses: addrs("fd00::100")},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, dst := netip.MustParseAddr(tt.src), netip.MustParseAddr(tt.dst)
			got, err := tt.advert.Marshal(src, dst)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.packet, hex.EncodeToString(got)); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
			back, err := ParseAdvert(got, src, dst)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.advert, back, compareAddrs); diff != "" {
				t.Errorf("parsed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseAdvertRefuses(t *testing.T) {
	src, dst := netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("224.0.0.18")
	good, err := Advert{VRID: 51, Priority: 100, Interval: time.Second, Addresses: addrs("10.0.0.100")}.Marshal(src, dst)
	if err != nil {
		t.Fatal(err)
	}
	zeroInterval := Advert{VRID: 51, Priority: 100}.encode(src, dst)
	plain := withoutPseudoHeader(good) // RFC 9568's IPv4 checksum
	reserved := bytes.Clone(good)
	reserved[4] |= 0xf0
	reserved = withoutPseudoHeader(reserved)

	version2 := Advert{Version: VRRPv2, VRID: 51, Priority: 100, Interval: time.Second}
	two := version2.encode(src, dst)
	two3 := bytes.Clone(two)
	Advert{}.seal(two3, src, dst)
	version2.Interval = 0
	two0 := version2.encode(src, dst)

	with := func(i int, v byte) []byte {
		b := bytes.Clone(good)
		b[i] = v
		return b
	}
	tests := []struct {
		name   string
		packet []byte
		want   DropReason // 0: accepted
	}{
		{"good", good, 0},
		{"padded", append(bytes.Clone(good), 0, 0, 0, 0), 0},
		{"with a trailer", append(bytes.Clone(good), 1, 2, 3), 0},
		{"plain checksum", plain, 0},
		{"reserved bits set", reserved, 0},
		{"empty", nil, DropLength},
		{"short header", good[:7], DropLength},
		{"short of addresses", good[:11], DropLength},
		{"version 2 without authentication data", with(0, 0x21), DropLength},
		{"version 2", two, 0},
		{"version 2 with a trailer", append(bytes.Clone(two), 1, 2, 3), 0},
		{"version 2, interval 0", two0, DropInterval},
		{"version 2 with a pseudo-header in the checksum", two3, DropChecksum},
		{"version 4", with(0, 0x41), DropVersion},
		{"type 2", with(0, 0x32), DropType},
		{"count too high", with(3, 2), DropLength},
		{"priority flipped", with(2, 101), DropChecksum},
		{"address flipped", with(11, 101), DropChecksum},
		{"interval 0", zeroInterval, DropInterval},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := ParseAdvert(tt.packet, src, dst)
			if err == nil && a.Interval != time.Second {
				t.Errorf("interval %v", a.Interval)
			}
			var got DropReason
			if errors.As(err, &got); got != tt.want {
				t.Errorf("want %v, got %v (%v)", tt.want, got, err)
			}
		})
	}
	t.Run("version 2 over IPv6", func(t *testing.T) {
		src, dst := netip.MustParseAddr("fe80::2"), netip.MustParseAddr("ff02::12")
		if _, err := ParseAdvert(two, src, dst); !errors.Is(err, DropVersion) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("IPv6 needs the pseudo-header", func(t *testing.T) {
		src, dst := netip.MustParseAddr("fe80::2"), netip.MustParseAddr("ff02::12")
		b := Advert{VRID: 51, Priority: 100, Interval: time.Second}.encode(src, dst)
		if _, err := ParseAdvert(b, netip.MustParseAddr("fe80::3"), dst); !errors.Is(err, DropChecksum) {
			t.Errorf("from another source: %v", err)
		}
		if _, err := ParseAdvert(withoutPseudoHeader(b), src, dst); !errors.Is(err, DropChecksum) {
			t.Errorf("without pseudo-header: %v", err)
		}
	})
}

// withoutPseudoHeader returns a copy of a packet with the checksum over nothing
// but itself.
func withoutPseudoHeader(packet []byte) []byte {
	b := bytes.Clone(packet)
	b[6], b[7] = 0, 0
	binary.BigEndian.PutUint16(b[6:], ^fold(sum(0, b)))
	return b
}

func TestMarshalRefuses(t *testing.T) {
	tests := []struct {
		name, src, dst string
		advert         Advert
		want           string
	}{
		{"interval 0", "10.0.0.1", "224.0.0.18", Advert{}, "interval"},
		{"interval too long", "10.0.0.1", "224.0.0.18", Advert{Interval: 41 * time.Second}, "interval"},
		{"version 2, part of a second", "10.0.0.1", "224.0.0.18", Advert{Version: VRRPv2, Interval: 1500 * time.Millisecond}, "interval"},
		{"version 2, 256 s", "10.0.0.1", "224.0.0.18", Advert{Version: VRRPv2, Interval: 256 * time.Second}, "interval"},
		{"version 2 over IPv6", "fe80::1", "ff02::12", Advert{Version: VRRPv2, Interval: time.Second}, "IPv4 only"},
		{"part of a centisecond", "10.0.0.1", "224.0.0.18", Advert{Interval: 15 * time.Millisecond}, "interval"},
		{"mixed families", "10.0.0.1", "ff02::12", Advert{Interval: time.Second}, "from 10.0.0.1 to ff02::12"},
		{"address of the other family", "10.0.0.1", "224.0.0.18", Advert{Interval: time.Second, Addresses: addrs("fd00::1")}, "fd00::1"},
		{"too many addresses", "10.0.0.1", "224.0.0.18", Advert{Interval: time.Second, Addresses: make([]netip.Addr, 256)}, "256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := tt.advert.Marshal(netip.MustParseAddr(tt.src), netip.MustParseAddr(tt.dst))
			if err == nil || b != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("want an error about %q, got %x, %v", tt.want, b, err)
			}
		})
	}
}

// An advert carries what fits and is never fragmented.
func TestFitting(t *testing.T) {
	many := func(f Family) (list []netip.Prefix) {
		for i := range 300 {
			a := netip.AddrFrom16([16]byte{0xfd, 14: byte(i >> 8), 15: byte(i)})
			if f == IPv4 {
				a = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
			}
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
		}
		return list
	}
	for f, want := range map[Family]int{IPv4: 255, IPv6: 77} {
		got := fitting(f, many(f), 0, 0)
		if len(got) != want {
			t.Errorf("%v: want %d addresses, got %d", f, want, len(got))
		}
		if n := headerLen + len(got)*addrLen(f); n > 1280-40 {
			t.Errorf("%v: %d bytes", f, n)
		}
	}
}

// FuzzParseAdvert: an error xor a value, which survives the way back.
func FuzzParseAdvert(f *testing.F) {
	for _, seed := range []string{
		"31336401006475720a000064", "31336401000a6ea0fd000000000000000000000000000100",
		"313464020001417c0a0000640a000065", "21", "", "3133ff00006400000000",
		"213364010001" + "7066" + "0a000064" + "0000000000000000", "3133c80100644402" + "c0000264",
	} {
		b, err := hex.DecodeString(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		src, dst := netip.MustParseAddr("10.0.0.2"), group4
		if six {
			src, dst = netip.MustParseAddr("fe80::2"), group6
		}
		a, err := ParseAdvert(b, src, dst)
		if err != nil {
			var reason DropReason
			if !errors.As(err, &reason) || reason == 0 || reason >= dropReasons {
				t.Fatalf("error without a reason: %v", err)
			}
			if diff := cmp.Diff(Advert{}, a); diff != "" {
				t.Fatalf("error and value:\n%s", diff)
			}
			return
		}
		again, err := a.Marshal(src, dst)
		if err != nil {
			t.Fatalf("parsed %+v, and cannot write it: %v", a, err)
		}
		back, err := ParseAdvert(again, src, dst)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, back, compareAddrs, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("round trip (-want +got):\n%s", diff)
		}
	})
}
