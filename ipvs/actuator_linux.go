package ipvs

import "harmony/runfile"

// NewTable connects to the ip_vs table of the calling thread's network
// namespace and reads the journal. The error is ErrUnavailable when the kernel
// has no ip_vs. The caller closes the Table. It changes nothing yet.
func NewTable(opt Options) (*Table, error) {
	s := sysctls{root: "/proc/sys"}
	boot, err := runfile.BootID()
	if err != nil {
		return nil, err
	}
	h, err := Open()
	if err != nil {
		return nil, err
	}
	return newTable(h, s, boot, opt), nil
}
