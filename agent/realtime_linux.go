package agent

import (
	"errors"
	"log/slog"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// beRealTime keeps the elector's pages in memory and runs its threads before
// any normal process, so that a busy or swapping node does not lose its
// routers for being late. Where it is not allowed the election goes on
// without, and says so. Threads made later inherit the priority.
func beRealTime(log *slog.Logger) {
	// MCL_ONFAULT: only what is used stays; locking the whole binary would
	// cost more memory than the elector itself.
	err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
	tasks, readErr := os.ReadDir("/proc/self/task")
	err = errors.Join(err, readErr)
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}
	for _, t := range tasks {
		tid, convErr := strconv.Atoi(t.Name())
		err = errors.Join(err, convErr)
		if schedErr := unix.SchedSetAttr(tid, &attr, 0); schedErr != nil && !errors.Is(schedErr, unix.ESRCH) {
			err = errors.Join(err, schedErr)
			break
		}
	}
	if err != nil {
		log.Warn("elector runs without real-time priority or locked memory: a busy node may lose its routers", "err", err)
	}
}
