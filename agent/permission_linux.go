package agent

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrPermission is what CheckPermission returns.
var ErrPermission = errors.New("no permission: the agent needs CAP_NET_ADMIN and CAP_NET_RAW; run it as root")

// CheckPermission says whether this process may change addresses and open raw
// sockets (capabilities(7)).
func CheckPermission() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return fmt.Errorf("reading our capabilities: %w", err)
	}
	const needed = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW
	if data[0].Effective&needed != needed {
		return ErrPermission
	}
	return nil
}
