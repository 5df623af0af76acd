package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"harmony/agent"
	"harmony/cluster"
	"harmony/ipvs"
	"harmony/nginxconf"
	"harmony/source"
	"harmony/source/folder"
)

func checkCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "check PATH...", Short: "Check files and folders; print every problem", Args: cobra.MinimumNArgs(1),
		Long: `Reads files and folders as the agent would and prints what is wrong, one
problem a line: FILE:LINE: OBJECT FIELD: reason. Whether a declared script is
there and safe is said for this machine. Exit code 1 on errors.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "" && format != "json" {
				return usage(fmt.Errorf("-o %s: want json", format))
			}
			d := decide(args, "", nginxconf.MinVersion)
			d.problems = append(d.problems, agent.ScriptProblems(d.snapshot)...)
			slices.SortStableFunc(d.problems, source.Problem.Compare)
			if err := printProblems(cmd.OutOrStdout(), d.problems, format); err != nil {
				return err
			}
			if failed(d.problems) {
				return errProblems
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "", "json")
	return cmd
}

// decision is the whole way from the source to what would be programmed.
type decision struct {
	snapshot source.Snapshot // without what is refused
	plan     cluster.NodePlan
	nginx    nginxconf.Output
	problems []source.Problem
}

// decide goes the agent's way with static facts: every real server is up.
func decide(paths []string, node string, version nginxconf.Version) decision {
	next, problems := folder.Load(paths...)
	settled, state, problems := cluster.Settle(source.Snapshot{}, next, problems)
	plan, more := cluster.Plan(state, cluster.Facts{Node: node})
	d := decision{snapshot: settled, plan: plan, problems: append(problems, more...)}
	var faults []nginxconf.Fault
	d.nginx, faults = nginxconf.Build(plan.NGINX, nginxconf.Features{Version: version, Workers: 1, User: "www-data"})
	for _, f := range faults {
		d.problems = append(d.problems, source.Problem{Severity: source.Error, Code: "NGINX", Text: fmt.Sprintf("%s: host %q: %s", f.Object, f.Host, f.Reason)})
	}
	return d
}

func failed(problems []source.Problem) bool {
	return slices.ContainsFunc(problems, func(p source.Problem) bool { return p.Severity == source.Error })
}

func printProblems(w io.Writer, problems []source.Problem, format string) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(append([]source.Problem{}, problems...)) // [] rather than null
	}
	for _, p := range problems {
		if p.Severity == source.Warning {
			p.Text = "warning: " + p.Text
		}
		if _, err := fmt.Fprintln(w, p); err != nil {
			return err
		}
	}
	return nil
}

func renderCommand() *cobra.Command {
	var from, node, version string
	cmd := &cobra.Command{
		Use: "render nginx|ipvs --from PATH", Short: "Print what would be programmed; touch nothing",
		Long: `Prints what the agent would program from a file or folder: NGINX's
configuration, or the IPVS table as ipvsadm -S -n does, with every real server
up. Problems go to stderr; what they name is left out. Exit code 1 on errors.`,
		Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs), ValidArgs: []string{"nginx", "ipvs"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if from == "" {
				return usage(errors.New("render needs --from PATH"))
			}
			v, err := nginxconf.ParseVersion(version)
			if err != nil {
				return usage(fmt.Errorf("--nginx-version: %w", err))
			}
			d := decide([]string{from}, node, v)
			if err := printProblems(cmd.ErrOrStderr(), d.problems, ""); err != nil {
				return err
			}
			if args[0] == "ipvs" {
				err = ipvs.Save(cmd.OutOrStdout(), d.plan.Services)
			} else {
				_, err = d.nginx.WriteTo(cmd.OutOrStdout())
			}
			if err == nil && failed(d.problems) {
				err = errProblems
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "file or folder to read (required)")
	f.StringVar(&node, "node", "", "the node to render for")
	f.StringVar(&version, "nginx-version", nginxconf.MinVersion.String(), "the NGINX version to render for")
	return cmd
}
