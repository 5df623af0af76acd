// Suite runs all tests of the module, each where it can run, and compares what
// ran with the list of tests that must.
//
//	suite                 build once, then the phases unit, long, lab, vm; compare
//	suite -phases unit    one phase, nothing compared
//	suite -check          compare the list with the tests in the source; run nothing
//	suite -write          write the list from the source
//
// The phases are: unit, the tests that need nothing, in parallel; long, those
// named TestLong, one package at a time, with all processors; lab, those
// named TestLab, one package at a time, since time matters to them, with root
// (by sudo if need be); vm, those of the lab that have skipped because the
// running kernel lacks IPVS, in one virtual machine. All but the long ones run
// with the race detector. The exit status is 1 if a test failed, or one of the list did
// not run.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// allPhases is every phase; only then the list says what must have run.
const allPhases = "unit,long,lab,vm"

// listFile is the list of required tests, relative to the module.
const listFile = "bench/suite/required.txt"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	phases := flag.String("phases", allPhases, "what to run")
	work := flag.String("work", ".cache/suite", "folder for test programs and raw results")
	vm := flag.String("vm", "bin/vm", "program of bench/lab/vm")
	check := flag.Bool("check", false, "only compare the list with the source")
	write := flag.Bool("write", false, "only write the list from the source")
	inside := flag.String("inside", "", "run the programs that this file describes (used in the machine)")
	flag.Parse()

	var err error
	switch {
	case *inside != "":
		err = runInside(ctx, *inside)
	case *check:
		err = checkList(ctx)
	case *write:
		err = writeList(ctx)
	default:
		err = runSuite(ctx, strings.Split(*phases, ","), *work, *vm)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(1)
	}
}

// runSuite builds the tests, runs the phases and reports.
func runSuite(ctx context.Context, phases []string, work, vm string) error {
	work, err := filepath.Abs(work)
	if err != nil {
		return err
	}
	programs, err := build(ctx, work)
	if err != nil {
		return fmt.Errorf("build tests: %w", err)
	}
	raw, err := os.Create(filepath.Join(work, "results.json"))
	if err != nil {
		return err
	}
	defer raw.Close()
	r := &runner{work: work, vm: vm, raw: raw, results: newResults()}
	if slices.Contains(phases, "unit") {
		r.unit(ctx, programs)
	}
	if slices.Contains(phases, "long") {
		r.long(ctx, programs)
	}
	if slices.Contains(phases, "lab") {
		r.lab(ctx, programs)
	}
	if slices.Contains(phases, "vm") {
		if err := r.machine(ctx, programs); err != nil {
			return fmt.Errorf("virtual machine: %w", err)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var required []testName
	if strings.Join(phases, ",") == allPhases {
		if required, err = readList(listFile); err != nil {
			return err
		}
	}
	return r.results.report(os.Stdout, required)
}

// job is a test program to be run in the machine.
type job struct {
	Dir  string
	Args []string
}

// runInside runs jobs one after the other; how they end is in their output.
func runInside(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var jobs []job
	if err := json.Unmarshal(text, &jobs); err != nil {
		return err
	}
	for _, j := range jobs {
		cmd := exec.CommandContext(ctx, j.Args[0], j.Args[1:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = j.Dir, os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			fmt.Fprintf(os.Stderr, "suite: %s: %v\n", j.Dir, err)
		}
	}
	return nil
}
