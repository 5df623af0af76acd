package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// ops is the read-only HTTP server. Every answer is made from the Status that
// the control socket gives, so that HTTP and command line cannot differ.
type ops struct {
	srv  *http.Server
	done chan struct{}
}

// serveOps listens at once, so that a taken port is an error of the start, and
// serves until close. An empty address serves nothing.
func serveOps(ctx context.Context, o Options) (*ops, error) {
	s := &ops{srv: &http.Server{ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}, done: make(chan struct{})}
	if o.HTTP == "" {
		close(s.done)
		return s, nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", o.HTTP)
	if err != nil {
		return nil, fmt.Errorf("serving HTTP (--http %s): %w", o.HTTP, err)
	}
	s.srv.Handler = opsHandler(o)
	go func() {
		defer close(s.done)
		if err := s.srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("http server ended", "err", err)
		}
	}()
	return s, nil
}

// close ends the server and waits for it.
func (s *ops) close() {
	s.srv.Close()
	<-s.done
}

func opsHandler(o Options) http.Handler {
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	// with answers by what the agent says of itself now.
	with := func(answer func(http.ResponseWriter, *http.Request, *Status)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
			defer cancel()
			resp, err := Ask(ctx, o.RunDir, Request{Command: "status"})
			if err != nil {
				http.Error(w, "elector: "+err.Error(), http.StatusServiceUnavailable)
				return
			}
			answer(w, r, resp.Status)
		}
	}
	mux.HandleFunc("GET /healthz", with(func(w http.ResponseWriter, _ *http.Request, _ *Status) {
		fmt.Fprintln(w, "ok")
	}))
	mux.HandleFunc("GET /readyz", with(func(w http.ResponseWriter, _ *http.Request, s *Status) {
		if !s.Worker.Ready {
			http.Error(w, "not ready: "+strings.Join(s.Worker.NotReady, "; "), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	}))
	mux.HandleFunc("GET /status", with(func(w http.ResponseWriter, _ *http.Request, s *Status) {
		w.Header().Set("Content-Type", "application/json")
		if err := WriteJSON(w, *s); err != nil {
			o.Log.Debug("status not sent", "err", err) // the client has gone
		}
	}))
	mux.HandleFunc("GET /metrics", with(func(w http.ResponseWriter, r *http.Request, s *Status) {
		now := prometheus.NewRegistry()
		now.MustRegister(statusCollector{s})
		promhttp.HandlerFor(prometheus.Gatherers{process, now}, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	}))
	return mux
}
