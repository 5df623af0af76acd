// Package vip puts virtual addresses on interfaces and announces them: it is
// the vrrp.Actuator of Linux.
//
// What existed before us is never removed. Therefore Prepare, which is called
// when routers are configured, records in a journal which of their addresses
// will be ours; a take-over then only adds and announces. After a crash the
// next life reads the journal, and Sweep removes what was left behind.
package vip

import (
	"log/slog"
	"net"
	"net/netip"
)

// Fence keeps addresses from answering ARP and ND. Package nft has one.
type Fence interface {
	// Set is the whole set of addresses that are silent unless they answer.
	Set(fenced []netip.Addr) error
	// Devices is the whole set of devices with virtual MACs, by their names. What
	// the kernel sends there by itself must not turn switches back to a node
	// that has given way.
	Devices(devices map[string]net.HardwareAddr) error
	// Answer is the whole set of addresses that answer. It must not block for
	// longer than a few system calls.
	Answer(answering []netip.Addr) error
}

// Options are what New needs.
type Options struct {
	Journal string       // file, made when first needed; its folder must exist
	Fence   Fence        // nil: addresses answer as long as they are there
	Log     *slog.Logger // required
}
