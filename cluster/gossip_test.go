package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"harmony/vrrp"
)

// gossipSettings are Settings with that in spec.gossip, in flow style.
func gossipSettings(gossip string) string {
	return fmt.Sprintf("---\napiVersion: kaas.harmony/v1alpha1\nkind: Settings\nmetadata: {name: default}\nspec: {gossip: {%s}}\n", gossip)
}

const goodGossip = "join: [10.0.0.1, 'node-b:7000'], keys: [{name: vrrp, key: key2}, {name: vrrp, key: key1}]"

func TestGossip(t *testing.T) {
	for _, vrid := range []int{7, 300, 65535} {
		state, problems := Translate(snapshot(t, secrets+gossipSettings(goodGossip)+router("a", fmt.Sprintf("transport: {mode: Gossip}, vrid: %d", vrid))))
		if len(problems) > 0 || len(state.Routers) != 1 {
			t.Fatal(problems, state.Routers)
		}
		r := state.Routers[0]
		if r.Gossip != uint32(vrid) || r.VRID != uint8(vrid) {
			t.Errorf("id %d is %d, VRID %d", vrid, r.Gossip, r.VRID)
		}
		plan, _ := Plan(state, Facts{Node: "a"})
		if err := plan.Routers[0].Validate(); err != nil {
			t.Error(err)
		}
		g := plan.Gossip
		if g.Port != 7946 || g.Plain || len(g.Join) != 2 || len(g.Keys) != 2 || !g.Keys[0].Equal(vrrp.NewSecret([]byte(key2))) {
			t.Errorf("%+v", g)
		}
		text, err := json.Marshal(plan)
		if err != nil || strings.Contains(string(text)+fmt.Sprintf("%+v", plan), key1[:16]) {
			t.Error("a key is shown", err)
		}
	}
}

// TestGossipSharesNoVRID: a router on the wire and one by gossip may have the
// same number.
func TestGossipSharesNoVRID(t *testing.T) {
	list := secrets + gossipSettings(goodGossip) + router("a", "transport: {mode: Gossip}, vrid: 7, addresses: [10.0.0.7/24]") + router("b", "vrid: 7, addresses: [10.0.0.8/24]")
	if state, problems := Translate(snapshot(t, list)); len(problems) > 0 || len(state.Routers) != 2 {
		t.Error(problems)
	}
	list += router("c", "transport: {mode: Gossip}, vrid: 7, addresses: [10.0.0.9/24]")
	if _, problems := Translate(snapshot(t, list)); len(problems) != 1 || problems[0].Field != "spec.vrid" {
		t.Error(problems)
	}
}

func TestGossipRefused(t *testing.T) {
	const wide = "transport: {mode: Gossip}, vrid: 300"
	tests := []struct{ name, gossip, router, field string }{
		{"no Settings", "", wide, "spec.transport.mode"},
		{"wide VRID on the wire", goodGossip, "vrid: 300", "spec.vrid"},
		{"too wide", goodGossip, "transport: {mode: Gossip}, vrid: 65536", "spec.vrid"},
		{"peers", goodGossip, "transport: {mode: Gossip, peers: [10.0.0.2]}", "spec.transport.peers"},
		{"TTL", goodGossip, "transport: {mode: Gossip, minTTL: 1}", "spec.transport.minTTL"},
		{"version 2", goodGossip, "version: 2, " + wide, "spec.version"},
		{"checksum", goodGossip, "checksum: MessageOnly, " + wide, "spec.checksum"},
		{"authentication", goodGossip, withKeys("", "key1") + ", " + wide, "spec.authentication.type"},
		{"virtual MAC", goodGossip, "virtualMAC: {enabled: true}, " + wide, "spec.virtualMAC.enabled"},
		{"no key", "join: [10.0.0.1]", "", "spec.gossip.keys"},
		{"keys without encryption", goodGossip + ", encryption: None", "", "spec.gossip.keys"},
		{"unknown encryption", goodGossip + ", encryption: Perhaps", "", "spec.gossip.encryption"},
		{"short key", "keys: [{name: vrrp, key: short}]", "", "spec.gossip.keys[0]"},
		{"line break", "keys: [{name: vrrp, key: keyline}]", "", "spec.gossip.keys[0]"},
		{"no such key", "keys: [{name: vrrp, key: none}]", "", "spec.gossip.keys[0].key"},
		{"no such Secret", "keys: [{name: none, key: key1}]", "", "spec.gossip.keys[0]"},
		{"key twice", "keys: [{name: vrrp, key: key1}, {name: vrrp, key: key1}]", "", "spec.gossip.keys[1]"},
		{"port", goodGossip + ", port: 0", "", "spec.gossip.port"},
		{"seed twice", "join: [a, a], keys: [{name: vrrp, key: key1}]", "", "spec.gossip.join[1]"},
		{"seed with a zone", "join: ['fe80::1%eth0'], keys: [{name: vrrp, key: key1}]", "", "spec.gossip.join[0]"},
		{"loopback seed", "join: [127.0.0.1], keys: [{name: vrrp, key: key1}]", "", "spec.gossip.join[0]"},
		{"bad name", "join: ['a/b'], keys: [{name: vrrp, key: key1}]", "", "spec.gossip.join[0]"},
		{"bad port of a seed", "join: ['a:0'], keys: [{name: vrrp, key: key1}]", "", "spec.gossip.join[0]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := secrets
			if tt.gossip != "" {
				text += gossipSettings(tt.gossip)
			}
			if tt.router != "" {
				text += router("a", tt.router)
			}
			_, problems := Translate(snapshot(t, text))
			if len(problems) != 1 || problems[0].Field != tt.field || !problems[0].Refused {
				t.Errorf("problems %v, want one refusal of %s", problems, tt.field)
			}
		})
	}
}

// TestGossipWithoutEncryption is possible, and warned of.
func TestGossipWithoutEncryption(t *testing.T) {
	state, problems := Translate(snapshot(t, gossipSettings("encryption: None")+router("a", "transport: {mode: Gossip}, vrid: 300")))
	if len(problems) != 1 || problems[0].Refused || problems[0].Field != "spec.gossip.encryption" || len(state.Routers) != 1 || !state.Gossip.Plain {
		t.Error(problems, state.Gossip)
	}
}

// TestSettleKeepsGossip: Settings whose Secret is gone keep what they had.
func TestSettleKeepsGossip(t *testing.T) {
	text := gossipSettings(goodGossip) + router("a", "transport: {mode: Gossip}, vrid: 300")
	last := snapshot(t, secrets+text)
	_, state, problems := Settle(last, snapshot(t, text), nil)
	if len(state.Routers) != 1 || state.Gossip == nil || len(state.Gossip.Keys) != 2 || len(problems) == 0 {
		t.Error(state.Gossip, problems)
	}
}
