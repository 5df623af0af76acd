package ipvs

import "fmt"

// NewTable connects to the ip_vs table of the calling thread's network
// namespace and reads the journal. The error is ErrUnavailable when the kernel
// has no ip_vs. The caller closes the Table. It changes nothing yet.
func NewTable(opt Options) (*Table, error) {
	s := sysctls{root: "/proc/sys"}
	boot, err := s.read("kernel.random.boot_id")
	if err != nil {
		return nil, fmt.Errorf("reading the boot id: %w", err)
	}
	h, err := Open()
	if err != nil {
		return nil, err
	}
	return newTable(h, s, boot, opt), nil
}
