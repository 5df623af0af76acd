package ipvs

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEncode pins bytes: kernel numbers, orders and sizes.
func TestEncode(t *testing.T) {
	key := Key{Address: addr("192.0.2.1"), Port: 80, Protocol: TCP}
	const keyBytes = "0600010002000000" + "0600020006000000" + "14000300c0000201000000000000000000000000" + "0600040000500000"
	tests := []struct {
		name string
		give Command
		want string
	}{
		{"delete a service", Command{Op: DelService, Service: Service{Key: key}}, "30000180" + keyBytes},
		{"new service", Command{Op: NewService, Service: Service{Key: key, Scheduler: "sh", HashPort: true, Persistence: time.Minute, Netmask: 24}},
			"54000180" + keyBytes + "0700060073680000" + "0c00070011000000ffffffff" + "080008003c000000" + "08000900ffffff00"},
		{"mark", Command{Op: DelService, Service: Service{Key: Key{FWMark: 7, IPv6: true}}}, "14000180" + "060001000a000000" + "0800050007000000"},
		{"tunnel", Command{Op: NewDest, Service: Service{Key: Key{FWMark: 7}}, Destination: Destination{
			Address: addr("10.0.0.1"), Forwarding: TUN, Weight: 3, Upper: 9, Lower: 5, Tunnel: Tunnel{Type: GUE, Port: 6080, Checksum: WithChecksum}}},
			"14000180" + "0600010002000000" + "0800050007000000" +
				"60000280" + "140001000a000001000000000000000000000000" + "0600020000000000" + "0800030002000000" + "0800040003000000" +
				"0800050009000000" + "0800060005000000" + "06000b0002000000" + "05000d0001000000" + "06000e0017c00000" + "06000f0001000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := hex.EncodeToString(encode(nil, tt.give)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// everything is a table with every setting that is modelled.
func everything() []Service {
	return []Service{
		{Key: Key{Address: addr("192.0.2.1"), Port: 80, Protocol: TCP}, Scheduler: "mh", Fallback: true, HashPort: true,
			Destinations: []Destination{{Address: addr("10.0.0.1"), Port: 8080, Weight: 65535, Upper: 1<<31 - 1, Lower: 1}}},
		{Key: Key{Address: addr("192.0.2.1"), Port: 5060, Protocol: UDP}, Scheduler: "rr", OnePacket: true, Persistence: time.Hour, Engine: "sip"},
		{Key: Key{Address: addr("192.0.2.1"), Port: 36412, Protocol: SCTP}, Scheduler: "rr", Persistence: time.Second, Netmask: 1},
		{Key: Key{Address: addr("2001:db8::1"), Port: 0, Protocol: TCP}, Scheduler: "wlc", Persistence: time.Hour, Netmask: 64,
			Destinations: []Destination{{Address: addr("fd00::1"), Forwarding: DR, Weight: 1}}},
		{Key: Key{FWMark: 1}, Scheduler: "rr", Destinations: []Destination{
			{Address: addr("10.0.0.1"), Forwarding: TUN, Weight: 1},
			{Address: addr("10.0.0.2"), Forwarding: TUN, Weight: 1, Tunnel: Tunnel{Type: GUE, Port: 6080, Checksum: RemoteChecksum}},
			{Address: addr("10.0.0.3"), Forwarding: TUN, Weight: 1, Tunnel: Tunnel{Type: GRE, Checksum: WithChecksum}},
			{Address: addr("fd00::3"), Forwarding: TUN, Weight: 1},
		}},
		{Key: Key{FWMark: 1<<32 - 1, IPv6: true}, Scheduler: "rr", Destinations: []Destination{{Address: addr("10.0.0.3"), Forwarding: TUN}}},
	}
}

// TestCodec: what is encoded is decoded again.
func TestCodec(t *testing.T) {
	for _, s := range everything() {
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		got, _, err := decodeService(serviceEntry(s))
		if d := cmp.Diff(s.bare(), got, sameTable...); d != "" || err != nil {
			t.Errorf("%v: error %v (-want +got):\n%s", s.Key, err, d)
		}
		for _, want := range s.Destinations {
			got, err := decodeDestination(destEntry(want), s.is6())
			if d := cmp.Diff(want, got, sameTable...); d != "" || err != nil {
				t.Errorf("%v: error %v (-want +got):\n%s", s.Key, err, d)
			}
		}
	}
}

// TestDecode is what only the kernel says, or somebody else has set.
func TestDecode(t *testing.T) {
	service := func(flags, netmask uint32) []byte {
		return entryOf(attrService, func(a *attributes) {
			encodeKey(a, Key{Address: addr("192.0.2.1"), Port: 80, Protocol: TCP})
			a.text(svcSched, "rr")
			a.u32(svcFlags, flags)
			a.u32(svcTimeout, 60)
			a.u32(svcNetmask, netmask)
		})
	}
	for _, tt := range []struct {
		name           string
		flags, netmask uint32
		unmodelled     bool
		persistence    time.Duration
	}{
		{"plain", flagHashed, 0xffffffff, false, 0},
		{"persistent", flagHashed | flagPersistent, 0xffffffff, false, time.Minute},
		{"a third flag", flagHashed | 0x20, 0xffffffff, true, 0},
		{"a mask with holes", flagHashed | flagPersistent, 0xff00ff, true, time.Minute},
	} {
		s, _, err := decodeService(service(tt.flags, tt.netmask))
		if err != nil || s.Unmodelled != tt.unmodelled || s.Persistence != tt.persistence || s.Netmask != 0 && !tt.unmodelled {
			t.Errorf("%s: %+v, %v", tt.name, s, err)
		}
	}
	whole := entryOf(attrDest, func(a *attributes) {
		encodeDestination(a, Destination{Address: addr("10.0.0.1"), Port: 80})
		a.u32(destForwarding, 0x100|uint32(DR)) // connection flags beside it
		a.u32(destActive, 2)
		a.u32(destInactive, 5)
		a.nest(destStats64, func(a *attributes) {
			for i := range uint16(5) {
				a.add(1+i, []byte{byte(10 + i), 0, 0, 0, 1, 0, 0, 0})
			}
		})
		a.u32(99, 0) // of a later kernel
	})
	want := Destination{Address: addr("10.0.0.1"), Port: 80, Forwarding: DR, Stats: Stats{Active: 2, Inactive: 5, Traffic: Traffic{
		Connections: 1<<32 + 10, PacketsIn: 1<<32 + 11, PacketsOut: 1<<32 + 12, BytesIn: 1<<32 + 13, BytesOut: 1<<32 + 14}}}
	got, err := decodeDestination(whole, false)
	if d := cmp.Diff(want, got, sameTable...); d != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, d)
	}
	for n := range len(whole) - 1 {
		if _, err := decodeDestination(whole[:n], false); !errors.Is(err, errTruncated) {
			t.Errorf("%d bytes of %d: %v", n, len(whole), err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range everything() {
		f.Add(serviceEntry(s))
		for _, d := range s.Destinations {
			f.Add(destEntry(d))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, _, err := decodeService(data); err == nil && !s.Unmodelled && s.Validate() == nil {
			again, _, err := decodeService(serviceEntry(s))
			if d := cmp.Diff(s, again, sameTable...); d != "" || err != nil {
				t.Errorf("error %v (-first +second):\n%s", err, d)
			}
		}
		if d, err := decodeDestination(data, false); err == nil && !d.Address.IsValid() {
			t.Errorf("destination without address: %+v", d)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	cmds := Diff(nil, table(1, batchSize-1, 1), nil)
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = buf[:0]
		for _, c := range cmds {
			buf = encode(buf, c)
		}
	}
}
