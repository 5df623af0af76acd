package agent

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"harmony/vrrp"
)

// The elector gets the secrets of the routers; nobody else does.
func TestSecretsReachTheElector(t *testing.T) {
	routers := []vrrp.Router{{
		Key:  vrrp.Key{Name: "web", Family: vrrp.IPv4},
		Auth: vrrp.Auth{Type: vrrp.AuthPassword, Keys: []vrrp.AuthKey{{Secret: vrrp.NewSecret([]byte("hush"))}}},
	}}
	var pipe bytes.Buffer
	if err := newLink(&pipe).send(toElector{Desired: newDesired(routers, nil)}); err != nil {
		t.Fatal(err)
	}
	var m toElector
	if err := newLink(&pipe).receive(&m); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(routers, m.Desired.complete(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("routers (-sent +received)\n%s", diff)
	}
	status, err := json.Marshal(Status{Election: ElectionReport{Routers: []vrrp.RouterStatus{{Router: routers[0]}}}})
	if err != nil {
		t.Fatal(err)
	}
	if text := string(status); strings.Contains(text, "hush") || strings.Contains(text, "aHVzaA") {
		t.Errorf("the status shows the secret: %s", text)
	}
}
