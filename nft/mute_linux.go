package nft

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// muteTable stands between the two tables of the fence: what the first marks
// it unmarks.
const muteTable, muteOrder = "harmony-mute", -15

// Mute silences every fenced address of this network namespace, whatever the
// process that owns the fence has said. It is the hand of a watchdog: a
// process that is stopped still owns harmony-alive, whose addresses go on
// answering, and nobody else may change that table.
//
//	alive: mark it ─► mute: take the mark off ─► fence: no mark? drop it
//
// The table outlives its maker: should the watchdog die as well, the
// addresses stay silent until the next one lifts it. It is used by one
// goroutine at a time.
type Mute struct {
	conn    conn
	arp, nd layout
}

// NewMute opens the door to the tables in the network namespace of the calling
// thread, and changes nothing yet. The caller closes it.
func NewMute() (*Mute, error) {
	unmark := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: binaryutil.NativeEndian.PutUint32(spoken)},
		&expr.Immediate{Register: unix.NFT_REG_1, Data: binaryutil.NativeEndian.PutUint32(0)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: unix.NFT_REG_1},
	}
	base := layout{table: muteTable, chain: "output", kind: nftables.ChainTypeFilter, priority: muteOrder}
	m := &Mute{arp: base, nd: base}
	m.arp.family, m.arp.hook = unix.NFPROTO_ARP, arpOut
	m.nd.family, m.nd.hook = unix.NFPROTO_IPV6, unix.NF_INET_LOCAL_OUT
	for _, l := range []*layout{&m.arp, &m.nd} {
		r, err := encode(l.family, unmark...)
		if err != nil {
			return nil, err
		}
		l.rules = []rule{r}
	}
	var err error
	m.conn, err = dial()
	return m, err
}

// Set silences the fenced addresses, or lets those speak again that their
// owner lets answer; each in one transaction, and as often as one likes.
func (m *Mute) Set(silent bool) error {
	if silent {
		if _, err := m.conn.sync(m.arp.with(), m.nd.with()); err != nil {
			return unsupported(fmt.Errorf("silencing addresses: %w", err))
		}
		return nil
	}
	var b batch
	b.deleteTable(m.arp)
	b.deleteTable(m.nd)
	if err := m.conn.commit(b); err != nil {
		return fmt.Errorf("letting addresses speak again: %w", err)
	}
	return nil
}

// Close closes the socket; what is silent stays so.
func (m *Mute) Close() error { return m.conn.Close() }
