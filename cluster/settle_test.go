package cluster

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/source"
	"harmony/source/folder"
)

// settle settles files after last, and returns lines about the routers.
func settle(t *testing.T, last source.Snapshot, files map[string]string) (source.Snapshot, []string, []string) {
	t.Helper()
	next, loaded := read(t, files)
	settled, state, problems := Settle(last, next, loaded)
	var routers []string
	for _, r := range state.Routers {
		routers = append(routers, fmt.Sprintf("%s %d %v", r.Name, r.VRID, r.Addresses))
	}
	return settled, routers, lines(problems)
}

func TestSettle(t *testing.T) {
	a1, b2 := router("a", "vrid: 1, addresses: [10.0.0.1]"), router("b", "vrid: 2, addresses: [10.0.0.2]")
	const serveA, serveB = "a 1 [10.0.0.1/32]", "b 2 [10.0.0.2/32]"
	tests := []struct {
		name     string
		last     map[string]string
		next     map[string]string
		want     []string
		problems []string
	}{
		{"nothing before", nil, map[string]string{"f.yaml": a1 + router("b", "vrid: 0")}, []string{serveA},
			[]string{"error OutOfRange f.yaml:10: VirtualRouter b spec.vrid: must be from 1 to 255, not 0"}},
		{"a change", map[string]string{"f.yaml": a1}, map[string]string{"f.yaml": router("a", "vrid: 3, addresses: [10.0.0.1]")}, []string{"a 3 [10.0.0.1/32]"}, nil},
		{"a bad change", map[string]string{"f.yaml": a1 + b2}, map[string]string{"f.yaml": router("a", "vrid: 300") + b2}, []string{serveA, serveB},
			[]string{"error OutOfRange f.yaml:5: VirtualRouter a spec.vrid: must be from 1 to 255, not 300; keeping the last good version"}},
		{"a bad field", map[string]string{"f.yaml": a1}, map[string]string{"f.yaml": router("a", "vrod: 3")}, []string{serveA},
			[]string{"error UnknownField f.yaml:5: VirtualRouter a spec.vrod: unknown field, did you mean vrid?; keeping the last good version"}},
		{"gone", map[string]string{"f.yaml": a1 + b2}, map[string]string{"f.yaml": b2}, []string{serveB}, nil},
		{"file gone", map[string]string{"f.yaml": a1, "g.yaml": b2}, map[string]string{"g.yaml": b2}, []string{serveB}, nil},
		{"file broken", map[string]string{"f.yaml": a1, "g.yaml": b2}, map[string]string{"f.yaml": "}", "g.yaml": ""}, []string{serveA},
			[]string{"error Malformed f.yaml:1: is not YAML: did not find expected node content; keeping what was read from it before"}},
		{"broken beside good", map[string]string{"f.yaml": a1 + b2}, map[string]string{"f.yaml": router("a", "vrid: 3, addresses: [10.0.0.1]") + "---\n}"}, []string{"a 3 [10.0.0.1/32]", serveB},
			[]string{"error Malformed f.yaml:7: is not YAML: did not find expected node content; keeping what was read from it before"}},
		{"moved away from a broken file", map[string]string{"f.yaml": a1}, map[string]string{"f.yaml": "}", "g.yaml": router("a", "vrid: 3, addresses: [10.0.0.1]")}, []string{"a 3 [10.0.0.1/32]"},
			[]string{"error Malformed f.yaml:1: is not YAML: did not find expected node content"}},
		{"newcomer claims the VRID of one before it by name", map[string]string{"f.yaml": b2}, map[string]string{"f.yaml": b2, "e.yaml": router("a", "vrid: 2, addresses: [10.0.0.3]")}, []string{serveB},
			[]string{"error Conflict e.yaml:5: VirtualRouter a spec.vrid: VRID 2 of IPv4 on eth0 belongs to VirtualRouter b"}},
		{"change that claims another's", map[string]string{"f.yaml": a1 + b2}, map[string]string{"f.yaml": router("a", "vrid: 2, addresses: [10.0.0.1]") + b2}, []string{serveA, serveB},
			[]string{"error Conflict f.yaml:5: VirtualRouter a spec.vrid: VRID 2 of IPv4 on eth0 belongs to VirtualRouter b; keeping the last good version"}},
		{"half of an exchange", map[string]string{"f.yaml": a1 + b2}, map[string]string{"f.yaml": router("a", "vrid: 2, addresses: [10.0.0.1]") + router("b", "vrid: 1000, addresses: [10.0.0.2]")}, []string{serveA, serveB}, []string{
			"error Conflict f.yaml:5: VirtualRouter a spec.vrid: VRID 2 of IPv4 on eth0 belongs to VirtualRouter b; keeping the last good version",
			"error OutOfRange f.yaml:10: VirtualRouter b spec.vrid: must be from 1 to 255, not 1000; keeping the last good version"}},
		{"whole exchange", map[string]string{"f.yaml": a1 + b2}, map[string]string{"f.yaml": router("a", "vrid: 2, addresses: [10.0.0.1]") + router("b", "vrid: 1, addresses: [10.0.0.2]")}, []string{"a 2 [10.0.0.1/32]", "b 1 [10.0.0.2/32]"}, nil},
		{"second of the same name", map[string]string{"f.yaml": a1}, map[string]string{"e.yaml": router("a", "vrid: 9"), "f.yaml": a1}, []string{serveA},
			[]string{"error Duplicate f.yaml:2: VirtualRouter a: is there already, in DIR/e.yaml:2; keeping the last good version"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			last, _, _ := settle(t, source.Snapshot{}, tt.last)
			settled, got, problems := settle(t, last, tt.next)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("routers (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.problems, problems); diff != "" {
				t.Errorf("problems (-want +got)\n%s", diff)
			}
			store := source.NewStore(t.TempDir())
			if err := store.Save(settled); err != nil {
				t.Fatal(err)
			}
			restarted, err := store.Load()
			if err != nil {
				t.Fatal(err)
			}
			for name, last := range map[string]source.Snapshot{"again": settled, "after a restart": restarted} {
				_, got, _ := settle(t, last, tt.next)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s (-want +got)\n%s", name, diff)
				}
			}
		})
	}
}

// TestSettleKeepsSecret: a Secret that is spoilt keeps its site's certificate.
func TestSettleKeepsSecret(t *testing.T) {
	cafe, problems := folder.Load("../docs/examples/cafe")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	last, want, _ := Settle(source.Snapshot{}, cafe, nil)
	spoilt := cafe.Sorted()
	spoilt.Secrets[0].Data = map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("x")}
	_, got, problems := Settle(last, spoilt, nil)
	if diff := cmp.Diff(stateText(t, want), stateText(t, got)); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 1 || !strings.HasSuffix(problems[0].Text, "keeping the last good version") {
		t.Error(problems)
	}
}

// TestSettleUnreadableFolder: nothing is known of what was in it.
func TestSettleUnreadableFolder(t *testing.T) {
	cafe, _ := folder.Load("../docs/examples/cafe")
	last, want, _ := Settle(source.Snapshot{}, cafe, nil)
	for _, file := range []string{"../docs/examples/cafe", "../docs/examples"} {
		_, got, problems := Settle(last, source.Snapshot{}, []source.Problem{{Severity: source.Error, File: file, Text: "gone", Refused: true}})
		if diff := cmp.Diff(stateText(t, want), stateText(t, got)); diff != "" {
			t.Error(diff)
		}
		if len(problems) != 1 {
			t.Error(problems)
		}
	}
	_, got, _ := Settle(last, source.Snapshot{}, []source.Problem{{Severity: source.Error, File: "../docs/examples/caf", Text: "gone", Refused: true}})
	if len(got.Routers) > 0 {
		t.Error("kept what was read from elsewhere")
	}
}

// TestSettleIsStable walks through random folders. Settling the same again
// changes nothing, what is settled translates without a refusal, and every
// router that was served and is still written somehow is still served.
func TestSettleIsStable(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	specs := []string{
		"vrid: 1, addresses: [10.0.0.1]", "vrid: 2, addresses: [10.0.0.2]", "vrid: 1, addresses: [10.0.0.3]", "vrid: 3, addresses: [10.0.0.1]",
		"vrid: 0", "vird: 1", "addresses: [x]", "vrid: 2, addresses: ['fd00::1']",
	}
	var last source.Snapshot
	served := make(map[string]bool)
	for range 60 {
		files := make(map[string]string)
		written := make(map[string]bool)
		for _, name := range []string{"a", "b", "c", "d"} {
			if random.IntN(6) > 0 {
				files[name+".yaml"] = router(name, specs[random.IntN(len(specs))])
				written[name] = true
			}
		}
		next, loaded := read(t, files)
		settled, state, _ := Settle(last, next, loaded)
		again, sameState, _ := Settle(settled, next, loaded)
		if diff := cmp.Diff(stateText(t, state), stateText(t, sameState)); diff != "" {
			t.Fatalf("settling again changed the state, files %v\n%s", files, diff)
		}
		if diff := cmp.Diff(settled.Refs(), again.Refs()); diff != "" {
			t.Fatalf("settling again changed the snapshot\n%s", diff)
		}
		if _, problems := Translate(settled); len(refusedOf(problems)) > 0 {
			t.Fatalf("settled, but refused: %v", problems)
		}
		now := make(map[string]bool)
		for _, r := range state.Routers {
			now[r.Name] = true
		}
		for name := range served {
			if written[name] && !now[name] {
				t.Fatalf("%s is not served any more, files %v, now %v", name, files, slices.Sorted(maps.Keys(now)))
			}
		}
		last, served = settled, now
	}
}
