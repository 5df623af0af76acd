package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// restFor is how long a node is watched at rest.
const restFor = 10 * time.Second

// rest is what a node costs while nothing happens: all its processes together.
type rest struct {
	peer, role string
	advert     time.Duration
	cpu        float64 // of one core
	rss        int     // KiB
}

// rest watches both nodes of a pair.
func (p *pair) rest(ctx context.Context) ([]rest, error) {
	if err := p.until(ctx, "A owns the addresses alone", p.aOwns); err != nil {
		return nil, err
	}
	pids := map[string][]int{"owner": family(p.procA.Process.Pid), "backup": family(p.procB.Process.Pid)}
	before := map[string]time.Duration{}
	for role := range pids {
		before[role] = cpuTime(pids[role])
	}
	start := time.Now()
	if err := pause(ctx, restFor); err != nil {
		return nil, err
	}
	var out []rest
	for _, role := range []string{"owner", "backup"} {
		used := cpuTime(pids[role]) - before[role]
		out = append(out, rest{p.name, role, p.advert, float64(used) / float64(time.Since(start)), rss(pids[role])})
	}
	return out, nil
}

// family is a process and its children.
func family(pid int) []int { return append([]int{pid}, children(pid)...) }

// cpuTime is what all threads of the processes have run so far, to the
// nanosecond (Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat).
func cpuTime(pids []int) (sum time.Duration) {
	for _, pid := range pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, t := range tasks {
			data, err := os.ReadFile(t)
			if err != nil {
				continue // the thread has ended
			}
			ns, _ := strconv.ParseInt(strings.Fields(string(data))[0], 10, 64)
			sum += time.Duration(ns)
		}
	}
	return sum
}

// rss is the memory of the processes that is resident, in KiB. Pages that two
// of them share count twice.
func rss(pids []int) (sum int) {
	for _, pid := range pids {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
				n, _ := strconv.Atoi(f[1])
				sum += n
			}
		}
	}
	return sum
}

const (
	restCPU = 0.01     // of a core, at 100 ms adverts
	restRSS = 60 << 10 // KiB, elector and worker
)

// reportRest prints the table and returns the bars that are not held.
func reportRest(all []rest) (red []string) {
	fmt.Printf("\nAt rest, %s each, one router:\n", restFor)
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ADVERT\tROLE\tPEER\tCPU OF A CORE\tRSS\tBAR")
	for _, r := range all {
		bar := ""
		if r.peer == "harmony" && r.advert == 100*time.Millisecond {
			bar = fmt.Sprintf("< %.0f %%, ≤ %d MB", 100*restCPU, restRSS>>10)
			if r.cpu >= restCPU || r.rss > restRSS {
				red = append(red, fmt.Sprintf("at rest as %s: %.2f %% of a core, %d MB", r.role, 100*r.cpu, r.rss>>10))
				bar += " RED"
			}
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%.2f %%\t%d MB\t%s\n", r.advert, r.role, r.peer, 100*r.cpu, r.rss>>10, bar)
	}
	if err := tw.Flush(); err != nil {
		red = append(red, err.Error())
	}
	return red
}
