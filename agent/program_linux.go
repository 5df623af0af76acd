package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"harmony/ipvs"
	"harmony/nft"
	"harmony/nginxconf"
	"harmony/source"
)

// programNGINX hands the sites to NGINX's supervisor, another process, through
// the run directory.
func (w *worker) programNGINX() {
	w.fault("nginx", nginxconf.WriteDesired(string(w.o.RunDir), w.plan.NGINX))
}

func (w *worker) programMasquerade() {
	if w.masq == nil {
		if len(w.plan.Masquerade) == 0 {
			w.fault("nft", nil)
			return
		}
		t, err := nft.NewTable(w.o.Log)
		if err != nil {
			w.fault("nft", fmt.Errorf("masquerading needs nftables: %w", err))
			return
		}
		w.masq = t
	}
	w.fault("nft", w.masq.Set(w.plan.Masquerade))
}

// programFirewall also takes away what a previous life may have left.
func (w *worker) programFirewall() {
	err := error(nil)
	if w.wall == nil {
		w.wall, err = nft.NewFirewall(w.o.Log)
	}
	if err == nil {
		err = w.wall.Set(w.plan.Firewall)
	}
	if len(w.plan.Firewall.Addresses) == 0 && err != nil {
		w.o.Log.Debug("no address firewall, and none wanted", "err", err)
		err = nil
	}
	w.fault("firewall", err)
}

// programIPVS opens the kernel's table only when there is something to put in
// it, or when a previous life may have left something.
func (w *worker) programIPVS() {
	if w.table == nil {
		t, err := ipvs.NewTable(ipvs.Options{Journal: w.o.RunDir.ipvs(), Log: w.o.Log})
		if errors.Is(err, ipvs.ErrUnavailable) && len(w.plan.Services) == 0 {
			w.fault("ipvs", nil)
			return
		}
		if err != nil {
			w.fault("ipvs", err)
			return
		}
		w.table = t
	}
	_, err := w.table.Set(w.plan.Services)
	w.fault("ipvs", err)
}

// cleanUp takes what is ours out of the kernel at a stop, unless keep.
func (w *worker) cleanUp(keep bool) error {
	w.o.Log.Info("worker stops", "keep", keep)
	if keep {
		return nil
	}
	var errs []error
	if w.table != nil {
		errs = append(errs, w.table.Remove())
	}
	if w.masq != nil {
		errs = append(errs, w.masq.Remove())
	}
	if w.wall != nil {
		errs = append(errs, w.wall.Remove())
	}
	return errors.Join(errs...)
}

// logProblems tells each problem once, when it appears, and says when the
// last one has gone.
func logProblems(log *slog.Logger, before, now []source.Problem) {
	for _, p := range now {
		if slices.Contains(before, p) {
			continue
		}
		level := slog.LevelError
		if p.Severity == source.Warning {
			level = slog.LevelWarn
		}
		log.Log(context.Background(), level, "problem in the source", "problem", p.String(), "code", p.Code)
	}
	if len(before) > 0 && len(now) == 0 {
		log.Info("no problems in the source any more")
	}
}
