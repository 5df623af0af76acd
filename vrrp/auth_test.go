package vrrp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hmacKey returns 32 bytes that begin with first.
func hmacKey(first byte) Secret {
	b := make([]byte, minHMACKey)
	for i := range b {
		b[i] = first + byte(i)
	}
	return NewSecret(b)
}

func withPassword(t AuthType, password string) Router {
	r := plainRouter()
	r.Version = VRRPv2
	r.Auth = Auth{Type: t, Keys: []AuthKey{{Secret: NewSecret([]byte(password))}}}
	return r
}

func withHMAC(mode AuthMode, keys ...AuthKey) Router {
	r := plainRouter()
	r.Auth = Auth{Type: AuthHMAC, Keys: keys, Active: keys[0].ID, Mode: mode}
	return r
}

// Who is believed by whom, for every way to authenticate.
func TestBelieves(t *testing.T) {
	one, two, other := AuthKey{1, hmacKey(0)}, AuthKey{2, hmacKey(100)}, AuthKey{1, hmacKey(7)}
	plain, plain2 := plainRouter(), plainRouter()
	plain2.Version = VRRPv2
	hmac2 := withHMAC(Enforce, one)
	hmac2.Version = VRRPv2
	tests := []struct {
		name     string
		we, peer Router
		want     DropReason
	}{
		{"password", withPassword(AuthPassword, "secret"), withPassword(AuthPassword, "secret"), 0},
		{"password of 8 bytes", withPassword(AuthPassword, "12345678"), withPassword(AuthPassword, "12345678"), 0},
		{"another password", withPassword(AuthPassword, "secret"), withPassword(AuthPassword, "Secret"), DropPassword},
		{"the beginning of a password", withPassword(AuthPassword, "secret"), withPassword(AuthPassword, "secre"), DropPassword},
		{"no password", withPassword(AuthPassword, "secret"), plain2, DropAuthType},
		{"password not asked for", plain2, withPassword(AuthPassword, "secret"), DropAuthType},
		{"AH", withPassword(AuthAH, "secret"), withPassword(AuthAH, "secret"), 0},
		{"AH with another password", withPassword(AuthAH, "secret"), withPassword(AuthAH, "Secret"), DropAH},
		{"AH not asked for", plain2, withPassword(AuthAH, "secret"), DropAuthType},
		{"AH instead of a password", withPassword(AuthPassword, "secret"), withPassword(AuthAH, "secret"), DropAuthType},
		{"a password instead of AH", withPassword(AuthAH, "secret"), withPassword(AuthPassword, "secret"), DropAuthType},
		{"nothing instead of AH", withPassword(AuthAH, "secret"), plain2, DropAuthType},
		{"HMAC", withHMAC(Enforce, one), withHMAC(Enforce, one), 0},
		{"HMAC of version 2", hmac2, hmac2, 0},
		{"any of several keys", withHMAC(Enforce, two, one), withHMAC(Enforce, one), 0},
		{"an unknown key", withHMAC(Enforce, one), withHMAC(Enforce, two), DropKey},
		{"another key of that id", withHMAC(Enforce, one), withHMAC(Enforce, other), DropHMAC},
		{"unsigned, enforced", withHMAC(Enforce, one), plain, DropAuthType},
		{"unsigned, permitted", withHMAC(Permissive, one), plain, 0},
		{"unsigned, receive only", withHMAC(ReceiveOnly, one), plain, 0},
		{"wrong signature, permitted", withHMAC(Permissive, one), withHMAC(Enforce, other), DropHMAC},
		{"wrong signature, receive only", withHMAC(ReceiveOnly, one), withHMAC(Enforce, other), DropHMAC},
		{"receive only does not sign", withHMAC(Enforce, one), withHMAC(ReceiveOnly, one), DropAuthType},
		{"permissive signs", withHMAC(Enforce, one), withHMAC(Permissive, one), 0},
		{"signed, not asked for", plain, withHMAC(Enforce, one), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newListener(t, tt.we)
			if got := l.hears(tt.peer); got != tt.want {
				t.Errorf("want %v, got %v", tt.want, got)
			}
			if s := l.status(); tt.want != 0 && (s.Refused == nil || s.Refused.Text == "" || !strings.Contains(s.Why, s.Refused.Text)) {
				t.Errorf("the status does not say why: %s (%+v)", s.Why, s.Refused)
			}
		})
	}
}

// Nothing is accepted twice, and nothing older than what was accepted.
func TestReplay(t *testing.T) {
	for name, r := range map[string]Router{"AH": withPassword(AuthAH, "secret"), "HMAC": withHMAC(Enforce, AuthKey{1, hmacKey(0)})} {
		t.Run(name, func(t *testing.T) {
			l := newListener(t, r)
			old, recent := advertOf(r, peer, l.now.Add(-time.Second)), advertOf(r, peer, l.now)
			for i, want := range []DropReason{0, DropReplay, DropReplay} {
				if got := l.receives([]Received{recent, recent, old}[i]); got != want {
					t.Errorf("advert %d: want %v, got %v", i, want, got)
				}
			}
			l.now = l.now.Add(time.Second)
			if got := l.hears(r); got != 0 {
				t.Errorf("the next: %v", got)
			}
		})
	}
}

// Each sender has a sequence of its own, and an advert counts as its sender's.
func TestReplayBySender(t *testing.T) {
	r := withHMAC(Enforce, AuthKey{1, hmacKey(0)})
	l := newListener(t, r)
	third := netip.MustParseAddr("10.0.0.3")
	if got := l.receives(advertOf(r, peer, l.now)); got != 0 {
		t.Fatal(got)
	}
	if got := l.receives(advertOf(r, third, l.now.Add(-time.Second))); got != 0 {
		t.Errorf("another sender, a second behind: %v", got)
	}
	forged := advertOf(r, third, l.now)
	forged.Src = peer
	// The checksum covers the source, too: make that right.
	a := Advert{}
	size := len(forged.Packet) - trailerLen
	a.seal(forged.Packet[:size], peer, group4)
	if got := l.receives(forged); got != DropHMAC {
		t.Errorf("another's advert under the peer's address: %v", got)
	}
}

// Clocks may differ by the window and no more.
func TestClock(t *testing.T) {
	r := withHMAC(Enforce, AuthKey{1, hmacKey(0)})
	slow, wide := r, r
	slow.AdvertInterval = 2500 * time.Millisecond
	wide.Auth.Window = 300 * time.Second
	tests := []struct {
		name string
		r    Router
		by   time.Duration
		want DropReason
		text string
	}{
		{"behind", r, -5 * time.Second, 0, ""},
		{"ahead", r, 5 * time.Second, 0, ""},
		{"too far behind", r, -73 * time.Second, DropClock, "differs by 1m13s (behind ours"},
		{"just too far behind", r, -6 * time.Second, DropClock, "differs by 6s (behind ours"},
		{"too far ahead", r, 6 * time.Second, DropClock, "differs by 6s (ahead of ours"},
		{"three slow adverts", slow, -8 * time.Second, 0, ""},
		{"more than three slow adverts", slow, -9 * time.Second, DropClock, "at most 8s"},
		{"a wide window", wide, 300 * time.Second, 0, ""},
		{"years", r, 40 * 365 * 24 * time.Hour, DropClock, "ahead of ours"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newListener(t, tt.r)
			l.now = time.Unix(1_750_000_000, 0)
			if got := l.receives(advertOf(tt.r, peer, l.now.Add(tt.by))); got != tt.want {
				t.Errorf("want %v, got %v", tt.want, got)
			}
			if s := l.status(); tt.want != 0 && !strings.Contains(s.Why, tt.text) {
				t.Errorf("want %q in %q", tt.text, s.Why)
			}
		})
	}
}

// Sequences rise with the clock, without it, over a restart, and follow a clock
// that was set back far.
func TestSequence(t *testing.T) {
	r := &router{Router: withHMAC(Enforce, AuthKey{1, hmacKey(0)})}
	now := time.Unix(1_750_000_000, 500_000_000)
	next := func(want uint64) {
		t.Helper()
		if got := r.nextSequence(now); got != want {
			t.Errorf("want %#x, got %#x", want, got)
		}
	}
	base := uint64(1_750_000_000) << 32
	next(base | 0x8000<<16)
	next(base | 0x8000<<16 | 1)
	now = now.Add(-3 * time.Second) // set back a little
	next(base | 0x8000<<16 | 2)
	now = now.Add(-time.Hour) // set back far
	next(sequence(now))
	r.memory.signed = uint64(1<<32-1)<<32 | 0xffffffff
	now = time.Unix(1<<32, 0) // 2106
	next(0)
}

// The draft's own images, which are those of keepalived's test: key 00..1f, VRID
// 51, priority 200, sequence 0x6800000080000000.
func TestHMACVectors(t *testing.T) {
	tests := []struct {
		name, src, dst, vip, packet string
	}{
		{"IPv4", "198.51.100.10", "224.0.0.18", "192.0.2.100",
			"3133c80100644402c0000264" + "010100006800000080000000" + "1b84bc4e8e43892dc6d98448f8ee2265"},
		{"IPv6", "fe80::10", "fe80::20", "fe80::100",
			"3133c8010064a2e9fe800000000000000000000000000100" + "010100006800000080000000" + "c8c56146ebfd66ee10ec4d8186461b78"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, dst := netip.MustParseAddr(tt.src), netip.MustParseAddr(tt.dst)
			r := withHMAC(Enforce, AuthKey{1, hmacKey(0)})
			r.Family, r.Checksum = familyOf(src), MessageOnly.In(familyOf(src))
			r.Addresses = []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr(tt.vip), 24)}
			n := NewNode()
			n.now = time.Unix(0x68000000, 500_000_000)
			own := &router{Router: r}
			s := Send{Src: src, Dst: dst, Packet: r.advert(200, 0).encode(src, dst)}
			got := n.sign(own, []Send{s})[0]
			if diff := cmp.Diff(tt.packet, hex.EncodeToString(got.Packet)); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
			e := arrived(got)
			a, err := ParseAdvert(e.Packet, src, dst)
			if err != nil {
				t.Fatal(err)
			}
			n.now = time.Unix(0x68000003, 0)
			if d := n.authenticate(own, e, a); d.DropReason != 0 {
				t.Errorf("the vector is refused: %v %s", d.DropReason, d.text)
			}
			for i := range e.Packet { // any change of a byte is seen, but for the checksum
				if i == 6 || i == 7 {
					continue
				}
				changed := e
				changed.Packet = bytes.Clone(e.Packet)
				changed.Packet[i] ^= 1
				if d := n.authenticate(&router{Router: r}, changed, a); d.DropReason == 0 {
					t.Errorf("byte %d changed, and believed", i)
				}
			}
		})
	}
}

// Adverts of keepalived 2.2.7 with the password "secret", as tcpdump has seen them.
func TestKeepalivedsAdverts(t *testing.T) {
	const ah = "70040000" + "0a000002" + "00000001"
	tests := []struct {
		name   string
		auth   AuthType
		dst    netip.Addr
		packet string
	}{
		{"password", AuthPassword, group4, "213364010101331a" + "0a000064" + "7365637265740000"},
		{"AH multicast", AuthAH, group4, ah + "ff0fde592a2a8c4c636366dd" + "2133640102016e66" + "0a000064" + "0000000000000000"},
		{"AH unicast", AuthAH, self, ah + "04d85cdc9352f6eb2ddaf9e7" + "2133640102016e66" + "0a000064" + "0000000000000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := withPassword(tt.auth, "secret")
			n := NewNode()
			n.now = time.Unix(1, 0)
			s := Send{Src: peer, Dst: tt.dst, Packet: r.advert(100, 0).encode(peer, tt.dst)}
			got := n.sign(&router{Router: r}, []Send{s})[0]
			if diff := cmp.Diff(tt.packet, hex.EncodeToString(got.Packet)); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
			if got.AH && got.ID != 1 {
				t.Fatalf("want identification 1, got %d", got.ID)
			}
			if !tt.dst.IsMulticast() {
				r.Unicast = []netip.Addr{peer}
			}
			if got := newListener(t, r).receives(arrived(got)); got != 0 {
				t.Errorf("refused: %v", got)
			}
		})
	}
}

// AH covers every byte of the packet and of the header what does not change.
func TestAHCovers(t *testing.T) {
	r := withPassword(AuthAH, "secret")
	s := Send{Src: peer, Dst: group4, Packet: r.advert(100, 0).encode(peer, group4)}
	own := &router{Router: r}
	own.memory.ahSent = 41
	got := own.sendAH(time.Unix(0, 0), []Send{s, s})
	for i, s := range got {
		if !s.AH || s.ID == 0 || binary.BigEndian.Uint32(s.Packet[8:]) != 42 {
			t.Errorf("advert %d: AH %v, id %d, %x", i, s.AH, s.ID, s.Packet)
		}
	}
	e := arrived(got[0])
	for i := range e.Packet {
		changed := e
		changed.Packet = bytes.Clone(e.Packet)
		changed.Packet[i] ^= 1
		own := &router{Router: r}
		if _, ok := changed.advert(); ok && own.hearAH(changed).DropReason == 0 {
			t.Errorf("byte %d changed, and believed", i)
		}
	}
	for name, change := range map[string]func(*Received){
		"source":         func(e *Received) { e.Src = self },
		"destination":    func(e *Received) { e.Dst = self },
		"identification": func(e *Received) { e.ID++ },
	} {
		changed := e
		change(&changed)
		if own.hearAH(changed).DropReason == 0 {
			t.Errorf("%s changed, and believed", name)
		}
	}
}

// The sequence number of AH is above all that was seen, and survives a restart.
func TestAHSequence(t *testing.T) {
	r := withPassword(AuthAH, "secret")
	own := &router{Router: r}
	now := time.Unix(1_750_000_000, 0)
	s := []Send{{Src: self, Dst: group4, Packet: r.advert(100, 0).encode(self, group4)}}
	next := func(want uint32) {
		t.Helper()
		if got := binary.BigEndian.Uint32(own.sendAH(now, s)[0].Packet[8:]); got != want {
			t.Errorf("want %d, got %d", want, got)
		}
	}
	next(1_750_000_000)
	next(1_750_000_001)
	own.memory.ahHeard = 1_750_000_100
	next(1_750_000_101)
	own.memory = memory{}
	own.memory.follow(now)
	next(1_750_000_061)
}

func TestValidateAuth(t *testing.T) {
	key := AuthKey{1, hmacKey(0)}
	tests := []struct {
		name string
		r    Router
		want string
	}{
		{"password", withPassword(AuthPassword, "12345678"), ""},
		{"long password", withPassword(AuthPassword, "123456789"), "1..8 bytes"},
		{"no password", withPassword(AuthAH, ""), "1..8 bytes"},
		{"password lost", func() Router { r := withPassword(AuthAH, "x"); r.Auth.Keys[0].Secret = Secret{}; return r }(), "1..8 bytes"},
		{"password of version 3", func() Router { r := withPassword(AuthPassword, "x"); r.Version = VRRPv3; return r }(), "version 2 only"},
		{"two passwords", func() Router {
			r := withPassword(AuthPassword, "x")
			r.Auth.Keys = append(r.Auth.Keys, r.Auth.Keys[0])
			return r
		}(), "needs one password"},
		{"keys without type", func() Router { r := withPassword(AuthNone, "x"); return r }(), "no keys"},
		{"unknown type", func() Router { r := plainRouter(); r.Auth.Type = 9; return r }(), "type 9"},
		{"HMAC", withHMAC(Enforce, key), ""},
		{"short key", withHMAC(Enforce, AuthKey{1, NewSecret(make([]byte, 31))}), "31 bytes"},
		{"long key", withHMAC(Enforce, AuthKey{1, NewSecret(make([]byte, 65))}), "65 bytes"},
		{"the same id twice", withHMAC(Enforce, key, key), "twice"},
		{"no such active key", func() Router { r := withHMAC(Enforce, key); r.Auth.Active = 2; return r }(), "key 2 shall sign"},
		{"unknown mode", withHMAC(9, key), "mode 9"},
		{"short window", func() Router { r := withHMAC(Enforce, key); r.Auth.Window = time.Millisecond; return r }(), "window"},
		{"long window", func() Router { r := withHMAC(Enforce, key); r.Auth.Window = 301 * time.Second; return r }(), "window"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.r.Validate()
			if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("want an error about %q, got %v", tt.want, err)
			}
		})
	}
}

// A secret is seen nowhere but in the JSON of Secrets, which brings it back.
func TestSecretsStaySecret(t *testing.T) {
	const word = "hush"
	r := withPassword(AuthPassword, word)
	node := NewNode()
	node.Step(Link{Interface: "eth0", Up: true, Addresses: []netip.Prefix{netip.PrefixFrom(self, 24)}}, time.Unix(0, 0))
	node.Step(Configure{Routers: []Router{r}}, time.Unix(0, 0))
	hidden := struct{ r Router }{r} // fields that fmt may not ask for how they look
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "secret", r.Auth.Keys[0].Secret, "router", r, "status", node.Status(), "secrets", SecretsOf([]Router{r}))
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", r.Auth.Keys[0].Secret, "router", r, "secrets", SecretsOf([]Router{r}))
	status, err := json.Marshal(node.Status())
	if err != nil {
		t.Fatal(err)
	}
	alone, err := json.Marshal(r.Auth.Keys[0].Secret)
	if err != nil {
		t.Fatal(err)
	}
	wrong := r
	wrong.Version = VRRPv3
	texts := []string{log.String(), string(status), string(alone), wrong.Validate().Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{r.Auth.Keys[0].Secret, &r.Auth.Keys[0].Secret, r, &r, hidden, node.Status(), SecretsOf([]Router{r}), Configure{[]Router{r}}} {
			texts = append(texts, fmt.Sprintf(verb, v))
		}
	}
	for _, text := range texts {
		for _, form := range []string{word, hex.EncodeToString([]byte(word)), fmt.Sprint([]byte(word)), `"aHVzaA=="`} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
				t.Errorf("the secret is in %.300s", text)
			}
		}
	}

	carried, err := json.Marshal(SecretsOf([]Router{r}))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := json.Marshal([]Router{r})
	if err != nil {
		t.Fatal(err)
	}
	var routers []Router
	var secrets Secrets
	if err := json.Unmarshal(bare, &routers); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(carried, &secrets); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Router{r}, secrets.Restore(routers), compareAddrs); diff != "" {
		t.Errorf("carried (-want +got):\n%s", diff)
	}
	if routers[0].Auth.Keys[0].Secret.Len() != 0 {
		t.Error("Restore has changed what it was given")
	}
}
