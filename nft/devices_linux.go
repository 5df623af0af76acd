package nft

import (
	"errors"
	"fmt"
	"net"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// devicesTable keeps devices with virtual MACs from turning switches back.
const devicesTable = "harmony-devices"

// mldTypes are the messages of multicast listeners (RFC 3810, RFC 2710).
var mldTypes = []byte{131, 132, 143}

// targetMAC is where an ARP packet has it (RFC 826, Ethernet and IPv4).
const targetMAC = 18

// Devices makes devices, with their MACs, those with virtual MACs. What the
// kernel sends there by itself must not turn the switches from a new owner back
// to this node:
//
//   - no ARP reply to the own MAC: that is the kernel's answer to the new
//     owner's announcement, a request for an address that we still have,
//   - no IGMP and no MLD: it reports the groups of a device again and again. The
//     groups that matter are joined on the interface, and reported from there.
//
// Like the fence it outlives this process. It is called by the goroutine that
// calls Set.
func (f *Fence) Devices(devices map[string]net.HardwareAddr) error {
	if len(devices) == 0 {
		if f.noDevices {
			return nil
		}
		var b batch
		for _, l := range f.devices {
			b.deleteTable(l)
		}
		if err := f.fence.commit(b); err != nil {
			return fmt.Errorf("removing table %s: %w", devicesTable, err)
		}
		f.noDevices = true
		return nil
	}
	var names, pairs keys
	for name, mac := range devices {
		key := make([]byte, unix.IFNAMSIZ)
		copy(key[:unix.IFNAMSIZ-1], name)
		names = append(names, string(key))
		pairs = append(pairs, string(key)+string(mac)+"\x00\x00")
	}
	names, pairs = names.compact(), pairs.compact()
	f.noDevices = false
	arp, v4, v6 := f.devices[0], f.devices[1], f.devices[2]
	if _, err := f.fence.sync(arp.with(pairs), v4.with(names), v6.with(names)); err != nil {
		return fmt.Errorf("guarding virtual MACs: %w", err)
	}
	return nil
}

// deviceTables are the tables in the families arp, ip and ip6.
func deviceTables() ([]layout, error) {
	base := layout{table: devicesTable, chain: "output", kind: nftables.ChainTypeFilter, priority: fenceOrder}
	arp, v4, v6 := base, base, base
	arp.family, arp.hook = unix.NFPROTO_ARP, arpOut
	v4.family, v4.hook = unix.NFPROTO_IPV4, unix.NF_INET_LOCAL_OUT
	v6.family, v6.hook = unix.NFPROTO_IPV6, unix.NF_INET_LOCAL_OUT
	arp.sets = []set{{"devices", []nftables.SetDatatype{nftables.TypeIFName, nftables.TypeEtherAddr}}}
	v4.sets = []set{{"devices", []nftables.SetDatatype{nftables.TypeIFName}}}
	v6.sets = v4.sets

	var errs []error
	drop := func(l *layout, conditions ...expr.Any) {
		all := append([]expr.Any{&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: unix.NFT_REG_1}}, conditions...)
		r, err := encode(l.family, append(all, &expr.Verdict{Kind: expr.VerdictDrop})...)
		l.rules, errs = append(l.rules, r), append(errs, err)
	}
	known := &expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: "devices"}
	protocol := &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: unix.NFT_REG_1}
	is := func(value byte) expr.Any {
		return &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{value}}
	}
	drop(&arp, &expr.Payload{DestRegister: unix.NFT_REG32_04, Base: expr.PayloadBaseNetworkHeader, Offset: targetMAC, Len: 6}, known)
	drop(&v4, known, protocol, is(unix.IPPROTO_IGMP))
	for _, kind := range mldTypes {
		drop(&v6, known, protocol, is(unix.IPPROTO_ICMPV6),
			&expr.Payload{DestRegister: unix.NFT_REG_1, Base: expr.PayloadBaseTransportHeader, Len: 1}, is(kind))
	}
	return []layout{arp, v4, v6}, errors.Join(errs...)
}
