package nginxconf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	maxRounds = 32       // of taking out what NGINX refuses, for one change
	maxLog    = 32 << 20 // bytes of a log before it is moved aside
)

// bring gets NGINX to run: the master of an earlier supervisor is adopted if it
// answers, else one is started, with what is wanted, or what was good last, or
// nothing but 404.
func (s *supervisor) bring(ctx context.Context) error {
	if err := s.adopt(ctx); err != nil {
		return err
	}
	err := s.refresh(ctx)
	s.report(err)
	if err == nil || s.master != nil || ctx.Err() != nil || errors.As(err, new(*EnvironmentError)) {
		return err
	}
	var last Config
	if bad := readJSON(s.layout.good(), &last); bad == nil {
		if bad = s.apply(ctx, last); bad == nil {
			return nil
		}
		err = errors.Join(err, bad)
	}
	if bad := s.apply(ctx, Config{}); bad != nil {
		return errors.Join(err, bad)
	}
	return nil
}

// adopt takes over a running master. One that does not answer is ended, so is
// one whose binary was replaced, since it may not know what the new one knows,
// and so are workers without a master.
func (s *supervisor) adopt(ctx context.Context) error {
	m := s.layout.adopt()
	if m == nil {
		return s.layout.endOrphans()
	}
	generation, err := s.layout.ask(ctx)
	if err == nil && m.replaced() {
		err = errors.New("its binary was replaced")
	}
	if err != nil {
		s.log.Warn("a running NGINX of ours cannot be adopted and is ended", "pid", m.process.Pid, "err", err)
		m.end(s.grace)
		return s.layout.endOrphans()
	}
	s.log.Info("a running NGINX of ours is adopted", "pid", m.process.Pid, "generation", generation)
	s.master, s.started = m, time.Now()
	s.status.PID, s.status.Served, s.status.Since = m.process.Pid, generation, time.Now()
	return nil
}

// refresh applies what is wanted now.
func (s *supervisor) refresh(ctx context.Context) error {
	cfg, err := s.desiredConfig()
	if err != nil {
		return err
	}
	return s.apply(ctx, cfg)
}

// apply serves cfg, without the parts that NGINX refuses. After an error NGINX
// serves what it did before.
func (s *supervisor) apply(ctx context.Context, cfg Config) error {
	var taken []Fault
	wanted, _ := s.builder.Build(cfg, s.features)
	s.status.Wanted = wanted.Generation
	for range maxRounds {
		out, faults := s.builder.Build(cfg, s.features)
		err := s.load(ctx, cfg, out)
		if err == nil {
			return s.accept(cfg, out, slices.Concat(taken, faults))
		}
		var refused *rejected
		if !errors.As(err, &refused) {
			return err
		}
		bad := blame(refused.message, out.Files)
		if len(bad) == 0 {
			bad = firstBad(cfg, func(c Config) bool { return s.works(ctx, c) })
		}
		if len(bad) == 0 {
			return err
		}
		s.log.Warn("NGINX refuses a part of the configuration, which is taken out", "parts", fmt.Sprint(bad), "err", err)
		taken = append(taken, cfg.isolated(bad, err.Error())...)
		cfg = cfg.without(bad)
	}
	return fmt.Errorf("NGINX refuses more than %d parts of the configuration", maxRounds)
}

// works tests cfg and does not load it.
func (s *supervisor) works(ctx context.Context, cfg Config) bool {
	out, _ := s.builder.Build(cfg, s.features)
	return s.layout.writeOutput(out) == nil && s.test(ctx, "next.conf") == nil
}

// load gets NGINX to serve out, verified. If that fails the configuration
// before is in place again.
func (s *supervisor) load(ctx context.Context, cfg Config, out Output) error {
	if s.master != nil && out.Generation == s.status.Served {
		return nil
	}
	if len(out.Main) == 0 {
		return errors.New("the configuration cannot be printed")
	}
	if err := s.layout.writeOutput(out); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	if err := s.test(ctx, "next.conf"); err != nil {
		return err
	}
	wanted, _ := portsOf(cfg)
	if err := probe(s.unbound(wanted), s.features.NoIPv6); err != nil {
		return err
	}
	if err := s.layout.promote(); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	if err := s.activate(ctx, out.Generation); err != nil {
		return errors.Join(err, s.rollBack(err))
	}
	return nil
}

// unbound leaves out the ports that the running NGINX listens on. Those of an
// adopted one are not known; NGINX itself will complain.
func (s *supervisor) unbound(p ports) ports {
	if s.master == nil {
		return p
	}
	if s.ports == (ports{}) {
		return ports{}
	}
	for _, port := range []*uint16{&p.HTTP, &p.HTTPS} {
		if *port == s.ports.HTTP || *port == s.ports.HTTPS {
			*port = 0
		}
	}
	return p
}

// activate makes NGINX read conf/nginx.conf and waits until it serves it.
func (s *supervisor) activate(ctx context.Context, generation string) error {
	logged := s.layout.logSize()
	if s.master == nil {
		m, err := s.start(ctx)
		if err != nil {
			return err
		}
		if err := s.verify(ctx, m, generation, nil, logged); err != nil {
			m.end(0)
			return err
		}
		s.master, s.started, s.status.PID = m, time.Now(), m.process.Pid
		return nil
	}
	old := s.master.workers()
	s.reloaded = time.Now()
	if err := s.master.process.Signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("reloading NGINX: %w", err)
	}
	if err := s.verify(ctx, s.master, generation, old, logged); err != nil {
		return err
	}
	s.status.Reloads++
	return nil
}

// rollBack puts the configuration before in place again. NGINX never left it if
// it refused the other one; else it may yet be about to read that, and is told.
func (s *supervisor) rollBack(cause error) error {
	if err := s.layout.demote(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("going back to the last good configuration: %w", err)
	}
	if s.master == nil || errors.As(cause, new(*rejected)) {
		return nil
	}
	if err := s.master.process.Signal(syscall.SIGHUP); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("going back to the last good configuration: %w", err)
	}
	return nil
}

// accept notes what is served now.
func (s *supervisor) accept(cfg Config, out Output, faults []Fault) error {
	if s.status.Served != out.Generation {
		s.status.Since = time.Now()
		s.log.Info("NGINX serves a new configuration", "generation", out.Generation, "sites", len(cfg.Sites), "faults", len(faults), "pid", s.status.PID)
	}
	for _, f := range faults {
		if !slices.Contains(s.status.Faults, f) {
			s.log.Warn("a part of the configuration is left out", "object", f.Object, "host", f.Host, "reason", f.Reason)
		}
	}
	s.status.Served, s.status.Faults = out.Generation, faults
	s.ports, _ = portsOf(cfg)
	if err := errors.Join(writeJSON(s.layout.good(), cfg), s.layout.sweep(out)); err != nil {
		return fmt.Errorf("keeping the configuration: %w", err)
	}
	return nil
}

// trimLogs moves a log that has grown aside. NGINX appends, so the file itself
// is emptied and nobody needs to open it anew.
func (l layout) trimLogs() error {
	var errs []error
	for _, name := range []string{errorFile, accessFile} {
		errs = append(errs, trimLog(filepath.Join(l.root, name)))
	}
	return errors.Join(errs...)
}

func trimLog(name string) error {
	info, err := os.Stat(name)
	if err != nil || info.Size() < maxLog {
		return nil // none yet, or not long
	}
	from, err := os.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(name+".1", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.LimitReader(from, info.Size()))
	return errors.Join(err, to.Close(), os.Truncate(name, 0))
}
