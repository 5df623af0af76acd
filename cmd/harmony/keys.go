package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"harmony/agent"
)

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "keys", Short: "The keys of gossip", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, c := range []*cobra.Command{keysRotateCommand(), keysListCommand()} {
		c.Args = usageArgs(c.Args)
		cmd.AddCommand(c)
	}
	return cmd
}

func keysRotateCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "rotate", Short: "Have all nodes encrypt gossip with a new key, without an interruption", Args: cobra.NoArgs,
		Long: `Makes a new key and gives it to every node that is there; when all of them can
read it, all encrypt with it. The key before stays readable for a day: a node
that was away for no longer is given the new key when it comes back. If a node
that is there does not confirm, the old key stays in use, and the command says
which node.

The key is kept in the run folder. Before a node without it joins, or a node
that was away for longer comes back or is booted alone, put a new key into the
Secret.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			resp, err := ask(cmd.Context(), dir, agent.Request{Command: "keys rotate"})
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), resp.Done)
			}
			return err
		},
	}
	runDirFlag(cmd, &dir)
	return cmd
}

func keysListCommand() *cobra.Command {
	var dir, format string
	cmd := &cobra.Command{
		Use: "list", Short: "Show the keys of gossip by their fingerprints, and which node uses which", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "" && format != "json" {
				return usage(fmt.Errorf("-o %s: want json", format))
			}
			resp, err := ask(cmd.Context(), dir, agent.Request{Command: "keys list"})
			switch {
			case err != nil:
				return err
			case format == "json":
				return agent.WriteAnyJSON(cmd.OutOrStdout(), resp.Gossip)
			}
			return agent.WriteKeys(cmd.OutOrStdout(), *resp.Gossip, time.Now())
		},
	}
	runDirFlag(cmd, &dir)
	cmd.Flags().StringVarP(&format, "output", "o", "", "json")
	return cmd
}
