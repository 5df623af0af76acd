package ipvs

import (
	"bufio"
	"io"
)

// Save prints the services exactly as "ipvsadm -S -n" prints a kernel table
// that holds them, in its order: services by mark, family, protocol, address
// and port, each followed by its destinations by address and port. Two things
// ipvsadm has otherwise: it leaves thresholds out, which are -x and -y here, and
// compares by a subtraction that overflows, so that addresses more than 2^31
// apart come the other way round. The error is w's.
func Save(w io.Writer, services []Service) error {
	b := bufio.NewWriter(w)
	for _, s := range sorted(services) {
		for _, c := range create(s) {
			// A bufio.Writer keeps the first error for Flush.
			_, _ = b.WriteString(c.String() + "\n")
		}
	}
	return b.Flush()
}
