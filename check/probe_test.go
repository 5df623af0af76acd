package check_test

import (
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"harmony/check"
)

// probe makes one probe of spec with a zero Prober and returns the text of its
// error as a Verdict has it.
func probe(t *testing.T, s check.Spec) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := new(check.Prober).Probe(ctx, s); err != nil {
		return err.Error()
	}
	return ""
}

// expect compares the text of an error with the beginning of what is wanted; ""
// wants none.
func expect(t *testing.T, got, want string) {
	t.Helper()
	if want == "" && got != "" || !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func targetOf(t *testing.T, l net.Listener) netip.AddrPort {
	t.Helper()
	return netip.MustParseAddrPort(l.Addr().String())
}

func TestProbeHTTP(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "a=b" || r.Host != "shop.example.com" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/bad", http.StatusFound)
	})
	mux.HandleFunc("/bad", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	plain, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	defer plain.Close()
	defer secure.Close()
	t.Setenv("http_proxy", "http://192.0.2.1:1")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		path     string
		min, max int
		tls      check.TLS
		want     string
	}{
		{"host and query", "/ok?a=b", 200, 299, check.TLS{}, ""},
		{"wrong query", "/ok", 200, 299, check.TLS{}, "status 418, not from 200 to 299"},
		{"an error that is wanted", "/ok", 418, 418, check.TLS{}, ""},
		{"a redirect is not followed", "/moved", 200, 399, check.TLS{}, ""},
		{"a redirect is no success", "/moved", 200, 299, check.TLS{}, "status 302"},
		{"bad", "/bad", 200, 399, check.TLS{}, "status 503"},
		{"endless answer", "/endless", 200, 200, check.TLS{}, ""},
		{"TLS unverified", "/ok?a=b", 200, 200, check.TLS{On: true}, ""},
		{"TLS of a stranger", "/ok?a=b", 200, 200, check.TLS{On: true, Verify: true}, "tls: failed to verify certificate: x509: certificate "},
		{"TLS with its authority, by the host", "/ok?a=b", 200, 200, check.TLS{On: true, Verify: true, CA: ca}, ""},
		{"TLS for another name", "/ok?a=b", 200, 200, check.TLS{On: true, Verify: true, CA: ca, Name: "example.org"}, "tls: failed to verify certificate: x509: certificate is valid for example.com"},
		{"no authority", "/ok", 200, 200, check.TLS{On: true, Verify: true, CA: "/no/such"}, "stat /no/such: no such file or directory"},
		{"authority that is a device", "/ok", 200, 200, check.TLS{On: true, Verify: true, CA: "/dev/zero"}, "open /dev/zero: is not a file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := plain
			if tt.tls.On {
				server = secure
			}
			expect(t, probe(t, check.Spec{Type: check.HTTP, Target: targetOf(t, server.Listener), TLS: tt.tls,
				HTTP: check.Request{Path: tt.path, Host: "shop.example.com", MinStatus: tt.min, MaxStatus: tt.max}}), tt.want)
		})
	}
}

// health is a gRPC health server: the frame that it answers for each service.
func health(t *testing.T, answers map[string]string, secure bool) netip.AddrPort {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		bad := err != nil || len(body) < 5 || r.ProtoMajor != 2 || r.Method != http.MethodPost ||
			r.URL.Path != "/grpc.health.v1.Health/Check" || r.Header.Get("Content-Type") != "application/grpc" || r.Header.Get("Te") != "trailers"
		if bad {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		service := ""
		if len(body) > 7 {
			service = string(body[7:])
		}
		w.Header().Set("Content-Type", "application/grpc")
		answer, known := answers[service]
		if !known {
			w.Header().Set("Grpc-Status", "5")
			return
		}
		w.Header().Set("Trailer", "Grpc-Status")
		if _, err := io.WriteString(w, answer); err != nil {
			t.Error(err)
		}
		w.Header().Set("Grpc-Status", strings.TrimPrefix(service, "status "))
		if !strings.HasPrefix(service, "status ") {
			w.Header().Set("Grpc-Status", "0")
		}
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Config.Protocols.SetHTTP2(true)
	if secure {
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return targetOf(t, server.Listener)
}

func TestProbeGRPC(t *testing.T) {
	answers := map[string]string{
		"":          "\x00\x00\x00\x00\x02\x08\x01",
		"down":      "\x00\x00\x00\x00\x02\x08\x02",
		"unset":     "\x00\x00\x00\x00\x00",
		"odd":       "\x00\x00\x00\x00\x02\x08\x07",
		"short":     "\x00\x00\x00\x00\x09\x08\x01",
		"status 12": "\x00\x00\x00\x00\x02\x08\x01",
		"status 14": "\x00\x00\x00\x00\x02\x08\x01",
	}
	plain, secure := health(t, answers, false), health(t, answers, true)
	for _, tt := range []struct{ service, want string }{
		{"", ""},
		{"down", "NOT_SERVING"},
		{"unset", "UNKNOWN"},
		{"odd", "health status 7"},
		{"other", "SERVICE_UNKNOWN"},
		{"short", "an answer that is not of grpc.health.v1"},
		{"status 12", "the server does not speak grpc.health.v1"},
		{"status 14", `gRPC status "14"`},
	} {
		t.Run("service "+tt.service, func(t *testing.T) {
			expect(t, probe(t, check.Spec{Type: check.GRPC, Target: plain, Name: tt.service}), tt.want)
			expect(t, probe(t, check.Spec{Type: check.GRPC, Target: secure, Name: tt.service, TLS: check.TLS{On: true}}), tt.want)
		})
	}
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	if got := probe(t, check.Spec{Type: check.GRPC, Target: targetOf(t, web.Listener)}); got == "" {
		t.Error("a web server of version 1 is taken for a gRPC server")
	}
}

func TestProbeScriptsAndNGINXNeedTheirAgent(t *testing.T) {
	for _, s := range []check.Spec{{Type: check.Script, Name: "x"}, {Type: check.NGINX}, {Type: 99}} {
		if got := probe(t, s); got == "" {
			t.Errorf("%v succeeded", s)
		}
	}
}
