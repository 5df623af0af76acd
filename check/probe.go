package check

import (
	"context"
	"errors"
	"fmt"
	"net"

	"harmony/script"
)

// Prober makes the probes. The zero Prober can do all but scripts and NGINX.
// Its fields are set before it is used.
type Prober struct {
	// Scripts finds a declared script; Runner runs it. Both or none.
	Scripts func(name string) (script.Script, bool)
	Runner  *script.Runner
	// NGINX returns nil if our own NGINX answers.
	NGINX func(ctx context.Context) error

	running processes
}

// Probe makes one probe; see Options.Probe.
func (p *Prober) Probe(ctx context.Context, spec Spec) (value int, err error) {
	switch spec.Type {
	case TCP:
		return 0, connect(ctx, spec)
	case HTTP:
		return 0, get(ctx, spec)
	case GRPC:
		return 0, askHealth(ctx, spec)
	case Script:
		return 0, p.script(ctx, spec)
	case File:
		return 0, exists(spec.Name)
	case Number:
		return readNumber(spec.Name)
	case Process:
		return 0, p.running.count(ctx, spec)
	case PIDFile:
		return 0, pidRuns(spec.Name)
	case NGINX:
		if p.NGINX == nil {
			return 0, errors.New("there is no NGINX of ours here")
		}
		return 0, p.NGINX(ctx)
	}
	return 0, fmt.Errorf("%v cannot be probed", spec.Type)
}

// script runs the declared script of that name as it is declared now.
func (p *Prober) script(ctx context.Context, spec Spec) error {
	if p.Runner == nil {
		return errors.New("scripts are not run here")
	}
	s, ok := p.Scripts(spec.Name)
	if !ok {
		return fmt.Errorf("no script %s is declared", spec.Name)
	}
	return p.Runner.Run(ctx, s, script.Input{}).Err
}

// connect is the TCP probe: the target accepts a connection.
func connect(ctx context.Context, spec Spec) error {
	d := net.Dialer{KeepAlive: -1}
	c, err := d.DialContext(ctx, "tcp", spec.Target.String())
	if err != nil {
		return err
	}
	return c.Close()
}
