package nginxconf

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"harmony/bench/lab"
)

// asSupervisor makes this test binary the supervisor of the folder it names:
// namespaces belong to processes and threads, so it must be one of its own.
const asSupervisor = "HARMONY_TEST_SUPERVISOR"

func TestMain(m *testing.M) {
	runDir := os.Getenv(asSupervisor)
	if runDir == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := Run(ctx, Options{RunDir: runDir, NGINX: os.Getenv("HARMONY_TEST_NGINX"), Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if errors.As(err, new(*EnvironmentError)) {
		os.Exit(3)
	}
}

// unitCapabilities are those that the systemd unit leaves to the supervisor.
const unitCapabilities = "-all,+net_bind_service,+setuid,+setgid,+chown,+dac_override,+kill"

// edge is a node with a supervisor, a node with backends, and one with clients.
type edge struct {
	t        *testing.T
	node     *lab.Node
	backends *lab.Node
	client   *lab.Node
	runDir   string
	sup      *exec.Cmd
	said     *os.File
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	lab.Require(t, "root", "nginx", "setpriv")
	n := lab.New(t)
	e := &edge{t: t, runDir: filepath.Join(t.TempDir(), "run")}
	e.node = n.Node("edge", "10.9.0.1/24", "fd09::1/64")
	e.backends = n.Node("backends", "10.9.0.11/24", "10.9.0.12/24", "10.9.0.13/24", "fd09::11/64")
	e.client = n.Node("client", "10.9.0.100/24", "fd09::100/64")
	return e
}

// start starts the supervisor and waits until NGINX is verified.
func (e *edge) start() {
	e.t.Helper()
	e.launch()
	lab.Poll(e.t, 20*time.Second, "NGINX serving", func() bool { s := e.status(); return s.Served != "" && s.PID != 0 })
}

func (e *edge) launch(env ...string) {
	e.t.Helper()
	said, err := os.OpenFile(filepath.Join(e.t.TempDir(), "supervisor.log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		e.t.Fatal(err)
	}
	e.said = said
	e.sup = e.node.Command(context.Background(), "setpriv", "--bounding-set", unitCapabilities, os.Args[0])
	e.sup.Env = append(append(os.Environ(), asSupervisor+"="+e.runDir), env...)
	e.sup.Stdout, e.sup.Stderr = said, said
	if err := e.node.Start(e.sup); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		if e.t.Failed() {
			e.t.Logf("supervisor said:\n%s\nNGINX said:\n%s", e.output(), layoutOf(e.runDir).logSince(0))
		}
		_ = said.Close()
	})
	sup := e.sup
	e.t.Cleanup(func() {
		if sup.ProcessState == nil { // not ended by the test
			_ = sup.Process.Signal(syscall.SIGTERM)
			_ = sup.Wait() // the test is over
		}
	})
}

func (e *edge) output() string {
	text, err := os.ReadFile(e.said.Name())
	if err != nil {
		e.t.Fatal(err)
	}
	return string(text)
}

// stop ends the supervisor by a signal and returns its exit code.
func (e *edge) stop(sig syscall.Signal) int {
	e.t.Helper()
	if err := e.sup.Process.Signal(sig); err != nil {
		e.t.Fatal(err)
	}
	_ = e.sup.Wait() // its exit code tells
	return e.sup.ProcessState.ExitCode()
}

func (e *edge) status() Status {
	s, err := ReadStatus(e.runDir)
	if err != nil {
		return Status{}
	}
	return s
}

// want writes cfg and waits until ok holds of the status.
func (e *edge) want(cfg Config, what string, ok func(Status) bool) {
	e.t.Helper()
	if err := WriteDesired(e.runDir, cfg); err != nil {
		e.t.Fatal(err)
	}
	lab.Poll(e.t, 30*time.Second, what, func() bool { return ok(e.status()) })
}

// serve writes cfg and waits until NGINX serves exactly that.
func (e *edge) serve(cfg Config) {
	e.t.Helper()
	f, err := nginx{binary: "nginx", layout: layoutOf(e.runDir)}.features(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	out, _ := Build(cfg, f)
	e.want(cfg, "generation "+out.Generation, func(s Status) bool { return s.Served == out.Generation })
}

// backend serves its name and what it was asked, at an address.
func (e *edge) backend(name, addr string) *http.Server {
	e.t.Helper()
	var l net.Listener
	err := e.backends.Do(func() (err error) { l, err = net.Listen("tcp", addr); return err })
	if err != nil {
		e.t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.Copy(io.Discard, r.Body) // its length tells
		fmt.Fprintf(w, "%s %s %s\n", name, r.Method, r.URL.Path)
		fmt.Fprintf(w, "Body: %d\n", body)
		for _, h := range []string{"X-Real-Ip", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "Upgrade", "Connection"} {
			fmt.Fprintf(w, "%s: %s\n", h, r.Header.Get(h))
		}
		fmt.Fprintf(w, "Host: %s\nX-Request-Id: %d\n", r.Host, len(r.Header.Get("X-Request-Id")))
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	e.t.Cleanup(func() { _ = srv.Close(); <-done })
	return srv
}

// reply is what a client got: the status, the redirect, and the body; or no
// answer and why.
type reply struct {
	code int
	to   string
	body string
	err  error
}

// first is the first line of the body.
func (a reply) first() string { line, _, _ := strings.Cut(a.body, "\n"); return line }

// get asks the edge. roots are the certificates the client trusts.
func (e *edge) get(url string, roots ...*TLS) reply { return e.getAt("10.9.0.1", "", url, roots...) }

// getAt asks at an address of the edge; host overrides the Host of url.
func (e *edge) getAt(at, host, url string, roots ...*TLS) reply {
	pool := x509.NewCertPool()
	for _, r := range roots {
		pool.AppendCertsFromPEM(r.Certificate)
	}
	tr := &http.Transport{
		DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return e.client.Dial(ctx, network, net.JoinHostPort(at, port))
		},
	}
	c := http.Client{Transport: tr, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return reply{err: err}
	}
	req.Host = host
	resp, err := c.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header.Get("Location"), string(body), err}
}
