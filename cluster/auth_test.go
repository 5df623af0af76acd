package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/vrrp"
)

// secret returns a Secret in YAML; the entries are of flow style.
func secret(name, entries string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: default}\nstringData: {%s}\n", name, entries)
}

const (
	key1 = "0123456789abcdef0123456789abcdef"
	key2 = "fedcba9876543210fedcba9876543210"
)

// secrets are what the tests refer to.
var secrets = secret("vrrp", `word: hushhush, long: hushhushh, key1: `+key1+`, key2: `+key2+`, short: abcdef0123456789abcdef012345678, line: "hush\n", space: "hu sh", keyline: "`+key1+`\n", empty: ""`)

func withPassword(kind, entry string) string {
	return fmt.Sprintf("version: 2, authentication: {type: %s, password: {name: vrrp, key: %s}}", kind, entry)
}

func withKeys(more string, entries ...string) string {
	var keys []string
	for i, e := range entries {
		keys = append(keys, fmt.Sprintf("{id: %d, secret: {name: vrrp, key: %s}}", i+1, e))
	}
	return fmt.Sprintf("authentication: {type: HMAC, keys: [%s]%s}", strings.Join(keys, ", "), more)
}

func TestAuthentication(t *testing.T) {
	key := func(id uint8, text string) vrrp.AuthKey {
		return vrrp.AuthKey{ID: id, Secret: vrrp.NewSecret([]byte(text))}
	}
	tests := []struct {
		name, spec string
		want       vrrp.Auth
	}{
		{"none", "", vrrp.Auth{}},
		{"password", withPassword("Password", "word"), vrrp.Auth{Type: vrrp.AuthPassword, Keys: []vrrp.AuthKey{key(0, "hushhush")}}},
		{"AH", withPassword("AH", "word"), vrrp.Auth{Type: vrrp.AuthAH, Keys: []vrrp.AuthKey{key(0, "hushhush")}}},
		{"HMAC", withKeys("", "key1", "key2"), vrrp.Auth{Type: vrrp.AuthHMAC, Active: 1, Keys: []vrrp.AuthKey{key(1, key1), key(2, key2)}}},
		{"HMAC with all", withKeys(", activeKey: 2, mode: ReceiveOnly, window: 30s", "key1", "key2"),
			vrrp.Auth{Type: vrrp.AuthHMAC, Active: 2, Mode: vrrp.ReceiveOnly, Window: 30e9, Keys: []vrrp.AuthKey{key(1, key1), key(2, key2)}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, problems := Translate(snapshot(t, secrets+router("a", tt.spec)))
			if len(problems) > 0 || len(state.Routers) != 1 {
				t.Fatal(problems, state.Routers)
			}
			r := state.Routers[0]
			if diff := cmp.Diff(tt.want, r.Auth); diff != "" {
				t.Errorf("authentication (-want +got)\n%s", diff)
			}
			r.Router.Priority.Base = 1
			if err := r.Validate(); err != nil {
				t.Errorf("the election refuses it: %v", err)
			}
			shown, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range []string{"hush", key1, key2} {
				if text := string(shown) + fmt.Sprintf("%+v", r); strings.Contains(text, word) {
					t.Errorf("shows a secret: %s", text)
				}
			}
		})
	}
}

func TestAuthenticationRefused(t *testing.T) {
	tests := []struct{ name, spec, want string }{
		{"type", "authentication: {type: Magic}", "Invalid spec.authentication.type"},
		{"password of version 3", "authentication: {type: Password, password: {name: vrrp, key: word}}", "Invalid spec.authentication.type: Password is for version 2 only"},
		{"no password", "version: 2, authentication: {type: AH}", "Required spec.authentication.password"},
		{"long password", withPassword("Password", "long"), "OutOfRange spec.authentication.password: a password has 1 to 8 characters, this one 9"},
		{"empty password", withPassword("Password", "empty"), "OutOfRange spec.authentication.password.key"},
		{"password with a line break", withPassword("AH", "line"), "Invalid spec.authentication.password: ends with a line break"},
		{"password with a space", withPassword("AH", "space"), "Invalid spec.authentication.password: a password is made of printable"},
		{"password without type", "authentication: {password: {name: vrrp, key: word}}", "Invalid spec.authentication.password: belongs to"},
		{"no such Secret", "version: 2, authentication: {type: AH, password: {name: other, key: word}}", "NotFound spec.authentication.password: there is no usable Secret default/other"},
		{"another namespace", "version: 2, authentication: {type: AH, password: {namespace: x, name: vrrp, key: word}}", "NotFound spec.authentication.password"},
		{"no such entry", withPassword("AH", "nothing"), "NotFound spec.authentication.password.key"},
		{"no keys", "authentication: {type: HMAC}", "Required spec.authentication.keys"},
		{"keys without type", "authentication: {keys: [{id: 1, secret: {name: vrrp, key: key1}}]}", "Invalid spec.authentication.keys: belongs to"},
		{"mode without type", "authentication: {mode: Enforce}", "Invalid spec.authentication.mode: belongs to"},
		{"short key", withKeys("", "key1", "short"), "OutOfRange spec.authentication.keys[1].secret: a key has 32 to 64 bytes, this one 31"},
		{"key with a line break", withKeys("", "keyline"), "Invalid spec.authentication.keys[0].secret: ends with a line break"},
		{"id", "authentication: {type: HMAC, keys: [{id: 256, secret: {name: vrrp, key: key1}}]}", "OutOfRange spec.authentication.keys[0].id"},
		{"id twice", "authentication: {type: HMAC, keys: [{id: 1, secret: {name: vrrp, key: key1}}, {id: 1, secret: {name: vrrp, key: key2}}]}", "Duplicate spec.authentication.keys[1].id"},
		{"active key", withKeys(", activeKey: 3", "key1"), "NotFound spec.authentication.activeKey"},
		{"mode", withKeys(", mode: Lax", "key1"), "Invalid spec.authentication.mode"},
		{"window", withKeys(", window: 1500ms", "key1"), "OutOfRange spec.authentication.window"},
		{"wide window", withKeys(", window: 301s", "key1"), "OutOfRange spec.authentication.window"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, problems := Translate(snapshot(t, secrets+router("a", tt.spec)))
			if len(problems) != 1 || !problems[0].Refused || len(state.Routers) > 0 {
				t.Fatalf("want one refusal, got %v, routers %v", problems, state.Routers)
			}
			if got := fmt.Sprintf("%s %s: %s", problems[0].Code, problems[0].Field, problems[0].Text); !strings.HasPrefix(got, tt.want) {
				t.Errorf("want %s, got %s", tt.want, got)
			}
			for _, word := range []string{"hush", "hu sh", key1} {
				if strings.Contains(problems[0].Text, word) {
					t.Errorf("shows a secret: %s", problems[0])
				}
			}
		})
	}
}

// A Secret that is gone or has become bad costs no router its addresses.
func TestSettleKeepsSecrets(t *testing.T) {
	good := map[string]string{"r.yaml": router("a", withPassword("AH", "word")), "s.yaml": secret("vrrp", "word: hush")}
	password := func(s State) string {
		if len(s.Routers) != 1 || len(s.Routers[0].Auth.Keys) != 1 {
			return "no router"
		}
		for _, word := range []string{"hush", "hushed", "new"} {
			if s.Routers[0].Auth.Keys[0].Secret.Equal(vrrp.NewSecret([]byte(word))) {
				return word
			}
		}
		return "unknown"
	}
	tests := []struct {
		name    string
		change  map[string]string
		want    string
		problem string
	}{
		{"unchanged", nil, "hush", ""},
		{"another password", map[string]string{"s.yaml": secret("vrrp", "word: hushed")}, "hushed", ""},
		{"a bad password", map[string]string{"s.yaml": secret("vrrp", "word: hushhushhush")}, "hush", "this one 12"},
		{"entry gone", map[string]string{"s.yaml": secret("vrrp", "other: hush")}, "hush", "has no entry"},
		{"Secret gone", map[string]string{"s.yaml": ""}, "hush", "no usable Secret"},
		{"Secret gone, router bad", map[string]string{"s.yaml": "", "r.yaml": router("a", "vrid: 0, "+withPassword("AH", "word"))}, "hush", "must be from 1 to 255"},
		{"Secret gone, router unreadable", map[string]string{"s.yaml": "", "r.yaml": router("a", "vird: 1, "+withPassword("AH", "word"))}, "hush", "unknown field"},
		{"router names a Secret that is not there", map[string]string{"r.yaml": router("a", withPassword("AH", "nothing"))}, "hush", "has no entry"},
		{"both gone", map[string]string{"s.yaml": "", "r.yaml": ""}, "no router", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{}
			for name, text := range good {
				files[name] = text
			}
			next, loaded := read(t, files)
			last, _, _ := Settle(snapshot(t, ""), next, loaded)
			for name, text := range tt.change {
				files[name] = text
			}
			next, loaded = read(t, files)
			last, state, problems := Settle(last, next, loaded)
			if got := password(state); got != tt.want {
				t.Errorf("want %s, got %s", tt.want, got)
			}
			text := strings.Join(lines(problems), "\n")
			if (tt.problem == "") != (text == "") || !strings.Contains(text, tt.problem) {
				t.Errorf("want a problem about %q, got %s", tt.problem, text)
			}
			if _, state, _ := Settle(last, next, loaded); password(state) != tt.want {
				t.Errorf("settled once more: %s", password(state))
			}
		})
	}
}
