package nginxconf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	reloadGap    = time.Second      // between two reloads: each leaves workers behind that drain
	steadyAfter  = time.Minute      // a master that lived so long is started again at once
	longestPause = 30 * time.Second // between two attempts to start NGINX
	housekeeping = time.Minute      // between two looks at logs and files
	defaultGrace = 30 * time.Second // for open requests when we end
)

// Options are what Run needs.
type Options struct {
	RunDir string        // the folder shared with the worker; ours is RunDir/nginx
	NGINX  string        // path of the binary, "nginx" in PATH when empty
	Grace  time.Duration // for open requests when ctx ends, 30 s when 0
	Ready  func()        // called once, when NGINX runs and was verified; may be nil
	Log    *slog.Logger
}

// Run owns an NGINX master process until ctx ends, then lets it quit. It serves
// what WriteDesired wrote, and before there is any answers 404 everywhere. Each
// change is tested, loaded and verified; what NGINX refuses is taken out alone,
// and if that does not help the last good configuration stays. NGINX is started
// again when it dies. A supervisor that dies leaves it running, and the next
// one adopts it.
//
// An error that is an *EnvironmentError means that it cannot run here.
func Run(ctx context.Context, o Options) (err error) {
	s, err := newSupervisor(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.lock.Close()) }()
	changes, stop, err := watch(s.layout.desired())
	if err != nil {
		return err
	}
	defer stop()
	if err := s.bring(ctx); err != nil && s.master == nil && ctx.Err() == nil {
		s.publish()
		return err
	}
	s.publish()
	if o.Ready != nil && s.master != nil {
		o.Ready()
	}
	s.loop(ctx, changes)
	return nil
}

// supervisor is the state of one Run. Only the goroutine of Run touches it.
type supervisor struct {
	nginx
	log      *slog.Logger
	grace    time.Duration
	lock     *os.File
	features Features
	builder  Builder
	master   *master   // nil while NGINX does not run
	started  time.Time // of the master
	ports    ports     // that the master listens on
	reloaded time.Time // last reload
	status   Status
}

func newSupervisor(ctx context.Context, o Options) (*supervisor, error) {
	runDir, err := filepath.Abs(o.RunDir)
	if err != nil {
		return nil, err
	}
	s := &supervisor{log: o.Log, grace: cmp.Or(o.Grace, defaultGrace)}
	s.nginx = nginx{layout: layoutOf(runDir), binary: cmp.Or(o.NGINX, "nginx")}
	if found, err := exec.LookPath(s.binary); err == nil {
		s.binary = found
	}
	err = s.layout.make()
	if err == nil { // one name for one folder: a running NGINX is found by it
		s.layout.root, err = filepath.EvalSymlinks(s.layout.root)
	}
	if err != nil {
		return nil, &EnvironmentError{What: "the run directory is not usable", Err: err, Do: "choose another --run-dir, or run as root"}
	}
	if len(s.layout.socket()) > 100 {
		return nil, &EnvironmentError{What: "the run directory's path is too long for a Unix socket", Do: "choose a shorter --run-dir"}
	}
	if s.features, err = s.nginx.features(ctx); err != nil {
		return nil, err
	}
	s.status.Version = s.features.Version.String()
	s.lock, err = lockFileAt(s.layout.lock())
	return s, err
}

// watch signals every change of a file, coalesced: a signal that is waiting
// stands for all that came after. stop ends the goroutine and waits for it.
func watch(file string) (changes <-chan struct{}, stop func(), err error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, nil, fmt.Errorf("watching %s: %w", file, err)
	}
	if err := w.Add(filepath.Dir(file)); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("watching %s: %w", file, err), w.Close())
	}
	signal := make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		for ev := range w.Events { // closed by Close; an overflow costs a minute, until the next housekeeping
			if ev.Name == file {
				select {
				case signal <- struct{}{}:
				default:
				}
			}
		}
	})
	wg.Go(func() {
		for range w.Errors { // must be emptied
		}
	})
	return signal, func() { _ = w.Close(); wg.Wait() }, nil // inotify's Close has nothing to say
}

// loop reacts until ctx ends.
func (s *supervisor) loop(ctx context.Context, changes <-chan struct{}) {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	var apply, restart <-chan time.Time
	failures := 0
	for {
		var exited chan struct{}
		if s.master != nil {
			exited = s.master.exited
		}
		select {
		case <-ctx.Done():
			s.quit()
			return
		case <-changes:
			if apply == nil {
				apply = time.After(time.Until(s.reloaded.Add(reloadGap)))
			}
		case <-apply:
			apply = nil
			if s.master != nil {
				s.report(s.refresh(ctx))
			}
		case <-exited:
			failures = nextFailures(failures, time.Since(s.started))
			s.died()
			restart = time.After(pause(failures))
		case <-restart:
			restart = nil
			if err := s.bring(ctx); err != nil && s.master == nil && ctx.Err() == nil {
				failures++
				restart = time.After(pause(failures))
			}
		case <-tick.C:
			s.keepHouse()
			if apply == nil && s.master != nil {
				apply = time.After(0)
			}
		}
		s.publish()
	}
}

// nextFailures counts deaths of NGINX in a row.
func nextFailures(before int, lived time.Duration) int {
	if lived >= steadyAfter {
		return 0
	}
	return before + 1
}

// pause is how long to wait before NGINX is started again.
func pause(failures int) time.Duration {
	if failures <= 1 {
		return 0
	}
	return min(longestPause, 100*time.Millisecond<<min(failures, 16))
}

// died notes that the master is gone.
func (s *supervisor) died() {
	s.log.Error("NGINX died and is started again", "pid", s.master.process.Pid, "err", s.master.err)
	s.master, s.status.PID, s.status.Served = nil, 0, ""
	s.status.Restarts++
}

// quit lets NGINX finish its requests. Nothing is left behind.
func (s *supervisor) quit() {
	if s.master == nil {
		return
	}
	s.log.Info("NGINX is asked to quit", "pid", s.master.process.Pid, "grace", s.grace)
	s.master.end(s.grace)
	if err := s.layout.endOrphans(); err != nil {
		s.log.Warn("workers of NGINX are left", "err", err)
	}
	s.master, s.status.PID, s.status.Served = nil, 0, ""
	s.publish()
}

// publish writes the status.
func (s *supervisor) publish() {
	if err := writeJSON(s.layout.status(), s.status); err != nil {
		s.log.Error("the status cannot be written", "err", err)
	}
}

// report remembers and logs why the wanted configuration is not served.
func (s *supervisor) report(err error) {
	switch {
	case err == nil:
		s.status.Error = ""
	case errors.Is(err, context.Canceled):
	case s.status.Error != err.Error(): // not every minute again
		s.status.Error = err.Error()
		s.log.Error("the wanted configuration is not served; the last good one is", "err", err)
	}
}

// keepHouse bounds what grows.
func (s *supervisor) keepHouse() {
	if err := s.layout.trimLogs(); err != nil {
		s.log.Warn("logs of NGINX cannot be trimmed", "err", err)
	}
}

// desiredConfig reads what the worker wants. Before there is any, it is nothing.
func (s *supervisor) desiredConfig() (Config, error) {
	var cfg Config
	err := readJSON(s.layout.desired(), &cfg)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	return cfg, err
}
