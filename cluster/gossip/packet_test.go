package gossip

import (
	"bytes"
	"crypto/cipher"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func ciphers(keys ...Key) []cipher.AEAD { return newRing(keys).ciphers() }

// TestPacket: both directions, with and without encryption, and with keys that
// fit and that do not.
func TestPacket(t *testing.T) {
	text := []byte("an advert")
	one, two := newCipher(testKey(1)), newCipher(testKey(2))
	tests := []struct {
		name string
		seal cipher.AEAD
		open []cipher.AEAD
		want content
		by   int
	}{
		{"plain", nil, nil, user, 0},
		{"first key", one, []cipher.AEAD{one, two}, user, 0},
		{"second key", two, []cipher.AEAD{one, two}, user, 1},
		{"another key", two, []cipher.AEAD{one}, unreadable, 0},
		{"plain where it must not be", nil, []cipher.AEAD{one}, unreadable, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := packUser(tt.seal, [nonceLen]byte{1}, text)
			what, got, by := unpack(tt.open, p)
			if what != tt.want || by != tt.by || what == user && !bytes.Equal(got, text) {
				t.Errorf("got %d %q by %d, want %d by %d", what, got, by, tt.want, tt.by)
			}
			if tt.seal == nil || what != user {
				return
			}
			if bytes.Contains(p, text) {
				t.Error("the text can be read")
			}
			for i := range p {
				bad := bytes.Clone(p)
				bad[i] ^= 1
				if what, _, _ := unpack(tt.open, bad); what == user {
					t.Errorf("byte %d may be changed", i)
				}
				if what, _, _ := unpack(tt.open, p[:i]); what == user {
					t.Errorf("%d bytes are enough", i)
				}
			}
		})
	}
}

func FuzzPacket(f *testing.F) {
	aeads := ciphers(testKey(1), testKey(2))
	f.Add(packUser(aeads[0], [nonceLen]byte{1}, []byte("text")))
	f.Add(packUser(nil, [nonceLen]byte{}, []byte("text")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if what, _, _ := unpack(aeads, b); what == membership {
			t.Errorf("%x is believed", b)
		}
		if what, text, _ := unpack(nil, b); what == user {
			if p := packUser(nil, [nonceLen]byte{}, text); len(p) > len(b) || !bytes.HasSuffix(b, text) {
				t.Errorf("%x is read as %x", b, text)
			}
		}
	})
}

// heard is what memberlist gives a program.
type heard struct{ messages chan string }

func (h heard) NodeMeta(int) []byte             { return nil }
func (h heard) NotifyMsg(b []byte)              { h.messages <- string(b) }
func (h heard) GetBroadcasts(_, _ int) [][]byte { return nil }
func (h heard) LocalState(bool) []byte          { return nil }
func (h heard) MergeRemoteState([]byte, bool)   {}

// TestPacketIsMemberlists: the library itself hears our packets as user
// messages, and we hear its own.
func TestPacketIsMemberlists(t *testing.T) {
	for _, key := range []*Key{nil, {&[KeySize]byte{7}}} {
		t.Run(fmt.Sprint("encrypted ", key != nil), func(t *testing.T) {
			c := memberlist.DefaultLANConfig()
			h := heard{make(chan string, 1)}
			c.Name, c.Label, c.BindAddr, c.BindPort, c.Delegate = "library", label, "127.0.0.1", 0, h
			c.EnableCompression, c.Logger = false, quiet(slogTo(t))
			var aead cipher.AEAD
			var open []cipher.AEAD
			if key != nil {
				c.SecretKey = key.Bytes()
				aead = newCipher(*key)
				open = []cipher.AEAD{aead}
			}
			list, err := memberlist.Create(c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = list.Shutdown() })
			ours, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
			if err != nil {
				t.Fatal(err)
			}
			defer ours.Close()
			to := net.UDPAddr{IP: list.LocalNode().Addr, Port: int(list.LocalNode().Port)}
			if _, err := ours.WriteTo(packUser(aead, [nonceLen]byte{5}, []byte("from us")), &to); err != nil {
				t.Fatal(err)
			}
			select {
			case got := <-h.messages:
				if got != "from us" {
					t.Errorf("it hears %q", got)
				}
			case <-time.After(patience):
				t.Fatal("it hears nothing")
			}
			if err := list.SendToAddress(memberlist.Address{Addr: ours.LocalAddr().String()}, []byte("from it")); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 2000)
			_ = ours.SetReadDeadline(time.Now().Add(patience))
			n, _, err := ours.ReadFrom(buf)
			if err != nil {
				t.Fatal(err)
			}
			if what, text, _ := unpack(open, buf[:n]); what != user || string(text) != "from it" {
				t.Errorf("we hear %d %q", what, text)
			}
		})
	}
}

// TestKeyIsNotShown: neither by fmt nor by a log.
func TestKeyIsNotShown(t *testing.T) {
	k := testKey(0xee)
	for _, shown := range []string{fmt.Sprintf("%v %+v %#v %s %x %d", k, k, k, k, k, k), fmt.Sprint(offer{1, k, true}), fmt.Sprint([]Key{k})} {
		if strings.Contains(strings.ToLower(shown), "ee01") || strings.Contains(shown, "238 1 2") {
			t.Errorf("shown: %s", shown)
		}
	}
	if k.Fingerprint() == testKey(0xed).Fingerprint() || len(k.Fingerprint()) != 16 {
		t.Errorf("fingerprint %s", k.Fingerprint())
	}
}
