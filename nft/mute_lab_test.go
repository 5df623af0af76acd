package nft_test

import (
	"strings"
	"testing"

	"harmony/bench/lab"
	"harmony/nft"
)

func newMute(t testing.TB, do func(func() error) error) (m *nft.Mute) {
	t.Helper()
	must(t, do(func() (err error) {
		m, err = nft.NewMute()
		return err
	}))
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// The owner of the fence does nothing in this test after its first word, as a
// process that is stopped.
func TestLabMuteSilencesWhatTheOwnerLetsSpeak(t *testing.T) {
	node, client := pair(t)
	f := newFence(t, node)
	must(t, f.Set(parse(vip4, vip6)), f.Answer(parse(vip4, vip6)))
	m := newMute(t, node.Do)
	must(t, m.Set(false)) // nothing to lift is no error
	wantAnswers(t, client, "before", own4, own6, vip4, vip6)

	must(t, m.Set(true))
	wantAnswers(t, client, "silenced", own4, own6)
	before := generation(t, node)
	must(t, m.Set(true))
	if after := generation(t, node); after != before {
		t.Errorf("silencing twice wrote %d transactions", after-before)
	}

	// Its maker's death changes nothing; the next one lifts it.
	must(t, m.Close())
	wantAnswers(t, client, "the watchdog has died", own4, own6)
	m = newMute(t, node.Do)
	must(t, m.Set(false))
	wantAnswers(t, client, "lifted", own4, own6, vip4, vip6)
	if out := node.Run(t, "nft", "list", "ruleset"); strings.Contains(out, "harmony-mute") {
		t.Errorf("left behind:\n%s", out)
	}

	// What nobody has fenced is never silenced: such an address was there
	// before us.
	must(t, m.Set(true), f.Set(parse(vip4)))
	wantAnswers(t, client, "one is fenced", own4, own6, vip6)
}

func BenchmarkLabMute(b *testing.B) {
	n := lab.New(b).Node("node")
	m := newMute(b, n.Do)
	for i := 0; b.Loop(); i++ {
		must(b, m.Set(i%2 == 0))
	}
}
