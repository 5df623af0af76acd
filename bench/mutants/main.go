// Mutants applies named bugs to packages, one at a time, and expects the tests
// of the package to notice each.
//
//	mutants [-p N] [-run REGEXP] [FOLDER...]
//
// Below each folder (default: .) it reads every testdata/mutants.txt, which
// describes the mutants of the package that testdata belongs to. Only the
// working copy that the compiler sees is changed (go test -overlay), never a
// file. A mutant that does not build, or that no test notices, makes the exit
// status 1.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	parallel := flag.Int("p", 2, "mutants tried at a time")
	only := flag.String("run", "", "only mutants whose \"package: name\" matches")
	flag.Parse()
	survivors, err := run(ctx, os.Stdout, flag.Args(), *parallel, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if err != nil || survivors > 0 {
		os.Exit(1)
	}
}

// run tries the mutants below the folders, prints a table, and returns how
// many were not caught.
func run(ctx context.Context, w io.Writer, folders []string, parallel int, only string) (int, error) {
	match, err := regexp.Compile(only)
	if err != nil {
		return 0, err
	}
	if len(folders) == 0 {
		folders = []string{"."}
	}
	var mutants []mutant
	for _, dir := range folders {
		found, err := collect(dir)
		if err != nil {
			return 0, err
		}
		mutants = append(mutants, found...)
	}
	var chosen []mutant
	for _, m := range mutants {
		if match.MatchString(m.pkg + ": " + m.name) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return 0, fmt.Errorf("no mutants in %v", folders)
	}
	if err := baseline(ctx, chosen); err != nil {
		return 0, err
	}
	verdicts := tryAll(ctx, chosen, parallel)
	if err := ctx.Err(); err != nil {
		return 0, context.Cause(ctx)
	}
	return table(w, verdicts)
}

// collect reads the mutants of every package below a folder.
func collect(root string) ([]mutant, error) {
	var all []mutant
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if filepath.Base(path) != "mutants.txt" || filepath.Base(filepath.Dir(path)) != "testdata" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pkg := filepath.Dir(filepath.Dir(path))
		found, err := parse(string(text))
		if err != nil {
			return fmt.Errorf("%s:%w", path, err)
		}
		for i := range found {
			found[i].pkg = pkg
		}
		all = append(all, found...)
		return nil
	})
	return all, err
}

// baseline checks that the tests pass without mutants, as otherwise they seem
// to catch all.
func baseline(ctx context.Context, mutants []mutant) error {
	done := map[string]bool{}
	for _, m := range mutants {
		if done[m.pkg] {
			continue
		}
		done[m.pkg] = true
		if v := goTest(ctx, m.pkg); v.outcome != survived {
			return fmt.Errorf("the tests of %s do not pass without a mutant (%s): %s", m.pkg, v.outcome, v.detail)
		}
	}
	return nil
}

// tryAll tries the mutants, several at a time, and returns their verdicts in
// the same order.
func tryAll(ctx context.Context, mutants []mutant, parallel int) []verdict {
	verdicts := make([]verdict, len(mutants))
	next := make(chan int)
	var workers sync.WaitGroup
	for range max(1, parallel) {
		workers.Go(func() {
			for i := range next {
				start := time.Now()
				v := try(ctx, mutants[i])
				v.mutant, v.took = mutants[i], time.Since(start)
				verdicts[i] = v
			}
		})
	}
	for i := range mutants {
		next <- i
	}
	close(next)
	workers.Wait()
	return verdicts
}

// table prints the verdicts, the bad ones last, and returns how many mutants
// were not caught.
func table(w io.Writer, verdicts []verdict) (int, error) {
	slices.SortStableFunc(verdicts, func(a, b verdict) int {
		return cmp.Compare(badness(a), badness(b))
	})
	bad := 0
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "PACKAGE\tMUTANT\tVERDICT\tBY\tTIME")
	for _, v := range verdicts {
		bad += badness(v)
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%.1fs\n", v.pkg, v.name, v.outcome, v.detail, v.took.Seconds())
	}
	if err := tw.Flush(); err != nil {
		return bad, err
	}
	_, err := fmt.Fprintf(w, "%d mutants, %d caught, %d not\n", len(verdicts), len(verdicts)-bad, bad)
	return bad, err
}

// badness is 1 for a verdict that must not be.
func badness(v verdict) int {
	if v.outcome == caught {
		return 0
	}
	return 1
}
