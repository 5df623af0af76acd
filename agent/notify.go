package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// NotifySystemd tells the service manager a state such as "READY=1" over the
// socket of sd_notify(3). Without NOTIFY_SOCKET it does nothing.
func NotifySystemd(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notifying systemd: %w", err)
	}
	_, err = c.Write([]byte(state))
	if err := errors.Join(err, c.Close()); err != nil {
		return fmt.Errorf("notifying systemd: %w", err)
	}
	return nil
}

// petSystemd feeds the service manager's watchdog (WatchdogSec= of the unit)
// while the engine is in time: one that hangs for good is better restarted.
// The worker silences it long before.
func (e *elector) petSystemd() {
	if os.Getenv("WATCHDOG_USEC") == "" {
		return
	}
	if late, _ := look(e.pulse.limit(), monotonic()); late {
		return
	}
	if err := NotifySystemd("WATCHDOG=1"); err != nil {
		e.o.Log.Warn("systemd does not know that we live", "err", err)
	}
}
