// Command interop plays every way in which an owner of addresses can come and
// go beside real peers, keepalived and FRR, in network namespaces, and prints
// a table of what an independent observer saw: who answered ARP and ND, what
// tcpdump made of the adverts, what the peers complained of.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"harmony/bench/lab"
	"harmony/bench/probe"
)

// options are the flags, and what was found out from them.
type options struct {
	harmony  string
	peers    string
	only     *regexp.Regexp
	parallel int
	slack    time.Duration
	out      string
	logs     string
	list     bool
	filter   string

	hostKeepalived string   // its name
	names          []string // of all peers
}

func main() {
	if probe.Main() {
		return
	}
	isolated, code, err := lab.Isolate()
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
	if !isolated {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := play(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

func parse() (o options, err error) {
	bin := flag.String("harmony", "bin/harmony", "the harmony binary")
	peers := flag.String("peers", ".cache/peers", "where tools/peers has unpacked the peers that are not installed")
	only := flag.String("run", "", "cells whose line in the table matches this expression")
	flag.IntVar(&o.parallel, "parallel", 4, "cells side by side; most of a cell is waiting")
	flag.DurationVar(&o.slack, "slack", 150*time.Millisecond, "what the machine may add to the protocol's times")
	flag.StringVar(&o.out, "out", "", "file for the table")
	flag.StringVar(&o.logs, "logs", "", "folder for the logs of cells that went wrong")
	flag.StringVar(&o.filter, "filter", "ip proto 112 or ip6 proto 112 or ip proto 51", "what tcpdump shows, for the logs")
	flag.BoolVar(&o.list, "list", false, "list the cells and play none")
	flag.Parse()
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, err
	}
	if o.harmony, err = filepath.Abs(*bin); err != nil {
		return o, err
	}
	o.peers, err = filepath.Abs(*peers)
	return o, err
}

// prepare lets programs run in the root folders of the peers, and asks them
// for their versions. The mounts are seen in this lab only.
func (o *options) prepare() error {
	version := regexp.MustCompile(`v(?:ersion )?([0-9]+\.[0-9.]+)`)
	find := func(name string, args ...string) (string, error) {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		m := version.FindSubmatch(out)
		if m == nil {
			return "", fmt.Errorf("%s tells no version: %w: %s", args, err, out)
		}
		o.names = append(o.names, name+" "+string(m[1]))
		return o.names[len(o.names)-1], nil
	}
	var err error
	if o.hostKeepalived, err = find("keepalived", "keepalived", "--version"); err != nil {
		return err
	}
	for _, p := range [][]string{{"keepalived", "/usr/sbin/keepalived"}, {"FRR", "/usr/lib/frr/vrrpd"}} {
		root := filepath.Join(o.peers, strings.ToLower(p[0]))
		err := errors.Join(
			unix.Mount("proc", filepath.Join(root, "proc"), "proc", 0, ""),
			unix.Mount("/dev", filepath.Join(root, "dev"), "", unix.MS_BIND|unix.MS_REC, ""), // with the lab's Scratch
			unix.Mount("tmpfs", filepath.Join(root, "var/tmp/frr"), "tmpfs", 0, ""),
		)
		if err != nil {
			return fmt.Errorf("root folder %s (tools/peers makes it): %w", root, err)
		}
		if _, err := find(p[0], "chroot", root, p[1], "--version"); err != nil {
			return err
		}
	}
	return nil
}

func play(ctx context.Context) error {
	o, err := parse()
	if err != nil {
		return err
	}
	if err := o.prepare(); err != nil {
		return err
	}
	var list []cell
	for _, peer := range o.names {
		for _, c := range cells(peer) {
			if o.only.MatchString(c.String()) {
				list = append(list, c)
			}
		}
	}
	if o.list {
		for _, c := range list {
			fmt.Println(c)
		}
		return nil
	}
	outcomes := o.playAll(ctx, list)
	return o.report(outcomes)
}

// playAll plays the cells, some side by side, and tells of each.
func (o options) playAll(ctx context.Context, list []cell) []outcome {
	outcomes := make([]outcome, len(list))
	next := make(chan int)
	var mu sync.Mutex // makes printing one at a time
	var wg sync.WaitGroup
	for range max(1, o.parallel) {
		wg.Go(func() {
			for i := range next {
				outcomes[i] = o.run(ctx, list[i], i)
				mu.Lock()
				o.tell(outcomes[i])
				mu.Unlock()
			}
		})
	}
	for i := range list {
		next <- i
	}
	close(next)
	wg.Wait()
	return outcomes
}

// tell prints a line for a cell that is done.
func (o options) tell(out outcome) {
	wrong := out.verdict(o.slack)
	word := "ok   "
	if len(wrong) > 0 {
		word = "WRONG"
	}
	fmt.Printf("%s %v\n", word, out.cell)
	for _, w := range wrong {
		fmt.Printf("      %s\n", w)
	}
}
