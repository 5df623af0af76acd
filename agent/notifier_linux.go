package agent

import (
	"context"
	"errors"
	"time"

	"harmony/notify"
	"harmony/script"
	"harmony/vrrp"
)

// lastNotices is how long a worker that ends waits for notify scripts, those of
// the stop among them. It is well within stopTimeout.
const lastNotices = 8 * time.Second

// errNoScripts is why no notify script is run where no script can be.
var errNoScripts = errors.New("no script can be run on this node; harmony status says why")

// openNotifier makes what tells others of the election.
func (w *worker) openNotifier() {
	o := notify.Options{Log: w.o.Log, Done: w.hasNotified}
	if o.Run = w.scripts.Run; w.scripts == nil {
		o.Run = func(context.Context, script.Script, script.Input) script.Result {
			return script.Result{Err: errNoScripts}
		}
	}
	w.notifier = notify.New(o)
}

// hasNotified runs in any goroutine.
func (w *worker) hasNotified() {
	select {
	case w.notified <- struct{}{}:
	default:
	}
}

// end is an orderly end of the worker: what is ours leaves the kernel while the
// last notices are told.
func (w *worker) end(keep bool) error {
	err := w.cleanUp(keep)
	w.closeNotifier()
	return err
}

func (w *worker) closeNotifier() {
	ctx, cancel := context.WithTimeout(context.Background(), lastNotices)
	defer cancel()
	w.notifier.Close(ctx)
}

// stopped are the events that a dead elector cannot tell any more.
func stopped(routers []vrrp.RouterStatus) []notify.Event {
	var out []notify.Event
	for _, r := range routers {
		out = append(out, notify.Event{Key: r.Router.Key, To: vrrp.Stopped, Cause: vrrp.Shutdown, Priority: r.Router.Priority.Effective()})
	}
	return out
}
