package nft

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGuardKeys(t *testing.T) {
	a4, a6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	v4, v6, err := Guard{
		Addresses: []netip.Addr{a4, a6},
		Open:      []Endpoint{{Address: a4, Port: 443, Protocol: 6}, {Address: a6, Protocol: 17}},
	}.keys()
	if err != nil {
		t.Fatal(err)
	}
	want4 := [][]string{{"c0000201"}, {"c00002010600000001bb0000"}, nil}
	want6 := [][]string{{"20010db8000000000000000000000001"}, nil, {"20010db800000000000000000000000111000000"}}
	for i := range want4 {
		if diff := cmp.Diff(want4[i], hexed(v4[i])); diff != "" {
			t.Errorf("set %d of IPv4 (-want +got):\n%s", i, diff)
		}
		if diff := cmp.Diff(want6[i], hexed(v6[i])); diff != "" {
			t.Errorf("set %d of IPv6 (-want +got):\n%s", i, diff)
		}
	}
	for _, bad := range []Endpoint{{Address: a4}, {Port: 80, Protocol: 6}, {Protocol: 6}} {
		if _, _, err := (Guard{Open: []Endpoint{bad}}).keys(); err == nil {
			t.Errorf("%v is open", bad)
		}
	}
}
