package ipvs

import (
	"fmt"
	"net/netip"
	"time"
)

// Op is one of the kernel's table operations (IPVS_CMD_* of <linux/ip_vs.h>).
type Op uint8

// The operations that Diff emits. The zero Op is invalid.
const (
	NewService Op = iota + 1
	SetService
	DelService // its destinations go with it
	NewDest
	SetDest
	DelDest
)

// String returns ipvsadm's option for the operation: "-A", "-E", "-D", "-a",
// "-e" or "-d".
func (o Op) String() string {
	switch o {
	case NewService:
		return "-A"
	case SetService:
		return "-E"
	case DelService:
		return "-D"
	case NewDest:
		return "-a"
	case SetDest:
		return "-e"
	case DelDest:
		return "-d"
	}
	return fmt.Sprintf("op %d", uint8(o))
}

// Command is one write to the kernel's table.
type Command struct {
	Op          Op
	Service     Service     // without destinations
	Destination Destination // only with NewDest, SetDest and DelDest
}

// String returns the command as ipvsadm's arguments, numeric, such as
// "-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 1".
func (c Command) String() string {
	s := c.Op.String() + " " + serviceOption(c.Service.Key)
	switch c.Op {
	case NewService, SetService:
		s += " -s " + c.Service.Scheduler
		if c.Service.Persistence > 0 {
			s += fmt.Sprintf(" -p %d", c.Service.Persistence/time.Second)
		}
	case NewDest, SetDest:
		d := c.Destination
		s += fmt.Sprintf(" -r %v %s -w %d", d.endpoint(), forwardingOption(d.Forwarding), d.Weight)
	case DelDest:
		s += " -r " + c.Destination.endpoint().String()
	}
	return s
}

// serviceOption names a service in ipvsadm's words: "-t 192.0.2.1:80".
func serviceOption(k Key) string {
	option := "--sctp-service"
	switch k.Protocol {
	case TCP:
		option = "-t"
	case UDP:
		option = "-u"
	}
	return option + " " + netip.AddrPortFrom(k.Address, k.Port).String()
}

// forwardingOption is ipvsadm's option for a method; foreign entries may also
// tunnel.
func forwardingOption(f Forwarding) string {
	switch f {
	case NAT:
		return "-m"
	case DR:
		return "-g"
	}
	return "-i"
}
