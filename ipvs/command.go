package ipvs

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
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

// String returns the command as ipvsadm's arguments, numeric, in the order in
// which "ipvsadm -S -n" prints them, such as
// "-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 1".
func (c Command) String() string {
	s := c.Op.String() + " " + serviceOption(c.Service.Key)
	switch c.Op {
	case NewService, SetService:
		s += serviceSettings(c.Service)
	case NewDest, SetDest:
		s += " -r " + c.Destination.endpoint().String() + destinationSettings(c.Destination)
	case DelDest:
		s += " -r " + c.Destination.endpoint().String()
	}
	return s
}

// serviceOption names a service in ipvsadm's words: "-t 192.0.2.1:80".
func serviceOption(k Key) string {
	option := "--sctp-service"
	switch {
	case k.FWMark != 0 && k.IPv6:
		return fmt.Sprintf("-f %d -6", k.FWMark)
	case k.FWMark != 0:
		return fmt.Sprintf("-f %d", k.FWMark)
	case k.Protocol == TCP:
		option = "-t"
	case k.Protocol == UDP:
		option = "-u"
	}
	return option + " " + netip.AddrPortFrom(k.Address, k.Port).String()
}

func serviceSettings(s Service) string {
	var b strings.Builder
	b.WriteString(" -s " + s.Scheduler)
	if s.Persistence > 0 {
		fmt.Fprintf(&b, " -p %d", s.Persistence/time.Second)
		switch {
		case s.Netmask == 0:
		case s.is6():
			fmt.Fprintf(&b, " -M %d", s.Netmask)
		default:
			b.WriteString(" -M " + net.IP(net.CIDRMask(s.Netmask, 32)).String())
		}
		if s.Engine != "" {
			b.WriteString(" --pe " + s.Engine)
		}
	}
	if s.OnePacket {
		b.WriteString(" -o")
	}
	if flags := schedulerFlags(s); flags != "" {
		b.WriteString(" -b " + flags)
	}
	return b.String()
}

// schedulerFlags names the flags as ipvsadm does for the scheduler.
func schedulerFlags(s Service) string {
	var flags []string
	name := func(set bool, of, other string) {
		switch {
		case !set:
		case s.Scheduler == "sh" || s.Scheduler == "mh":
			flags = append(flags, s.Scheduler+of)
		default:
			flags = append(flags, other)
		}
	}
	name(s.Fallback, "-fallback", "flag-1")
	name(s.HashPort, "-port", "flag-2")
	return strings.Join(flags, ",")
}

func destinationSettings(d Destination) string {
	var b strings.Builder
	switch d.Forwarding {
	case NAT:
		b.WriteString(" -m")
	case DR:
		b.WriteString(" -g")
	default: // foreign entries may have others
		b.WriteString(" -i")
	}
	fmt.Fprintf(&b, " -w %d", d.Weight)
	if d.Forwarding == TUN {
		b.WriteString(tunnelOptions(d.Tunnel))
	}
	if d.Upper > 0 {
		fmt.Fprintf(&b, " -x %d", d.Upper)
	}
	if d.Lower > 0 {
		fmt.Fprintf(&b, " -y %d", d.Lower)
	}
	return b.String()
}

func tunnelOptions(t Tunnel) string {
	checksum := []string{" --tun-nocsum", " --tun-csum", " --tun-remcsum"}[min(t.Checksum, RemoteChecksum)]
	switch t.Type {
	case GUE:
		return fmt.Sprintf(" --tun-type gue --tun-port %d", t.Port) + checksum
	case GRE:
		return " --tun-type gre" + checksum
	}
	return " --tun-type ipip"
}
