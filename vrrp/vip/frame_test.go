package vip

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnnouncement(t *testing.T) {
	hw := net.HardwareAddr{0x02, 0, 0, 0, 0, 0x2a}
	for _, tc := range []struct {
		name, addr, to string
		router         bool
		etherType      uint16
		payload        string
	}{
		{"gratuitous ARP", "192.0.2.1", "ff:ff:ff:ff:ff:ff", true, 0x0806,
			"0001 0800 06 04 0001 02000000002a c0000201 ffffffffffff c0000201"},
		{"unsolicited NA of a router", "2001:db8::1", "33:33:00:00:00:01", true, 0x86dd,
			"60000000 0020 3a ff 20010db8000000000000000000000001 ff020000000000000000000000000001" +
				"88 00 7901 a0000000 20010db8000000000000000000000001 0201 02000000002a"},
		{"unsolicited NA of a host", "2001:db8::1", "33:33:00:00:00:01", false, 0x86dd,
			"60000000 0020 3a ff 20010db8000000000000000000000001 ff020000000000000000000000000001" +
				"88 00 f901 20000000 20010db8000000000000000000000001 0201 02000000002a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := announcement(netip.MustParseAddr(tc.addr), hw, tc.router)
			if err != nil {
				t.Fatal(err)
			}
			if f.etherType != tc.etherType || f.to.String() != tc.to {
				t.Errorf("got EtherType %#x to %s, want %#x to %s", f.etherType, f.to, tc.etherType, tc.to)
			}
			if diff := cmp.Diff(strings.ReplaceAll(tc.payload, " ", ""), hex.EncodeToString(f.payload)); diff != "" {
				t.Errorf("payload (-want +got):\n%s", diff)
			}
		})
	}
}
