package nft

import (
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func hexed(k keys) []string {
	var out []string
	for _, key := range k {
		out = append(out, hex.EncodeToString([]byte(key)))
	}
	return out
}

func TestEndpointKeys(t *testing.T) {
	a4, a6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	v4, v6, err := endpointKeys([]Endpoint{
		{Address: a4, Port: 443, Protocol: 6},
		{Address: a4, Port: 80, Protocol: 17},
		{Address: a6, Port: 0x1234, Protocol: 132},
		{Address: netip.MustParseAddr("::ffff:192.0.2.1"), Port: 443, Protocol: 6}, // again
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"c00002010600000001bb0000", "c00002011100000000500000"}, hexed(v4)); diff != "" {
		t.Errorf("IPv4 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"20010db8000000000000000000000001" + "8400000012340000"}, hexed(v6)); diff != "" {
		t.Errorf("IPv6 (-want +got):\n%s", diff)
	}
	if _, _, err := endpointKeys([]Endpoint{{Port: 80, Protocol: 6}}); err == nil {
		t.Error("no error for an endpoint without address")
	}
}

func TestByFamily(t *testing.T) {
	v4, v6 := byFamily([]netip.Addr{
		netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("fe80::1%eth0"), {},
		netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("192.0.2.2"),
	})
	if diff := cmp.Diff([]string{"c0000201", "c0000202"}, hexed(v4)); diff != "" {
		t.Errorf("IPv4 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"fe800000000000000000000000000001"}, hexed(v6)); diff != "" {
		t.Errorf("IPv6 (-want +got):\n%s", diff)
	}
}

func TestMissing(t *testing.T) {
	for _, tc := range []struct {
		name        string
		have, other keys
		want        keys
	}{
		{"nothing", nil, nil, nil},
		{"equal", keys{"a", "b"}, keys{"a", "b"}, nil},
		{"all", keys{"a", "b"}, nil, keys{"a", "b"}},
		{"some", keys{"a", "b", "c"}, keys{"b", "d"}, keys{"a", "c"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.have.missing(tc.other)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
