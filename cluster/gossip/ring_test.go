package gossip

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func marks(r *ring) (list []string) {
	for _, k := range r.keys {
		list = append(list, k.key.Fingerprint())
	}
	return list
}

func prints(numbers ...byte) (list []string) {
	for _, n := range numbers {
		list = append(list, testKey(n).Fingerprint())
	}
	return list
}

// TestRingAccept: keys are installed, used and outlived, never the other way.
func TestRingAccept(t *testing.T) {
	r := newRing([]Key{testKey(1)})
	steps := []struct {
		name    string
		offer   offer
		changed bool
		want    []string // the one in use first
	}{
		{"installed, not used", offer{1, testKey(2), false}, true, prints(1, 2)},
		{"again", offer{1, testKey(2), false}, false, prints(1, 2)},
		{"used", offer{1, testKey(2), true}, true, prints(2, 1)},
		{"again", offer{1, testKey(2), true}, false, prints(2, 1)},
		{"not back to installed", offer{1, testKey(2), false}, false, prints(2, 1)},
		{"an earlier one is not used", offer{0, testKey(1), true}, false, prints(2, 1)},
		{"a configured one is not taken from others", offer{0, testKey(9), true}, false, prints(2, 1)},
		{"the next, at once", offer{2, testKey(3), true}, true, prints(3, 2, 1)},
		{"one in between, late", offer{1, testKey(4), true}, true, nil},
	}
	for _, tt := range steps {
		if got := r.accept(tt.offer, begin); got != tt.changed {
			t.Errorf("%s: changed %v, want %v", tt.name, got, tt.changed)
		}
		if tt.name == "one in between, late" {
			if r.active() != (stamp{2, testKey(3).mark()}) || r.keys[1].use {
				t.Errorf("%s: uses %v", tt.name, r.keys)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, marks(r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if newRing(nil).accept(offer{1, testKey(1), true}, begin) {
		t.Error("a node without encryption takes a key")
	}
}

// TestRingGrace: a key that was replaced is readable for Grace, the one in use
// for ever.
func TestRingGrace(t *testing.T) {
	r := newRing([]Key{testKey(1), testKey(2)})
	if r.expire(begin.Add(1000 * Grace)) {
		t.Error("a configured key has expired")
	}
	r.accept(offer{1, testKey(3), true}, begin)
	if r.expire(begin.Add(Grace - 1)); len(r.keys) != 3 {
		t.Errorf("within grace: %v", marks(r))
	}
	r.accept(offer{2, testKey(4), true}, begin.Add(Grace/2)) // does not prolong the older ones
	if !r.expire(begin.Add(Grace)) {
		t.Error("nothing has expired")
	}
	if diff := cmp.Diff(prints(4, 3), marks(r)); diff != "" {
		t.Errorf("after grace (-want +got):\n%s", diff)
	}
	r.expire(begin.Add(1000 * Grace))
	if diff := cmp.Diff(prints(4), marks(r)); diff != "" {
		t.Errorf("long after (-want +got):\n%s", diff)
	}
	r.accept(offer{3, testKey(5), false}, begin)
	r.expire(begin.Add(Grace))
	if diff := cmp.Diff(prints(4), marks(r)); diff != "" {
		t.Errorf("one that was never used goes too (-want +got):\n%s", diff)
	}
}

// TestRingsAgree: in whatever order two nodes hear of keys, they end with the
// same one in use.
func TestRingsAgree(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var offers []offer
		for i := range 1 + rnd.IntN(6) {
			offers = append(offers, offer{1 + rnd.Uint64N(3), testKey(byte(10 + i)), rnd.IntN(3) > 0})
		}
		a, b := newRing([]Key{testKey(1)}), newRing([]Key{testKey(1)})
		for _, i := range rnd.Perm(len(offers)) {
			a.accept(offers[i], begin)
		}
		for _, i := range rnd.Perm(len(offers)) {
			b.accept(offers[i], begin)
		}
		if a.active() != b.active() || a.newest() != b.newest() || len(a.keys) != len(b.keys) {
			t.Fatalf("%v: %v and %v", offers, marks(a), marks(b))
		}
	}
}

// TestRotation walks a leader through its phases.
func TestRotation(t *testing.T) {
	r := newRing([]Key{testKey(1)})
	fresh := testKey(2)
	goal := stamp{1, fresh.mark()}
	b, c := holder{name: "b"}, holder{name: "c"}
	o := r.lead(fresh, 1, begin)
	step := func(what string, at time.Duration, phase phase, active Key, send []string, there ...holder) {
		t.Helper()
		got, _ := o.step(r, there, begin.Add(at))
		if diff := cmp.Diff(send, got); diff != "" || o.phase != phase || r.active().mark != active.mark() {
			t.Errorf("%s: phase %d, want %d; uses %v, want %v; sends (-want +got):\n%s", what, o.phase, phase, r.active().mark, active, diff)
		}
	}
	step("nobody has it", 0, installing, testKey(1), []string{"b", "c"}, c, b)
	b.newest = goal
	step("b can read it", 1, installing, testKey(1), []string{"c"}, b, c)
	c.newest = goal
	step("both can", 2, using, fresh, []string{"b", "c"}, b, c)
	b.active = goal
	step("b uses it", 3, using, fresh, []string{"c"}, b, c)
	c.active = goal
	step("both do", 4, done, fresh, nil, b, c)
	if text, err := o.result([]holder{b, c}); err != nil || text == "" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestRotationAlone: with nobody else it is over at once.
func TestRotationAlone(t *testing.T) {
	r := newRing([]Key{testKey(1)})
	o := r.lead(testKey(2), 1, begin)
	if o.step(r, nil, begin); o.phase != done || r.active().mark != testKey(2).mark() {
		t.Errorf("phase %d, uses %v", o.phase, r.active())
	}
}

// TestRotationWithoutConfirmation: the old key stays in use, and the next
// attempt succeeds.
func TestRotationWithoutConfirmation(t *testing.T) {
	r := newRing([]Key{testKey(1)})
	o := r.lead(testKey(2), 1, begin)
	deaf := holder{name: "b"}
	o.step(r, []holder{deaf}, begin.Add(rotationLimit-1))
	if o.phase != installing {
		t.Errorf("gives up early: %d", o.phase)
	}
	o.step(r, []holder{deaf}, begin.Add(rotationLimit))
	if _, err := o.result([]holder{deaf}); o.phase != failed || err == nil || r.active().mark != testKey(1).mark() {
		t.Errorf("phase %d, %v, uses %v", o.phase, err, r.active())
	}
}

// TestRotationOvertaken: two leaders at once end with one key, and both know.
func TestRotationOvertaken(t *testing.T) {
	r := newRing([]Key{testKey(1)})
	o := r.lead(testKey(2), 1, begin)
	r.accept(offer{2, testKey(3), true}, begin)
	if o.step(r, []holder{{name: "b"}}, begin); o.phase != done || r.active().mark != testKey(3).mark() {
		t.Errorf("phase %d, uses %v", o.phase, r.active())
	}
}

// TestStored: a ring and a rotation outlive the process, and follow the
// configuration when that changes.
func TestStored(t *testing.T) {
	r := newRing([]Key{testKey(1)})
	var s stored
	s.restore([]Key{testKey(1)}, begin)
	r.accept(offer{1, testKey(2), true}, begin)
	o := r.lead(testKey(3), 2, begin)
	s.store(r, o)
	file := t.TempDir() + "/state"
	if err := s.save(file); err != nil {
		t.Fatal(err)
	}
	load := func() stored {
		t.Helper()
		s, err := load(file)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	same := load()
	if same.Rotation == nil || same.Rotation.Generation != 2 {
		t.Errorf("the rotation is lost: %+v", same.Rotation)
	}
	got, want := same.restore([]Key{testKey(1)}, begin)
	if diff := cmp.Diff(marks(r), marks(got)); diff != "" || want != nil || got.active() != r.active() {
		t.Errorf("the same configuration (-want +got):\n%s, to rotate to: %v", diff, want)
	}
	later := load()
	got, _ = later.restore([]Key{testKey(1)}, begin.Add(2*Grace))
	later.store(got, nil)
	got, _ = later.restore([]Key{testKey(1)}, begin.Add(2*Grace))
	if _, there := got.find(testKey(1).mark()); there {
		t.Error("a configured key that was rotated away comes back after a restart")
	}
	changed := load()
	got, want = changed.restore([]Key{testKey(5), testKey(1)}, begin)
	if want == nil || want.mark() != testKey(5).mark() || got.active() != r.active() {
		t.Errorf("a new first key: rotate to %v, uses %v", want, got.active())
	}
	if _, there := got.find(testKey(5).mark()); !there {
		t.Error("the new first key cannot be read")
	}
	var none stored
	if got, want := none.restore([]Key{testKey(1), testKey(2)}, begin); want != nil || got.active().mark != testKey(1).mark() || len(got.keys) != 2 {
		t.Errorf("without a file: %v", marks(got))
	}
}
