package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// firewallTable, and its place in the input hook: after connection tracking,
// before the filters of others, and before IPVS takes its services from there.
const firewallTable, firewallOrder = "harmony-firewall", -10

// The ICMP messages that guarded addresses take (RFC 4890 §4.4 for IPv6):
// echo requests and what tells of errors, and all of neighbor discovery.
var (
	icmp4 = []byte{3, 8, 11, 12}
	icmp6 = []byte{1, 2, 3, 4, 128, 133, 134, 135, 136, 137}
)

// protocolVRRP is IPPROTO_VRRP: an address owner may advertise by unicast.
const protocolVRRP = 112

// loopbackType is ARPHRD_LOOPBACK.
const loopbackType = 772

// established are the states of connections that have been let in, or were
// begun here, and of errors about them (NF_CT_STATE_BIT of linux/netfilter).
const established = 1<<1 | 1<<2

// Firewall lets in to guarded addresses what they are for, and nothing else:
//
//	to a guarded address? no ─► accept
//	from this host, of a connection, ICMP as above, VRRP, an open port ─► accept
//	else ─► drop
//
// What is routed through this node is not its business. While an address is
// guarded, the kernel tracks connections. A Firewall is used by one goroutine
// at a time.
type Firewall struct {
	conn   conn
	v4, v6 layout
	absent bool // nothing is guarded, and no table of ours is there
	log    *slog.Logger
}

// NewFirewall prepares to write in the network namespace of the calling
// thread, whichever thread writes later. It writes nothing yet. The caller
// closes it.
func NewFirewall(log *slog.Logger) (*Firewall, error) {
	v4, err4 := firewall(unix.NFPROTO_IPV4)
	v6, err6 := firewall(unix.NFPROTO_IPV6)
	if err := errors.Join(err4, err6); err != nil {
		return nil, err
	}
	c, err := dial()
	if err != nil {
		return nil, err
	}
	return &Firewall{conn: c, v4: v4, v6: v6, log: log}, nil
}

// Set makes g what is guarded, in one transaction. What the kernel has already
// is not written again; a table that others have changed is restored. With
// nothing to guard there is no table, whoever of us has left one.
func (f *Firewall) Set(g Guard) error {
	if len(g.Addresses) == 0 {
		if f.absent {
			return nil
		}
		return f.Remove()
	}
	v4, v6, err := g.keys()
	if err != nil {
		return fmt.Errorf("guarding addresses: %w", err)
	}
	f.absent = false
	changed, err := f.conn.sync(f.v4.with(v4...), f.v6.with(v6...))
	if err != nil {
		return fmt.Errorf("guarding addresses: %w", err)
	}
	if changed {
		f.log.Info("address firewall changed", "addresses", len(g.Addresses), "open", len(g.Open))
	}
	return nil
}

// Remove deletes the tables. That they are absent is not an error.
func (f *Firewall) Remove() error {
	var b batch
	b.deleteTable(f.v4)
	b.deleteTable(f.v6)
	if err := f.conn.commit(b); err != nil {
		return fmt.Errorf("removing the address firewall: %w", err)
	}
	f.absent = true
	return nil
}

// Close closes the socket and leaves the tables.
func (f *Firewall) Close() error { return f.conn.Close() }

// firewall is the table of one family. Its sets are those of Guard.keys.
func firewall(family uint8) (layout, error) {
	address, offset, icmp, kinds := nftables.TypeIPAddr, uint32(16), byte(unix.IPPROTO_ICMP), icmp4
	if family == unix.NFPROTO_IPV6 {
		address, offset, icmp, kinds = nftables.TypeIP6Addr, 24, unix.IPPROTO_ICMPV6, icmp6
	}
	l := layout{
		family: family, table: firewallTable,
		chain: "input", kind: nftables.ChainTypeFilter, hook: unix.NF_INET_LOCAL_IN, priority: firewallOrder,
		sets: []set{
			{"guarded", []nftables.SetDatatype{address}},
			{"ports", []nftables.SetDatatype{address, nftables.TypeInetProto, nftables.TypeInetService}},
			{"protocols", []nftables.SetDatatype{address, nftables.TypeInetProto}},
		},
	}
	var errs []error
	add := func(verdict expr.VerdictKind, conditions ...expr.Any) {
		r, err := encode(family, append(conditions, &expr.Counter{}, &expr.Verdict{Kind: verdict})...)
		l.rules, errs = append(l.rules, r), append(errs, err)
	}
	daddr := &expr.Payload{DestRegister: unix.NFT_REG_1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: address.Bytes}
	protocol := unix.NFT_REG32_00 + address.Bytes/4
	l4proto := &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: protocol}
	dport := &expr.Payload{DestRegister: protocol + 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
	in := func(name string) *expr.Lookup { return &expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: name} }
	is := func(value ...byte) expr.Any {
		return &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: value}
	}
	meta := func(key expr.MetaKey) expr.Any { return &expr.Meta{Key: key, Register: unix.NFT_REG_1} }

	add(expr.VerdictAccept, daddr, &expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: "guarded", Invert: true})
	add(expr.VerdictAccept, meta(expr.MetaKeyIIFTYPE), is(binary.NativeEndian.AppendUint16(nil, loopbackType)...))
	add(expr.VerdictAccept, &expr.Ct{Key: expr.CtKeySTATE, Register: unix.NFT_REG_1},
		&expr.Bitwise{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(established), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: unix.NFT_REG_1, Data: make([]byte, 4)})
	for _, kind := range kinds {
		add(expr.VerdictAccept, meta(expr.MetaKeyL4PROTO), is(icmp),
			&expr.Payload{DestRegister: unix.NFT_REG_1, Base: expr.PayloadBaseTransportHeader, Len: 1}, is(kind))
	}
	add(expr.VerdictAccept, meta(expr.MetaKeyL4PROTO), is(protocolVRRP))
	add(expr.VerdictAccept, daddr, l4proto, dport, in("ports"))
	add(expr.VerdictAccept, daddr, l4proto, in("protocols"))
	add(expr.VerdictDrop)
	return l, errors.Join(errs...)
}
