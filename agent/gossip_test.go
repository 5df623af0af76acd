package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"harmony/cluster"
	"harmony/cluster/gossip"
	"harmony/vrrp"
)

// TestGossipWish: keys reach the elector, and nothing else that looks.
func TestGossipWish(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	wish := newGossipWish(&cluster.Gossip{Port: 7946, Join: []string{"10.0.0.1"}, Keys: []vrrp.Secret{vrrp.NewSecret([]byte(secret))}})
	text, err := json.Marshal(wish)
	if err != nil {
		t.Fatal(err)
	}
	var got gossipWish
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	c, err := got.config()
	if err != nil || len(c.Keys) != 1 || string(c.Keys[0].Bytes()) != secret || !wish.equal(&got) {
		t.Errorf("%v, %v", c, err)
	}
	for _, shown := range []string{fmt.Sprintf("%v %+v %s", wish, wish, wish), wish.LogValue().String(), fmt.Sprintf("%+v", desired{Gossip: wish})} {
		if strings.Contains(shown, secret) || strings.Contains(shown, "48 49 50") {
			t.Errorf("a key is shown: %s", shown)
		}
	}
	got.Keys[0][0]++
	if wish.equal(&got) || wish.equal(nil) || !(*gossipWish)(nil).equal(nil) {
		t.Error("another key is the same wish")
	}
	if newGossipWish(nil) != nil {
		t.Error("no gossip is a wish")
	}
}

// TestWireOptionsGossip: status -o wide tells that adverts go by gossip.
func TestWireOptionsGossip(t *testing.T) {
	if got := wireOptions(vrrp.Router{Gossip: 4711}); got != " by gossip" {
		t.Errorf("%q", got)
	}
}

func TestWriteKeys(t *testing.T) {
	now := time.Unix(1000, 0)
	s := gossip.Status{
		Node: "a", Keys: []gossip.KeyStatus{
			{Fingerprint: "1111", Generation: 1, Active: true}, {Fingerprint: "2222", Expires: now.Add(90 * time.Minute)}, {Fingerprint: "3333"}},
		Peers: []gossip.PeerStatus{
			{Node: "c", State: "alive", Key: "1111"}, {Node: "b", State: "alive", Key: "2222"}, {Node: "d", State: "silent", Key: "1111"}},
	}
	var out bytes.Buffer
	if err := WriteKeys(&out, s, now); err != nil {
		t.Fatal(err)
	}
	want := "KEY   ROTATION  STATE                  NODES\n" +
		"1111  1         in use                 a, c\n" +
		"2222  0         readable for 1h30m0s   b\n" +
		"3333  0         readable               \n"
	if got := out.String(); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	out.Reset()
	s = gossip.Status{Plain: true}
	if err := WriteKeys(&out, s, now); err != nil || !strings.Contains(out.String(), "not encrypted") {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	writeGossip(&out, &gossip.Status{Peers: []gossip.PeerStatus{
		{Node: "b", Addr: netip.MustParseAddrPort("10.0.0.2:7946"), Interface: "eth0", State: "silent", Heard: now.Add(-time.Minute)}}}, now)
	if !strings.Contains(out.String(), "b\t10.0.0.2:7946\teth0\tsilent\t1m") {
		t.Errorf("%q", out.String())
	}
}
