package nft

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// spoken marks the ARP and ND packets that may leave. It has no bit that
// kube-proxy, Cilium or Calico look at, and only these packets carry it.
const spoken = 0x2048

// The two tables of the fence, in the families arp and ip6, and the order of
// their chains in the output hook: what the first marks passes the second.
const (
	aliveTable, aliveOrder = "harmony-alive", -20
	fenceTable, fenceOrder = "harmony-fence", -10
)

// Numbers of the packets: the hook of linux/netfilter_arp.h (NF_ARP_OUT), and
// ICMPv6 types of RFC 4861 §4.3 and §4.4.
const (
	arpOut        = 1
	solicitation  = 135
	advertisement = 136
)

// Fence keeps addresses silent in ARP and ND unless their owner lives and
// wants them to answer.
//
//	kernel's ARP/ND packet ─► alive: about an answering address? mark it
//	                       ─► fence: about a fenced address, no mark? drop it
//
// The second table stays when the process ends, however it ends; the first one
// the kernel deletes with the socket that made it. So from a SIGKILL on the
// fenced addresses are silent, while they still accept traffic of hosts that
// know the way.
//
// It works where packets leave: no ARP reply and no neighbor advertisement for
// the address, and no ARP request or neighbor solicitation from it, which
// would teach its receivers as well. What comes in is not touched, so this
// node goes on learning from the announcements of others. Packet sockets
// bypass these hooks: whoever announces through one, as package vip does, must
// know that it may.
//
// Set and Clean are called from one goroutine at a time, Answer and Close from
// one, and these may be two different ones. There is one Fence per network
// namespace: a second agent in the same namespace is refused by the kernel.
type Fence struct {
	alive, fence        conn // the first one owns the tables that die
	aliveARP, aliveND   layout
	fenceARP, fenceND   layout
	answerARP, answerND keys // what the kernel has
	devices             []layout
	noDevices           bool // there is no table of them
	log                 *slog.Logger
}

// NewFence makes the tables that die with this process, in the network
// namespace of the calling thread. At first nothing answers that an earlier
// life has fenced. The error wraps ErrUnsupported if the kernel cannot do it;
// a fence that another live process holds is an error too. The caller closes
// it.
func NewFence(log *slog.Logger) (*Fence, error) {
	f := &Fence{log: log}
	mark := binaryutil.NativeEndian.PutUint32(spoken)
	err1 := speech(&f.aliveARP, &f.aliveND, layout{table: aliveTable, flags: tableOwner, priority: aliveOrder},
		&expr.Immediate{Register: unix.NFT_REG_1, Data: mark},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: unix.NFT_REG_1})
	err2 := speech(&f.fenceARP, &f.fenceND, layout{table: fenceTable, priority: fenceOrder},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: unix.NFT_REG_1, Data: mark},
		&expr.Verdict{Kind: expr.VerdictDrop})
	var err3 error
	f.devices, err3 = deviceTables()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}

	var err error
	if f.alive, err = dial(); err != nil {
		return nil, unsupported(err)
	}
	if f.fence, err = dial(); err != nil {
		return nil, errors.Join(err, f.alive.Close())
	}
	var b batch
	b.create(f.aliveARP.with())
	b.create(f.aliveND.with())
	if err := f.alive.commit(b); err != nil {
		err = fmt.Errorf("claiming nft table %s (does another agent live in this network namespace?): %w", aliveTable, err)
		return nil, errors.Join(unsupported(err), f.Close())
	}
	return f, nil
}

// unsupported adds ErrUnsupported to the errors with which kernels refuse what
// they do not know.
func unsupported(err error) error {
	for _, errno := range []error{
		unix.EOPNOTSUPP, unix.EINVAL, unix.ENOENT, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT,
	} {
		if errors.Is(err, errno) {
			return fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
	}
	return err
}

// Set makes fenced the whole set of addresses that stay silent unless they
// answer. It outlives this process, until a Clean or the next Set. What the
// kernel has already is not written again; tables that others have changed or
// flushed are restored.
func (f *Fence) Set(fenced []netip.Addr) error {
	v4, v6 := byFamily(fenced)
	changed, err := f.fence.sync(f.fenceARP.with(v4), f.fenceND.with(v6))
	if err != nil {
		return fmt.Errorf("fencing addresses: %w", err)
	}
	if changed {
		f.log.Info("fenced addresses changed", "count", len(v4)+len(v6))
	}
	return nil
}

// Answer makes answering the whole set of addresses that speak. It writes only
// what differs from the last call, in one transaction of well under a
// millisecond, and on an error nothing has changed.
func (f *Fence) Answer(answering []netip.Addr) error {
	v4, v6 := byFamily(answering)
	var b batch
	b.edit(f.aliveARP, 0, v4.missing(f.answerARP), f.answerARP.missing(v4))
	b.edit(f.aliveND, 0, v6.missing(f.answerND), f.answerND.missing(v6))
	if err := f.alive.commit(b); err != nil {
		return fmt.Errorf("changing the addresses that answer: %w", err)
	}
	f.answerARP, f.answerND = v4, v6
	return nil
}

// Close ends this process' part: from now on no fenced address answers.
func (f *Fence) Close() error { return errors.Join(f.alive.Close(), f.fence.Close()) }

// Clean removes what outlives the process. It is for a clean stop, after the
// addresses have left their interfaces: those still there would answer again.
func (f *Fence) Clean() error {
	var b batch
	b.deleteTable(f.fenceARP)
	b.deleteTable(f.fenceND)
	for _, l := range f.devices {
		b.deleteTable(l)
	}
	if err := f.fence.commit(b); err != nil {
		return fmt.Errorf("removing the fence: %w", err)
	}
	return nil
}

// speech completes base to the tables that apply action to the packets which
// tell others where an address of their set lives. The kernel sends all of
// them through the output hook.
func speech(arp, nd *layout, base layout, action ...expr.Any) error {
	base.chain, base.kind = "output", nftables.ChainTypeFilter
	const addresses = "addresses"
	about := func(l *layout, conditions ...expr.Any) error {
		all := append(conditions, &expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: addresses})
		r, err := encode(l.family, append(all, action...)...)
		l.rules = append(l.rules, r)
		return err
	}
	load := func(base expr.PayloadBase, offset, length uint32) *expr.Payload {
		return &expr.Payload{DestRegister: unix.NFT_REG_1, Base: base, Offset: offset, Len: length}
	}
	equal := func(value byte) *expr.Cmp {
		return &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{value}}
	}
	icmpv6 := func(kind byte, address *expr.Payload) error {
		return about(nd, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: unix.NFT_REG_1}, equal(unix.IPPROTO_ICMPV6),
			load(expr.PayloadBaseTransportHeader, 0, 1), equal(kind), address)
	}

	*arp, *nd = base, base
	arp.family, arp.hook = unix.NFPROTO_ARP, arpOut
	arp.sets = []set{{addresses, []nftables.SetDatatype{nftables.TypeIPAddr}}}
	nd.family, nd.hook = unix.NFPROTO_IPV6, unix.NF_INET_LOCAL_OUT
	nd.sets = []set{{addresses, []nftables.SetDatatype{nftables.TypeIP6Addr}}}
	return errors.Join(
		about(arp, load(expr.PayloadBaseNetworkHeader, 14, 4)),              // sender's address, RFC 826
		icmpv6(advertisement, load(expr.PayloadBaseTransportHeader, 8, 16)), // its target
		icmpv6(solicitation, load(expr.PayloadBaseNetworkHeader, 8, 16)),    // its source
	)
}
