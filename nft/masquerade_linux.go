package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Table masquerades balanced connections: those whose original destination,
// before IPVS gave them a real server, is one of a set of endpoints. The real
// server then answers to this node even if its route back does not lead here.
// It needs net.ipv4.vs.conntrack=1; without it IPVS hides its connections from
// netfilter. A Table is used by one goroutine at a time.
type Table struct {
	conn   conn
	v4, v6 layout
	log    *slog.Logger
}

// NewTable prepares to write in the network namespace of the calling thread,
// whichever thread writes later. It writes nothing yet. The caller closes it.
func NewTable(log *slog.Logger) (*Table, error) {
	v4, err4 := masquerade(unix.NFPROTO_IPV4)
	v6, err6 := masquerade(unix.NFPROTO_IPV6)
	if err := errors.Join(err4, err6); err != nil {
		return nil, err
	}
	c, err := dial()
	if err != nil {
		return nil, err
	}
	return &Table{conn: c, v4: v4, v6: v6, log: log}, nil
}

// Set makes endpoints the whole set of those that are masqueraded, in one
// transaction. What the kernel has already is not written again; a table that
// others have changed or flushed is restored. Established connections keep
// what they have.
func (t *Table) Set(endpoints []Endpoint) error {
	v4, v6, err := endpointKeys(endpoints)
	if err != nil {
		return fmt.Errorf("masquerading: %w", err)
	}
	changed, err := t.conn.sync(t.v4.with(v4), t.v6.with(v6))
	if err != nil {
		return fmt.Errorf("masquerading: %w", err)
	}
	if changed {
		t.log.Info("masqueraded endpoints changed", "count", len(v4)+len(v6))
	}
	return nil
}

// Remove deletes the tables. That they are absent is not an error.
func (t *Table) Remove() error {
	var b batch
	b.deleteTable(t.v4)
	b.deleteTable(t.v6)
	if err := t.conn.commit(b); err != nil {
		return fmt.Errorf("removing masquerading: %w", err)
	}
	return nil
}

// Close closes the socket and leaves the tables.
func (t *Table) Close() error { return t.conn.Close() }

// masquerade is, in one of the families,
//
//	ct original ip daddr . meta l4proto . ct original proto-dst @endpoints masquerade
//
// Its key lies in consecutive 32 bit registers from NFT_REG_1 on.
func masquerade(family uint8) (layout, error) {
	address, destination := nftables.TypeIPAddr, uint32(unix.NFT_CT_DST_IP)
	if family == unix.NFPROTO_IPV6 {
		address, destination = nftables.TypeIP6Addr, unix.NFT_CT_DST_IP6
	}
	protocol := unix.NFT_REG32_00 + address.Bytes/4
	rest, err := encode(family,
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: protocol},
		&expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: "endpoints"},
		&expr.Masq{},
	)
	daddr, err1 := original(destination, unix.NFT_REG_1)
	port, err2 := original(unix.NFT_CT_PROTO_DST, protocol+1)
	return layout{
		family: family, table: "harmony",
		chain: "postrouting", kind: nftables.ChainTypeNAT,
		hook: unix.NF_INET_POST_ROUTING, priority: *nftables.ChainPriorityNATSource,
		sets:  []set{{"endpoints", []nftables.SetDatatype{address, nftables.TypeInetProto, nftables.TypeInetService}}},
		rules: []rule{append(rule{daddr, port}, rest...)},
	}, errors.Join(err, err1, err2)
}

// original loads what a connection's first packet had. The library's own
// expression leaves the direction out for NFT_CT_DST_IP.
func original(key, register uint32) ([]byte, error) {
	e := netlink.NewAttributeEncoder()
	e.String(unix.NFTA_EXPR_NAME, "ct")
	e.Nested(unix.NFTA_EXPR_DATA, nested(func(e *netlink.AttributeEncoder) {
		e.ByteOrder = binary.BigEndian
		e.Uint32(unix.NFTA_CT_KEY, key)
		e.Uint32(unix.NFTA_CT_DREG, register)
		e.Uint8(unix.NFTA_CT_DIRECTION, 0) // IP_CT_DIR_ORIGINAL
	}))
	return e.Encode()
}
