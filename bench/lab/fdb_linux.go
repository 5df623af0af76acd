package lab

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Behind returns the name of the node behind whose port the switch has seen
// mac last, or "" when it does not know.
func (s *Switch) Behind(mac net.HardwareAddr) (name string, err error) {
	err = s.thread.do(func() error {
		table, err := netlink.NeighList(0, unix.AF_BRIDGE)
		if err != nil {
			return fmt.Errorf("read the switch's table: %w", err)
		}
		for _, entry := range table {
			if entry.HardwareAddr.String() != mac.String() || entry.Flags&unix.NTF_SELF != 0 {
				continue
			}
			port, err := netlink.LinkByIndex(entry.LinkIndex)
			if err != nil {
				return err
			}
			name = port.Attrs().Name
		}
		return nil
	})
	return name, err
}
