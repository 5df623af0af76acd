package nginxconf

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// EnvironmentError says that the machine, not the input, keeps NGINX from
// running. Its text is one line that ends in what to do.
type EnvironmentError struct {
	What string // "port 80 is in use by another program"
	Do   string // "stop it, or change the port in Settings"
	Err  error  // the cause, may be nil
}

// Error returns "WHAT: CAUSE; DO".
func (e *EnvironmentError) Error() string {
	if e.Err == nil {
		return e.What + "; " + e.Do
	}
	return fmt.Sprintf("%s: %v; %s", e.What, e.Err, e.Do)
}

// Unwrap returns the cause.
func (e *EnvironmentError) Unwrap() error { return e.Err }

// probe tries to listen on the ports, as NGINX is about to: NGINX's own message
// would only be text, and comes after some seconds of retries.
func probe(p ports, noIPv6 bool) error {
	for _, port := range []uint16{p.HTTP, p.HTTPS} {
		for _, network := range []string{"tcp4", "tcp6"} {
			if port == 0 || network == "tcp6" && noIPv6 {
				continue
			}
			if err := probePort(network, port); err != nil {
				return err
			}
		}
	}
	return nil
}

func probePort(network string, port uint16) error {
	l, err := net.Listen(network, ":"+strconv.Itoa(int(port)))
	switch {
	case err == nil:
		return l.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return &EnvironmentError{What: fmt.Sprintf("port %d is in use by another program", port),
			Do: fmt.Sprintf("find it with: ss -ltnp sport = :%d, and stop it", port)}
	case errors.Is(err, syscall.EACCES):
		return &EnvironmentError{What: fmt.Sprintf("no permission to listen on port %d", port),
			Do: "run as root or with CAP_NET_BIND_SERVICE"}
	}
	return &EnvironmentError{What: fmt.Sprintf("cannot listen on port %d", port), Err: err, Do: "repair the network of this machine"}
}
