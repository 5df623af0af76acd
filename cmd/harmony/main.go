// Command harmony is the edge of a cluster in one binary: it elects the owners
// of virtual IPs, programs IPVS, and runs NGINX from Ingress objects.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"harmony/agent"
)

// version is set by the build: -ldflags "-X main.version=...".
var version = "devel"

// Exit codes, the same for every command.
const (
	exitInput       = 1 // the input is at fault
	exitUsage       = 2 // the command line is
	exitEnvironment = 3 // the environment is: no permission, no ip_vs, no nginx
)

// exitError is an error with the exit code that it shall end with.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func environment(err error) error { return coded(exitEnvironment, err) }
func usage(err error) error       { return coded(exitUsage, err) }
func coded(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code, err}
}

// errProblems ends a command whose problems are already printed.
var errProblems = errors.New("problems were found")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !errors.Is(err, errProblems) {
		fmt.Fprintln(stderr, "harmony:", err)
	}
	if e := (*exitError)(nil); errors.As(err, &e) {
		return e.code
	}
	return exitInput
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "harmony",
		Short: "Virtual IPs, layer 4 and layer 7 at the edge of a cluster",
		Long: `Harmony elects the owners of virtual IPs (VRRP), balances layer 4 in the
kernel (IPVS) and layer 7 with stock NGINX, from a folder of YAML.

Exit codes: 0 well, 1 the input is at fault, 2 usage, 3 the environment is.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(agentCommand(), workerCommand(), nginxCommand(), checkCommand(), renderCommand(),
		statusCommand(), failoverCommand(), drainCommand(), undrainCommand(), keysCommand(), restartCommand(), versionCommand())
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	for _, c := range root.Commands() {
		c.Args = usageArgs(c.Args)
	}
	root.Args = usageArgs(root.Args)
	return root
}

// usageArgs gives a wrong number of arguments the exit code of usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		if err := check(cmd, args); err != nil {
			return usage(fmt.Errorf("%w (see `%s --help`)", err, cmd.CommandPath()))
		}
		return nil
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			goVersion := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				goVersion = info.GoVersion
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "harmony %s (%s)\n", version, goVersion)
			return err
		},
	}
}

// logger writes to stderr, where systemd and container runtimes collect it.
func logger(cmd *cobra.Command, process string) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)).With("process", process)
}

// runDirFlag adds --run-dir to a command.
func runDirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "run-dir", agent.DefaultRunDir, "folder for journals, sockets and NGINX's files")
}
