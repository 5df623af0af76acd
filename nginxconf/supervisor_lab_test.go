package nginxconf

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"harmony/bench/lab"
)

// teaOnly is one site with one upstream over plain HTTP.
func teaOnly(endpoints ...string) Config {
	return Config{
		Sites: []Site{{Host: "tea.example.com", Locations: []Location{
			{Path: "/", Upstream: "default/tea:80", Object: "Ingress default/tea"}}}},
		Upstreams: []Upstream{{ID: "default/tea:80", Endpoints: addrs(endpoints...)}},
	}
}

const teaURL = "http://tea.example.com/"

// load asks for teaURL from several clients until stop is called, which returns
// how many requests went well and what the others got.
func (e *edge) load() (stop func() (int64, []reply)) {
	var good atomic.Int64
	var mu sync.Mutex
	var bad []reply
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if got := e.get(teaURL); got.code == 200 {
					good.Add(1)
				} else {
					mu.Lock()
					bad = append(bad, got)
					mu.Unlock()
				}
			}
		})
	}
	return func() (int64, []reply) { close(done); wg.Wait(); return good.Load(), bad }
}

func TestLabEndpointChangeLosesNothing(t *testing.T) {
	e := newEdge(t)
	e.backend("one", "10.9.0.11:8080")
	e.backend("two", "10.9.0.12:8080")
	e.start()
	e.serve(teaOnly("10.9.0.11:8080"))
	before := e.status().Reloads
	stop := e.load()
	for _, ep := range []string{"10.9.0.12", "10.9.0.11", "10.9.0.12"} {
		e.serve(teaOnly(ep + ":8080"))
		want := map[string]string{"10.9.0.11": "one GET /", "10.9.0.12": "two GET /"}[ep]
		for range 20 { // no old worker may answer any more
			if got := e.get(teaURL); got.first() != want {
				t.Fatalf("after the change was verified: %+v, want %q", got, want)
			}
		}
	}
	good, bad := stop()
	if len(bad) > 0 || good == 0 {
		t.Errorf("%d requests went well, %d did not: %+v", good, len(bad), bad)
	}
	if n := e.status().Reloads - before; n != 3 {
		t.Errorf("%d reloads for 3 changes", n)
	}
	for range 100 {
		e.want(teaOnly("10.9.0.11:8080"), "anything", func(Status) bool { return true })
		e.want(teaOnly("10.9.0.12:8080"), "anything", func(Status) bool { return true })
	}
	before = e.status().Reloads
	e.serve(teaOnly("10.9.0.11:8080", "10.9.0.12:8080"))
	if n := e.status().Reloads - before; n > 3 {
		t.Errorf("%d reloads after a burst", n)
	}
	t.Logf("%d requests, none lost; %+v", good, e.status())
}

func TestLabDeadEndpointIsPassedOver(t *testing.T) {
	e := newEdge(t)
	e.backend("one", "10.9.0.11:8080")
	e.start()
	e.serve(teaOnly("10.9.0.11:8080", "10.9.0.12:8080")) // nobody listens on .12
	for range 20 {
		if got := e.get(teaURL); got.code != 200 {
			t.Fatalf("%+v, want 200 from the other endpoint", got)
		}
	}
}

// weakPair is a certificate that Go takes and OpenSSL at its usual security
// level does not: the key is too short.
func weakPair(t *testing.T, host string) *TLS {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &TLS{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
	}
}

func TestLabRefusedCertificateHarmsNobodyElse(t *testing.T) {
	e := newEdge(t)
	e.backend("tea", "10.9.0.11:8080")
	e.start()
	cfg := teaOnly("10.9.0.11:8080")
	cfg.Sites[0].TLS = testPair(t, 1, "tea.example.com")
	weak := Site{Host: "weak.example.com", TLS: weakPair(t, "weak.example.com"), Redirect: true,
		Locations: []Location{{Path: "/", Upstream: "default/tea:80", Object: "Ingress default/weak"}}}
	cfg.Sites = append(cfg.Sites, weak)
	e.want(cfg, "the weak certificate as a fault", func(s Status) bool { return len(s.Faults) == 1 && s.Served != "" })
	if f := e.status().Faults[0]; f.Object != "Ingress default/weak" || f.Host != "weak.example.com" || !strings.Contains(f.Reason, "key too small") {
		t.Errorf("fault %+v", f)
	}
	if got := e.get("https://tea.example.com/", cfg.Sites[0].TLS); got.first() != "tea GET /" {
		t.Errorf("the other site: %+v", got)
	}
	if got := e.get("https://weak.example.com/", weak.TLS, cfg.Sites[0].TLS); got.err == nil {
		t.Errorf("the weak site: %+v, want no handshake", got)
	}
	if got := e.get("http://weak.example.com/"); got.code != 308 {
		t.Errorf("the weak site's redirect: %+v", got)
	}
	cfg.Sites[1].TLS = testPair(t, 2, "weak.example.com")
	e.serve(cfg)
	if got := e.get("https://weak.example.com/", cfg.Sites[1].TLS); got.first() != "tea GET /" || len(e.status().Faults) > 0 {
		t.Errorf("after its repair: %+v, %+v", got, e.status())
	}
}

func TestLabLastGoodIsKept(t *testing.T) {
	e := newEdge(t)
	e.backend("tea", "10.9.0.11:8080")
	e.start()
	e.serve(teaOnly("10.9.0.11:8080"))
	served := e.status().Served
	if err := os.WriteFile(layoutOf(e.runDir).desired(), []byte(`{"sites": [{"host": "x", "secret": true}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	lab.Poll(t, 10*time.Second, "the error in status", func() bool { return strings.Contains(e.status().Error, "secret") })
	check := func(when string) {
		t.Helper()
		if got, s := e.get(teaURL), e.status(); got.first() != "tea GET /" || s.Served != served {
			t.Errorf("%s: %+v, %+v", when, got, s)
		}
	}
	check("beside a broken file")
	e.stop(syscall.SIGTERM)
	if got := e.get(teaURL); got.err == nil {
		t.Errorf("NGINX still answers after the stop: %+v", got)
	}
	e.start()
	check("started beside a broken file")
	if s := e.status(); !strings.Contains(s.Error, "secret") {
		t.Errorf("status after the start: %+v", s)
	}
	e.serve(teaOnly("10.9.0.11:8080", "10.9.0.12:8080"))
	if s := e.status(); s.Error != "" {
		t.Errorf("status after the repair: %+v", s)
	}
}

func TestLabKilledNGINXIsStartedAgain(t *testing.T) {
	e := newEdge(t)
	e.backend("tea", "10.9.0.11:8080")
	e.start()
	e.serve(teaOnly("10.9.0.11:8080"))
	for range 2 {
		before := e.status()
		if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		lab.Poll(t, 20*time.Second, "another master", func() bool {
			s := e.status()
			return s.PID != 0 && s.PID != before.PID && s.Served == before.Served
		})
		if got := e.get(teaURL); got.first() != "tea GET /" {
			t.Errorf("after the restart: %+v", got)
		}
	}
	l := layoutOf(e.runDir)
	lab.Poll(t, 10*time.Second, "the orphaned workers gone", func() bool {
		return len(l.masters()) == 1 && len(e.processes()) == 1+len((&master{process: process(t, e.status().PID)}).workers())
	})
	before := e.status()
	if before.Restarts != 2 {
		t.Errorf("status: %+v", before)
	}
	e.stop(syscall.SIGKILL) // both die: the workers serve on, without anybody
	if err := errors.Join(syscall.Kill(before.PID, syscall.SIGKILL), os.Remove(l.status())); err != nil {
		t.Fatal(err)
	}
	if got := e.get(teaURL); got.first() != "tea GET /" {
		t.Errorf("from orphans: %+v", got)
	}
	e.start()
	if s, got := e.status(), e.get(teaURL); s.PID == before.PID || s.Served != before.Served || got.first() != "tea GET /" {
		t.Errorf("after both died: %+v, %+v", s, got)
	}
}

// processes are NGINX's in this folder: their working directory is.
func (e *edge) processes() []int {
	return processes(func(pid int) bool {
		cwd, err := os.Readlink(filepath.Join("/proc", itoa(pid), "cwd"))
		return err == nil && cwd == layoutOf(e.runDir).root && strings.HasPrefix(titleOf(pid), "nginx: ")
	})
}

func process(t *testing.T, pid int) *os.Process {
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLabNextSupervisorAdopts(t *testing.T) {
	e := newEdge(t)
	e.backend("one", "10.9.0.11:8080")
	e.backend("two", "10.9.0.12:8080")
	e.start()
	e.serve(teaOnly("10.9.0.11:8080"))
	before := e.status()
	stop := e.load()
	e.stop(syscall.SIGKILL)
	if err := os.Remove(layoutOf(e.runDir).status()); err != nil {
		t.Fatal(err)
	}
	e.start()
	if s := e.status(); s.PID != before.PID || s.Served != before.Served || s.Reloads != 0 {
		t.Errorf("status %+v, want the master of %+v adopted without a reload", s, before)
	}
	e.serve(teaOnly("10.9.0.12:8080"))
	if got := e.get(teaURL); got.first() != "two GET /" {
		t.Errorf("after a change: %+v", got)
	}
	if good, bad := stop(); len(bad) > 0 || good == 0 {
		t.Errorf("%d requests went well, %d did not: %+v", good, len(bad), bad)
	}
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	lab.Poll(t, 20*time.Second, "the adopted master's death noticed", func() bool { s := e.status(); return s.PID != 0 && s.PID != before.PID })
	if code := e.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if left := e.processes(); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

func TestLabStaysInItsFolder(t *testing.T) {
	e := newEdge(t)
	e.backend("tea", "10.9.0.11:8080")
	outside := []string{"/var/log/nginx", "/var/lib/nginx", "/run", "/var/lock", "/usr/share/nginx", "/etc/nginx"}
	before := listing(t, outside)
	e.start()
	cfg := cafe(t)
	cfg.Upstreams[0].Endpoints = addrs("10.9.0.11:8080")
	e.serve(cfg)
	e.get("https://cafe.example.com/tea", cfg.Sites[0].TLS)
	for _, pid := range e.processes() {
		fds, err := filepath.Glob(filepath.Join("/proc", itoa(pid), "fd", "*"))
		if err != nil || len(fds) == 0 {
			t.Fatalf("process %d: %v, %v", pid, fds, err)
		}
		for _, fd := range fds {
			file, err := os.Readlink(fd)
			if err != nil || !filepath.IsAbs(file) || file == os.DevNull || strings.HasPrefix(file, "/dev/zero") {
				continue // closed meanwhile, a socket, or shared memory
			}
			if !strings.HasPrefix(file, e.runDir+"/") {
				t.Errorf("process %d has %s open", pid, file)
			}
		}
	}
	for _, file := range []string{"desired.json", "good.json", "status.json"} {
		info, err := os.Stat(filepath.Join(e.runDir, "nginx", file))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	e.stop(syscall.SIGTERM)
	if after := listing(t, outside); !slices.Equal(before, after) {
		t.Errorf("outside, before: %v\nafter: %v", before, after)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// listing names the files directly in the folders, with their times if NGINX is
// in their name.
func listing(t *testing.T, folders []string) []string {
	t.Helper()
	var out []string
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			info, err := os.Stat(f)
			if err == nil && strings.Contains(f, "nginx") {
				out = append(out, f+" "+info.ModTime().String())
			}
		}
	}
	return out
}

func TestLabEnvironmentIsAtFault(t *testing.T) {
	t.Run("no nginx", func(t *testing.T) {
		e := newEdge(t)
		e.launch("HARMONY_TEST_NGINX=/nonexistent/nginx")
		e.fails("install the package nginx")
	})
	t.Run("port in use", func(t *testing.T) {
		e := newEdge(t)
		var l net.Listener
		if err := e.node.Do(func() (err error) { l, err = net.Listen("tcp", "10.9.0.1:80"); return err }); err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		e.launch()
		e.fails("port 80 is in use")
	})
	t.Run("second supervisor", func(t *testing.T) {
		e := newEdge(t)
		e.start()
		second := *e
		second.launch()
		second.fails("another harmony nginx")
		e.stop(syscall.SIGTERM)
	})
}

// fails waits for the supervisor to end with exit code 3 and one line that says so.
func (e *edge) fails(text string) {
	e.t.Helper()
	_ = e.sup.Wait() // its exit code tells
	said := strings.TrimSpace(e.output())
	lines := strings.Split(said, "\n")
	if code := e.sup.ProcessState.ExitCode(); code != 3 || !strings.Contains(lines[len(lines)-1], text) {
		e.t.Errorf("exit code %d, %q, want 3 and %q", code, said, text)
	}
}

// A port that is taken while NGINX runs keeps the change away, not the service.
func TestLabPortTakenLater(t *testing.T) {
	e := newEdge(t)
	e.backend("tea", "10.9.0.11:8080")
	e.start()
	e.serve(teaOnly("10.9.0.11:8080"))
	var l net.Listener
	if err := e.node.Do(func() (err error) { l, err = net.Listen("tcp", "10.9.0.1:8081"); return err }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := teaOnly("10.9.0.11:8080")
	cfg.HTTPPort = 8081
	e.want(cfg, "the port in the error", func(s Status) bool { return strings.Contains(s.Error, "port 8081 is in use") })
	if got := e.get(teaURL); got.code != 200 {
		t.Errorf("%+v, want the last good configuration", got)
	}
}
