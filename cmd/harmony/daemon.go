package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"harmony/agent"
	"harmony/nginxconf"
)

// defaultHTTP is where the agent serves /healthz, /readyz, /metrics, /status.
const defaultHTTP = "127.0.0.1:9650"

// agentFlags are the options that agent and worker share.
func agentFlags(cmd *cobra.Command, o *agent.Options) {
	f := cmd.Flags()
	f.StringVar(&o.From, "from", "", "folder of YAML to serve (required)")
	f.StringVar(&o.Node, "node", "", "this node's name in the objects (default: the hostname)")
	f.StringVar(&o.HTTP, "http", defaultHTTP, `listen address for /healthz /readyz /metrics /status, "" for none`)
	runDirFlag(cmd, (*string)(&o.RunDir))
}

func agentCommand() *cobra.Command {
	var o agent.Options
	cmd := &cobra.Command{
		Use: "agent --from DIR", Short: "Run the daemon of an edge node", Args: cobra.NoArgs,
		Long: `Runs the daemon: elects the owners of the virtual IPs, programs IPVS and
hands the sites to NGINX's supervisor (harmony nginx, a process of its own).

SIGHUP reads the source again; SIGTERM hands over what this node owns first.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Version, o.Log = version, logger(cmd, "elector")
			if err := checkAgent(&o); err != nil {
				return err
			}
			return environment(agent.Run(cmd.Context(), o))
		},
	}
	agentFlags(cmd, &o)
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "treat a stop as a restart: leave IPVS and nft programmed, and for a minute\nthe addresses that no peer has taken over, silent, for the next agent")
	return cmd
}

// checkAgent finds at the start what would make the daemon useless.
func checkAgent(o *agent.Options) error {
	if o.From == "" {
		return usage(errors.New("agent needs --from DIR"))
	}
	if strings.HasPrefix(o.From, "keepalived:") || o.From == "kubernetes" {
		return usage(fmt.Errorf("--from %s: this version reads folders only", o.From))
	}
	if info, err := os.Stat(o.From); err != nil {
		return fmt.Errorf("--from: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("--from %s: not a folder", o.From)
	}
	if o.Node == "" {
		var err error
		if o.Node, err = os.Hostname(); err != nil {
			return environment(fmt.Errorf("finding this node's name: %w (give --node)", err))
		}
	}
	return environment(agent.CheckPermission())
}

func workerCommand() *cobra.Command {
	var o agent.Options
	cmd := &cobra.Command{
		Use: agent.WorkerCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Version, o.Log = version, logger(cmd, "worker")
			// Not cmd.Context(): signals are the elector's business.
			return environment(agent.RunWorker(context.WithoutCancel(cmd.Context()), o))
		},
	}
	agentFlags(cmd, &o)
	return cmd
}

func nginxCommand() *cobra.Command {
	var dir, binary string
	cmd := &cobra.Command{
		Use: "nginx", Short: "Run NGINX's supervisor", Args: cobra.NoArgs,
		Long: `Runs stock NGINX with the sites that the agent of the same run directory
decides: each configuration is tested, loaded, and verified by asking the
running NGINX which one it serves. The last good one is kept.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := logger(cmd, "nginx")
			return environment(nginxconf.Run(cmd.Context(), nginxconf.Options{
				RunDir: dir, NGINX: binary, Log: log,
				Ready: func() {
					if err := agent.NotifySystemd("READY=1"); err != nil {
						log.Warn("systemd does not know that we are ready", "err", err)
					}
				},
			}))
		},
	}
	runDirFlag(cmd, &dir)
	cmd.Flags().StringVar(&binary, "nginx", "nginx", "the NGINX binary")
	return cmd
}
