// Command fuzz runs the fuzz targets of the module one after the other, and
// prints how many inputs each was given: a target that was not reached, or a
// machine too slow to try much, is seen.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

// target is a fuzz test of a package, such as "./vrrp".
type target struct{ dir, name string }

func (t target) String() string { return t.dir + " " + t.name }

// result is what came of a target.
type result struct {
	target
	execs int
	took  time.Duration
	err   error // it found something, or did not run
}

func run(ctx context.Context) error {
	each := flag.Duration("time", 10*time.Second, "how long each target runs")
	only := flag.String("run", "", "targets whose package and name match this expression")
	execs := flag.Int("executions", 0, "instead of a time: how many inputs the targets get altogether, in equal shares")
	flag.Parse()
	match, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	targets, err := find(ctx, match)
	if err != nil {
		return err
	}
	budget := each.String()
	if *execs > 0 && len(targets) > 0 {
		budget = fmt.Sprintf("%dx", (*execs+len(targets)-1)/len(targets))
	}
	var results []result
	for _, t := range targets {
		r := fuzz(ctx, t, budget)
		results = append(results, r)
		if r.err != nil {
			break
		}
	}
	return report(results, *execs)
}

// find lists the targets that match. The tests of the suite's own parser hold
// a target in their text only.
func find(ctx context.Context, match *regexp.Regexp) (targets []target, err error) {
	out, err := exec.CommandContext(ctx, "git", "grep", "-lE", "^func Fuzz[A-Za-z]+\\(f", "--", "*_test.go", ":!bench").Output()
	if err != nil {
		return nil, fmt.Errorf("looking for targets: %w", err)
	}
	decl := regexp.MustCompile(`(?m)^func (Fuzz[A-Za-z]+)\(f \*testing\.F\)`)
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSpace(path)
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for _, m := range decl.FindAllSubmatch(data, -1) {
			t := target{"./" + path[:max(0, strings.LastIndex(path, "/"))], string(m[1])}
			if match.MatchString(t.String()) {
				targets = append(targets, t)
			}
		}
	}
	if len(targets) == 0 {
		return nil, errors.New("no target matches")
	}
	return targets, nil
}

// progress is a line of go test -fuzz.
var progress = regexp.MustCompile(`^fuzz: elapsed: \S+, execs: (\d+)`)

func fuzz(ctx context.Context, t target, budget string) result {
	r := result{target: t}
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", budget, "-timeout", "0", t.dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.err = err
		return r
	}
	start := time.Now()
	fmt.Printf("%v for %s\n", t, budget)
	text := r.follow(out)
	r.err = cmd.Wait()
	r.took = time.Since(start)
	if r.err != nil {
		fmt.Print(text)
	}
	return r
}

// follow reads the output to its end and returns all but the progress.
func (r *result) follow(out io.Reader) (text string) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m := progress.FindStringSubmatch(lines.Text()); m != nil {
			r.execs, _ = strconv.Atoi(m[1])
			continue
		}
		text += lines.Text() + "\n"
	}
	return text
}

// report prints the table; the error says what was found, or that less was
// tried than asked for.
func report(results []result, want int) error {
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nPACKAGE\tTARGET\tEXECUTIONS\tTIME\tPER SECOND\tFOUND")
	sum := 0
	var errs []error
	for _, r := range results {
		found := "nothing"
		if r.err != nil {
			found = "SEE ABOVE"
			errs = append(errs, fmt.Errorf("%v: %w", r.target, r.err))
		}
		sum += r.execs
		fmt.Fprintf(tw, "%s\t%s\t%d\t%v\t%.0f\t%s\n", r.dir, r.name, r.execs, r.took.Round(time.Second), float64(r.execs)/r.took.Seconds(), found)
	}
	fmt.Fprintf(tw, "together\t\t%d\n", sum)
	errs = append(errs, tw.Flush())
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if sum < want {
		return fmt.Errorf("%d executions, wanted are %d", sum, want)
	}
	return nil
}
