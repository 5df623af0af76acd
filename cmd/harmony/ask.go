package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"harmony/agent"
)

// ask sends one request to the agent and gives its failures their exit codes.
func ask(ctx context.Context, dir string, req agent.Request) (agent.Response, error) {
	resp, err := agent.Ask(ctx, agent.RunDir(dir), req)
	if errors.As(err, new(*agent.RefusedError)) {
		return resp, err
	}
	switch {
	case errors.Is(err, os.ErrPermission):
		err = fmt.Errorf("%w: status and commands are root's", err)
	case errors.Is(err, agent.ErrNoAgent):
		err = fmt.Errorf("%w: start it with `harmony agent`, or name its --run-dir", err)
	}
	return resp, environment(err)
}

func statusCommand() *cobra.Command {
	var dir, format string
	var watch bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show who owns what and why, services, backends, sites", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "" && format != "json" && format != "wide" {
				return usage(fmt.Errorf("-o %s: want json or wide", format))
			}
			for {
				resp, err := ask(cmd.Context(), dir, agent.Request{Command: "status"})
				if err != nil {
					return err
				}
				if watch && format != "json" {
					fmt.Fprint(cmd.OutOrStdout(), "\x1b[H\x1b[2J") // home, clear
				}
				if err := printStatus(cmd.OutOrStdout(), *resp.Status, format); err != nil || !watch {
					return err
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(time.Second):
				}
			}
		},
	}
	runDirFlag(cmd, &dir)
	cmd.Flags().StringVarP(&format, "output", "o", "", "json or wide")
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again every second")
	return cmd
}

func printStatus(w io.Writer, s agent.Status, format string) error {
	if format == "json" {
		return agent.WriteJSON(w, s)
	}
	return agent.WriteTable(w, s, format == "wide", time.Now())
}

func failoverCommand() *cobra.Command {
	var dir string
	req := agent.Request{Command: "failover"}
	cmd := &cobra.Command{
		Use: "failover VIRTUALROUTER", Short: "Hand a virtual router over, without loss", Args: cobra.ExactArgs(1),
		Long: `On the owner, hands the virtual router over to the next in line and stays
last in line until --undo, over restarts too. With --to naming the node it is
run on, makes that node the owner, in the same way. If nobody takes over,
nothing has changed.

Nodes talk by adverts only, so on a node that cannot do it the command is
refused, and names the node to run it on.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Router = args[0]
			if req.Undo && req.To != "" {
				return usage(errors.New("--to and --undo exclude each other"))
			}
			resp, err := ask(cmd.Context(), dir, req)
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), resp.Done)
			}
			return err
		},
	}
	runDirFlag(cmd, &dir)
	cmd.Flags().StringVar(&req.To, "to", "", "the node that shall own it")
	cmd.Flags().BoolVar(&req.Undo, "undo", false, "elect by the configured priorities again")
	return cmd
}

func drainCommand() *cobra.Command {
	cmd := nodeCommand(agent.Request{Command: "drain"})
	cmd.Use, cmd.Short = "drain NODE", "Hand over everything a node owns, without loss"
	cmd.Long = `Run on NODE: hands over every virtual router that the node owns, and makes the
node last in line for all of them, those added later included. That holds until
` + "`harmony undrain`" + `, over restarts too (the order is in the run folder; give
--run-dir a folder on disk if it shall outlive a reboot).

A drain never ends a service: what no other node takes over is named, stays
served here, exit code 1, and goes to the first node that joins. So
` + "`harmony drain NODE && reboot`" + ` is safe.`
	return cmd
}

func undrainCommand() *cobra.Command {
	cmd := nodeCommand(agent.Request{Command: "undrain"})
	cmd.Use, cmd.Short = "undrain NODE", "End a drain: take part by the configured priorities again"
	return cmd
}

// nodeCommand is a command about the node it is run on, by name, so that it is
// not run on the wrong one.
func nodeCommand(req agent.Request) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Node = args[0]
			resp, err := ask(cmd.Context(), dir, req)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), resp.Done)
			if len(resp.Left) > 0 {
				return fmt.Errorf("nobody took over %s: still served here", strings.Join(resp.Left, ", "))
			}
			return nil
		},
	}
	runDirFlag(cmd, &dir)
	return cmd
}

func restartCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "restart", Short: "End the agent for its service manager to start it again", Args: cobra.NoArgs,
		Long: `Ends the agent so that its service manager starts it again, with a new binary
for example: it hands over what peers take, and leaves the rest for the next
agent to adopt: IPVS and nft as they are, the addresses on their interfaces.
Until the next agent owns them again they do not answer ARP and ND, so that
there are never two owners; hosts that know the way go on being served. If no
agent comes, the kernel removes the addresses after a minute.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			resp, err := ask(cmd.Context(), dir, agent.Request{Command: "restart"})
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), resp.Done)
			}
			return err
		},
	}
	runDirFlag(cmd, &dir)
	return cmd
}
