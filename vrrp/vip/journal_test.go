package vip

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/runfile"
	"harmony/vrrp"
)

var comparePrefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestParseJournal(t *testing.T) {
	const good = `"ours":[{"interface":"eth0","prefix":"192.0.2.1/24"}],"foreign":[{"interface":"eth0","prefix":"2001:db8::1/64"}]}`
	whole := journal{
		Version: 1, Boot: "this",
		Ours: []place{at("eth0", "192.0.2.1/24")}, Foreign: []place{at("eth0", "2001:db8::1/64")},
	}
	for _, tc := range []struct {
		name, data string
		want       journal
		err        error
	}{
		{"of this boot", `{"version":1,"boot":"this",` + good, whole, nil},
		{"of another boot: the addresses went with it", `{"version":1,"boot":"that",` + good, journal{}, nil},
		{"of a later release", `{"version":3,"boot":"this",` + good, journal{}, errNewer},
		{"of a later release and another boot", `{"version":3,"boot":"that",` + good, journal{}, nil},
		{"torn by a power failure", `{"version":1,"boot":"this","ours":[{"int`, journal{}, nil},
		{"empty", ``, journal{}, nil},
		{"with a virtual MAC", `{"version":2,"boot":"this","devices":[{"name":"vrrp.51","parent":"eth0","router":{"name":"web","family":4},"vrid":51}]}`,
			journal{Version: 2, Boot: "this", Devices: []Device{{Name: "vrrp.51", Parent: "eth0", Router: vrrp.Key{Name: "web", Family: vrrp.IPv4}, VRID: 51}}}, nil},
		{"with a device on nothing", `{"version":2,"boot":"this","devices":[{"name":"vrrp.51","vrid":51}]}`, journal{}, nil},
		{"no interface", `{"version":1,"boot":"this","ours":[{"prefix":"192.0.2.1/24"}]}`, journal{}, nil},
		{"no address", `{"version":1,"boot":"this","foreign":[{"interface":"eth0","prefix":""}]}`, journal{}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseJournal([]byte(tc.data), "this")
			if !errors.Is(err, tc.err) {
				t.Errorf("got error %v, want %v", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got, comparePrefixes); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestJournalFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "addresses.json")
	if j, err := loadJournal(path, "this"); err != nil || len(j.Ours) > 0 {
		t.Errorf("no file: %v, %v", j, err)
	}
	l := ledger{claims: map[place]claim{at("eth0", "192.0.2.1/24"): absent, at("eth0", "192.0.2.2/24"): foreign}}
	data, err := json.Marshal(l.journal("this"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one replaces
		if err := runfile.Write(path, data); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file mode %v, %v", info.Mode(), err)
	}
	got, err := loadJournal(path, "this")
	if diff := cmp.Diff(l.journal("this"), got, comparePrefixes); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	if err := runfile.Write(filepath.Join(path, "x"), data); err == nil {
		t.Error("no error for a folder that is not there")
	}
}

// What is read is what the next life would write.
func FuzzParseJournal(f *testing.F) {
	f.Add([]byte(`{"version":1,"boot":"this","ours":[{"interface":"eth0","prefix":"192.0.2.1/24"}],"foreign":null}`))
	f.Add([]byte(`{"version":1,"boot":"this","ours":[{"interface":"a","prefix":"::ffff:1.2.3.4/120"}],"foreign":[{"interface":"a","prefix":"fe80::1/64"}]}`))
	f.Add([]byte(`{"version":9,"boot":"this"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := parseJournal(data, "this")
		if err != nil {
			return
		}
		once := j.ledger()
		written, err := json.Marshal(once.journal("this"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseJournal(written, "this")
		if err != nil {
			t.Fatal(err)
		}
		twice := again.ledger()
		if diff := cmp.Diff(once.journal("this"), twice.journal("this"), comparePrefixes); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}
