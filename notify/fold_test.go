package notify

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/script"
	"harmony/vrrp"
)

// named is a script without more than a name.
func named(name string) *script.Script { return &script.Script{Name: name} }

// config has routers a and b in sync group g, c and both families of d alone.
func config() Config {
	all := func(of string) Hooks {
		return Hooks{
			Master: named(of + "-master"), Backup: named(of + "-backup"), Fault: named(of + "-fault"),
			Stop: named(of + "-stop"), Rival: named(of + "-rival"), Any: named(of),
		}
	}
	four := func(name string) vrrp.Key { return vrrp.Key{Name: name, Family: vrrp.IPv4} }
	return Config{
		Instances: []Instance{
			{Key: four("a"), Name: "a", Group: "g", Hooks: Hooks{Any: named("any")}},
			{Key: four("b"), Name: "b", Group: "g"},
			{Key: four("c"), Name: "c", Hooks: all("c")},
			{Key: four("d"), Name: "d/IPv4"},
			{Key: vrrp.Key{Name: "d", Family: vrrp.IPv6}, Name: "d/IPv6"},
		},
		Groups: []Group{{Name: "g", Hooks: all("g")}},
	}
}

// event reads "a/4 MASTER cause priority"; RIVAL is one.
func event(t *testing.T, text string) Event {
	t.Helper()
	e := Event{Priority: 100}
	words := strings.Fields(text)
	e.Key.Name, e.Key.Family = words[0], vrrp.IPv4
	if name, six := strings.CutSuffix(words[0], "/6"); six {
		e.Key = vrrp.Key{Name: name, Family: vrrp.IPv6}
	}
	if words[1] == "RIVAL" {
		return Rivalled(vrrp.Rival{Key: e.Key, Own: 100})
	}
	if err := e.To.UnmarshalText([]byte(words[1])); err != nil {
		t.Fatal(err)
	}
	if len(words) > 2 {
		if err := e.Cause.UnmarshalText([]byte(words[2])); err != nil {
			t.Fatal(err)
		}
	}
	if len(words) > 3 {
		if _, err := fmt.Sscan(words[3], &e.Priority); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// tell writes notices: the line, and in brackets the calls.
func tell(list []Notice) []string {
	var out []string
	for _, n := range list {
		var calls []string
		for _, c := range n.Calls {
			calls = append(calls, strings.Join(append([]string{c.Script.Name}, c.Args...), " "))
		}
		out = append(out, fmt.Sprintf("%s [%s]", strings.TrimSpace(n.Line()), strings.Join(calls, ", ")))
	}
	return out
}

func TestFold(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []string
		want   []string
	}{
		{"a life", []string{"c BACKUP startup", "c MASTER peer-timed-out 120", "c BACKUP higher-priority 110", "c FAULT link-down", "c STOPPED shutdown"}, []string{
			`INSTANCE "c" BACKUP 100 [c-backup, c INSTANCE c BACKUP 100]`,
			`INSTANCE "c" MASTER 120 [c-master, c INSTANCE c MASTER 120]`,
			`INSTANCE "c" BACKUP 110 [c-backup, c INSTANCE c BACKUP 110]`,
			`INSTANCE "c" FAULT 100 [c-fault, c INSTANCE c FAULT 100]`,
			`INSTANCE "c" STOP 100 [c-stop, c INSTANCE c STOP 100]`}},
		{"removed is a fault", []string{"c MASTER owner", "c STOPPED config-removed"}, []string{
			`INSTANCE "c" MASTER 100 [c-master, c INSTANCE c MASTER 100]`,
			`INSTANCE "c" FAULT 100 [c-fault, c INSTANCE c FAULT 100]`}},
		{"another VRID", []string{"c BACKUP startup", "c STOPPED config-changed", "c BACKUP startup"}, []string{
			`INSTANCE "c" BACKUP 100 [c-backup, c INSTANCE c BACKUP 100]`,
			`INSTANCE "c" FAULT 100 [c-fault, c INSTANCE c FAULT 100]`,
			`INSTANCE "c" BACKUP 100 [c-backup, c INSTANCE c BACKUP 100]`}},
		{"a faulty one is removed", []string{"c FAULT link-down", "c STOPPED config-removed", "c FAULT link-down"}, []string{
			`INSTANCE "c" FAULT 100 [c-fault, c INSTANCE c FAULT 100]`,
			`INSTANCE "c" FAULT 100 [c-fault, c INSTANCE c FAULT 100]`}},
		{"the same again", []string{"c MASTER owner", "c MASTER hand-over-refused"}, []string{
			`INSTANCE "c" MASTER 100 [c-master, c INSTANCE c MASTER 100]`}},
		{"a rival", []string{"c MASTER owner", "c RIVAL", "c RIVAL"}, []string{
			`INSTANCE "c" MASTER 100 [c-master, c INSTANCE c MASTER 100]`,
			`INSTANCE "c" MASTER_RX_LOWER_PRI 100 [c-rival]`,
			`INSTANCE "c" MASTER_RX_LOWER_PRI 100 [c-rival]`}},
		{"a rival that comes too late", []string{"c BACKUP startup", "c RIVAL", "d RIVAL"}, []string{
			`INSTANCE "c" BACKUP 100 [c-backup, c INSTANCE c BACKUP 100]`}},
		{"families apart", []string{"d MASTER owner", "d/6 BACKUP startup"}, []string{
			`INSTANCE "d/IPv4" MASTER 100 []`, `INSTANCE "d/IPv6" BACKUP 100 []`}},
		{"not configured", []string{"x MASTER owner"}, []string{`INSTANCE "x" MASTER 100 []`}},
		{"a stop of what was never told", []string{"c STOPPED shutdown"}, nil},
		{"a group", []string{"a BACKUP startup", "b BACKUP startup", "a MASTER peer-timed-out", "b MASTER sync-group",
			"b BACKUP higher-priority", "a BACKUP sync-group"}, []string{
			`INSTANCE "a" BACKUP 100 [any INSTANCE a BACKUP 100]`,
			`GROUP "g" BACKUP 0 [g-backup, g GROUP g BACKUP 0]`,
			`INSTANCE "b" BACKUP 100 []`,
			`INSTANCE "a" MASTER 100 [any INSTANCE a MASTER 100]`,
			`INSTANCE "b" MASTER 100 []`,
			`GROUP "g" MASTER 0 [g-master, g GROUP g MASTER 0]`,
			`INSTANCE "b" BACKUP 100 []`,
			`GROUP "g" BACKUP 0 [g-backup, g GROUP g BACKUP 0]`,
			`INSTANCE "a" BACKUP 100 [any INSTANCE a BACKUP 100]`}},
		{"a group's fault", []string{"a MASTER owner", "b MASTER owner", "b FAULT link-down", "a FAULT sync-group", "b BACKUP link-up", "a BACKUP link-up"}, []string{
			`INSTANCE "a" MASTER 100 [any INSTANCE a MASTER 100]`,
			`GROUP "g" MASTER 0 [g-master, g GROUP g MASTER 0]`,
			`INSTANCE "b" MASTER 100 []`,
			`INSTANCE "b" FAULT 100 []`,
			`GROUP "g" FAULT 0 [g-fault, g GROUP g FAULT 0]`,
			`INSTANCE "a" FAULT 100 [any INSTANCE a FAULT 100]`,
			`INSTANCE "b" BACKUP 100 []`,
			`INSTANCE "a" BACKUP 100 [any INSTANCE a BACKUP 100]`,
			`GROUP "g" BACKUP 0 [g-backup, g GROUP g BACKUP 0]`}},
		{"a group stops with its last router", []string{"a FAULT link-down", "b BACKUP startup", "a STOPPED shutdown", "b STOPPED shutdown"}, []string{
			`INSTANCE "a" FAULT 100 [any INSTANCE a FAULT 100]`,
			`GROUP "g" FAULT 0 [g-fault, g GROUP g FAULT 0]`,
			`INSTANCE "b" BACKUP 100 []`,
			`INSTANCE "a" STOP 100 [any INSTANCE a STOP 100]`,
			`INSTANCE "b" STOP 100 []`,
			`GROUP "g" STOP 0 [g-stop, g GROUP g STOP 0]`}},
		{"a group loses a faulty router, and the rest", []string{"a FAULT link-down", "b MASTER owner", "a STOPPED config-removed", "b STOPPED config-removed"}, []string{
			`INSTANCE "a" FAULT 100 [any INSTANCE a FAULT 100]`,
			`GROUP "g" FAULT 0 [g-fault, g GROUP g FAULT 0]`,
			`INSTANCE "b" MASTER 100 []`,
			`GROUP "g" MASTER 0 [g-master, g GROUP g MASTER 0]`,
			`INSTANCE "b" FAULT 100 []`,
			`GROUP "g" FAULT 0 [g-fault, g GROUP g FAULT 0]`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f Fold
			f.Set(config())
			var got []Notice
			for _, e := range tt.events {
				got = append(got, f.Step(event(t, e))...)
			}
			if diff := cmp.Diff(tt.want, tell(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestFoldSet: a configuration takes effect with the next event; what it has
// left out is told as it was configured last.
func TestFoldSet(t *testing.T) {
	var f Fold
	f.Set(config())
	for _, e := range []string{"a MASTER owner", "b MASTER owner", "c MASTER owner"} {
		f.Step(event(t, e))
	}
	c := config()
	c.Instances = c.Instances[:1] // b and c are removed
	c.Instances[0].Any = named("other")
	c.Groups = nil
	steps := []struct {
		do   func() []Notice
		want []string
	}{
		{func() []Notice { return f.Set(c) }, nil},
		{func() []Notice { return f.Step(event(t, "c STOPPED config-removed")) }, []string{`INSTANCE "c" FAULT 100 [c-fault, c INSTANCE c FAULT 100]`}},
		{func() []Notice { return f.Step(event(t, "a BACKUP higher-priority")) }, []string{
			`INSTANCE "a" BACKUP 100 [other INSTANCE a BACKUP 100]`, `GROUP "g" BACKUP 0 [g-backup, g GROUP g BACKUP 0]`}},
		{func() []Notice { c.Instances[0].Group = "h"; return f.Set(c) }, []string{
			`GROUP "g" MASTER 0 [g-master, g GROUP g MASTER 0]`, `GROUP "h" BACKUP 0 []`}},
		{func() []Notice { return f.Step(event(t, "b STOPPED config-removed")) }, []string{
			`INSTANCE "b" FAULT 100 []`, `GROUP "g" FAULT 0 [g-fault, g GROUP g FAULT 0]`}},
		{func() []Notice { return f.Present() }, []string{`INSTANCE "a" BACKUP 100 []`, `GROUP "h" BACKUP 0 []`}},
		{func() []Notice { return f.Step(event(t, "b MASTER owner")) }, []string{`INSTANCE "b" MASTER 100 []`}},
	}
	for i, s := range steps {
		if diff := cmp.Diff(s.want, tell(s.do())); diff != "" {
			t.Errorf("step %d: %s", i, diff)
		}
	}
}

// TestChanged: leaving is nothing to tell of.
func TestChanged(t *testing.T) {
	for to, want := range map[vrrp.State]bool{vrrp.Stopped: true, vrrp.Fault: true, vrrp.Backup: true, vrrp.Master: true, vrrp.Leaving: false} {
		if _, ok := Changed(vrrp.Transition{To: to}); ok != want {
			t.Errorf("%v: %v", to, ok)
		}
	}
}

func TestEnvironment(t *testing.T) {
	n := Notice{Kind: kindInstance, Name: "a", Word: Master, Priority: 7, Cause: vrrp.PeerReleased}
	want := []string{"HARMONY_KIND=INSTANCE", "HARMONY_NAME=a", "HARMONY_STATE=MASTER", "HARMONY_PRIORITY=7", "HARMONY_CAUSE=peer-released"}
	if diff := cmp.Diff(want, n.env()); diff != "" {
		t.Error(diff)
	}
}

// TestRecall: a Fold that begins with what was told last tells what the one
// before it would have told. Nothing is told twice in a row.
func TestRecall(t *testing.T) {
	states := []vrrp.State{vrrp.Backup, vrrp.Master, vrrp.Fault, vrrp.Stopped}
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		var o Outbox
		var f Fold
		f.Set(config())
		last := map[string]string{}
		for range 60 {
			e := Event{Key: config().Instances[rnd.IntN(4)].Key, To: states[rnd.IntN(4)], Cause: vrrp.ConfigRemoved, Priority: uint8(100 + rnd.IntN(3)), Rival: rnd.IntN(9) == 0}
			o.Add(e)
			before, pending := o.Restart()
			var next Fold
			next.Set(config())
			next.Recall(before)
			want := tell(f.Step(pending[0]))
			if diff := cmp.Diff(want, tell(next.Step(pending[0]))); diff != "" {
				t.Fatalf("seed %d: %+v: %s", seed, pending[0], diff)
			}
			o.Done([]uint64{pending[0].Seq})
			for _, line := range want {
				subject := strings.Join(strings.Fields(line)[:2], " ")
				word := strings.Fields(line)[2]
				if word != string(Rival) && last[subject] == word && word != string(Fault) {
					t.Fatalf("seed %d: twice: %s", seed, line)
				}
				last[subject] = word
			}
		}
	}
}
