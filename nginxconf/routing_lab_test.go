package nginxconf

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"harmony/bench/lab"
)

func TestLabCafe(t *testing.T) {
	e := newEdge(t)
	e.backend("tea", "10.9.0.11:8080")
	e.backend("coffee", "[fd09::11]:8080")
	e.start()
	if got := e.get("http://cafe.example.com/tea"); got.code != 404 {
		t.Errorf("before any configuration: %+v, want 404", got)
	}
	cfg := cafe(t)
	cfg.Upstreams = []Upstream{{ID: "default/tea:80", Endpoints: addrs("10.9.0.11:8080")}, {ID: "default/coffee:80", Endpoints: addrs("[fd09::11]:8080")}}
	e.serve(cfg)
	for _, tc := range []struct {
		url   string
		code  int
		to    string
		first string
	}{
		{url: "http://cafe.example.com/tea?x=1", code: 308, to: "https://cafe.example.com/tea?x=1"},
		{url: "https://cafe.example.com/tea", code: 200, first: "tea GET /tea"},
		{url: "https://cafe.example.com/tea/green", code: 200, first: "tea GET /tea/green"},
		{url: "https://cafe.example.com/coffee", code: 200, first: "coffee GET /coffee"},
		{url: "https://cafe.example.com/teapot", code: 404},
		{url: "https://cafe.example.com/TEA", code: 404},
		{url: "https://cafe.example.com/", code: 404},
		{url: "http://other.example.com/tea", code: 404},
	} {
		for _, at := range []string{"10.9.0.1", "fd09::1"} {
			got := e.getAt(at, "", tc.url, cfg.Sites[0].TLS)
			if got.err != nil || got.code != tc.code || got.to != tc.to || tc.first != "" && got.first() != tc.first {
				t.Errorf("%s at %s: %+v, want %+v", tc.url, at, got, tc)
			}
		}
	}
	if got := e.get("https://other.example.com/tea", cfg.Sites[0].TLS); got.err == nil || !strings.Contains(got.err.Error(), "unrecognized name") {
		t.Errorf("an unknown name: %+v, want its handshake refused", got)
	}
	if got := e.getAt("10.9.0.1", "other.example.com", "https://cafe.example.com/tea", cfg.Sites[0].TLS); got.code != 404 {
		t.Errorf("another Host than the handshake's: %+v, want 404", got)
	}
	got := e.get("https://cafe.example.com/tea", cfg.Sites[0].TLS)
	for _, want := range []string{"X-Real-Ip: 10.9.0.100\n", "X-Forwarded-For: 10.9.0.100\n", "X-Forwarded-Host: cafe.example.com\n",
		"X-Forwarded-Port: 443\n", "X-Forwarded-Proto: https\n", "\nHost: cafe.example.com\n", "X-Request-Id: 32\n"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the backend got %q, want %q in it", got.body, want)
		}
	}
	if code := e.stop(15); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestLabRouting(t *testing.T) {
	e := newEdge(t)
	cfg := manyKinds(t)
	for i, u := range cfg.Upstreams {
		if len(u.Endpoints) > 0 {
			port := itoa(9000 + i)
			e.backend(u.ID, "10.9.0.11:"+port)
			cfg.Upstreams[i].Endpoints = addrs("10.9.0.11:" + port)
		}
	}
	e.start()
	e.serve(cfg)
	shop := cfg.Sites[1].TLS
	for _, tc := range []struct {
		url  string
		code int
		by   string // the upstream that answers, or where the redirect leads
	}{
		{"http://a.shop.example.com:8080/aaa", 200, "d/exact:80"},
		{"https://a.shop.example.com:8443/aaa", 200, "d/exact:80"},
		{"https://a.shop.example.com:8443/aaa/", 200, "d/aaa:80"},
		{"https://a.shop.example.com:8443/aaa/ccc", 200, "d/aaa:80"},
		{"https://a.shop.example.com:8443/aaa/bbb", 200, "d/bbb:80"},
		{"https://a.shop.example.com:8443/aaa/bbb/", 200, "d/bbb:80"},
		{"https://a.shop.example.com:8443/aaa/bbb/ccc", 200, "d/bbb:80"},
		{"https://a.shop.example.com:8443/aaa/bbbccc", 200, "d/aaa:80"},
		{"https://a.shop.example.com:8443/aaaccc", 404, ""},
		{"https://a.shop.example.com:8443/AAA", 404, ""},
		{"https://a.shop.example.com:8443/Caf%C3%A9", 200, "d/aaa:80"},
		{"https://a.shop.example.com:8443/Caf%C3%A9/", 404, ""},
		{"https://a.shop.example.com:8443/nowhere", 404, ""},
		{"https://a.shop.example.com:8443/empty", 503, ""},
		{"https://a.shop.example.com:8443/empty/x", 503, ""},
		{"http://shop.example.com:8080/aaa", 200, "d/fallback:80"},
		{"http://a.b.shop.example.com:8080/aaa", 200, "d/fallback:80"},
		{"http://anything.example.net:8080/x", 200, "d/fallback:80"},
		{"http://nocert.example.com:8080/x?y=z", 308, "https://nocert.example.com:8443/x?y=z"},
		{"http://nocert.example.com:8080/.well-known/acme-challenge/token", 200, "d/acme:8089"},
		{"http://nocert.example.com:8080/.well-known/acme-challenge/other", 308, "https://nocert.example.com:8443/.well-known/acme-challenge/other"},
	} {
		got := e.get(tc.url, shop)
		by, _, _ := strings.Cut(got.first(), " ")
		if got.code == 308 {
			by = got.to
		}
		if got.err != nil || got.code != tc.code || tc.by != "" && by != tc.by {
			t.Errorf("%s: %+v, want %d by %q", tc.url, got, tc.code, tc.by)
		}
	}
	for _, name := range []string{"shop.example.com", "a.b.shop.example.com", "nocert.example.com", "anything.example.net"} {
		if got := e.get("https://"+name+":8443/aaa", shop); got.err == nil || !strings.Contains(got.err.Error(), "unrecognized name") {
			t.Errorf("%s: %+v, want its handshake refused", name, got)
		}
	}
	if got := e.getAt("10.9.0.1", "nocert.example.com", "https://a.shop.example.com:8443/", shop); got.code != 421 {
		t.Errorf("a site without certificate over another's connection: %+v, want 421", got)
	}
	if got := e.get("http://anything.example.net:8080/x"); !strings.Contains(got.body, "\nHost: anything.example.net:8080\n") {
		t.Errorf("the Host on another port: %q", got.body)
	}
}

// Only WebSockets are upgraded: h2c would tunnel requests past the routing. And
// the Host is the one that chose the site.
func TestLabRawRequests(t *testing.T) {
	e := newEdge(t)
	e.backend("tea", "10.9.0.11:8080")
	e.start()
	e.serve(teaOnly("10.9.0.11:8080"))
	for _, tc := range []struct {
		name, request string
		want          []string
	}{
		{"websocket", "GET / HTTP/1.1\r\nHost: tea.example.com\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n",
			[]string{"Upgrade: websocket\n", "Connection: upgrade\n"}},
		{"h2c", "GET / HTTP/1.1\r\nHost: tea.example.com\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n\r\n",
			[]string{"Upgrade: \n", "Connection: \n"}},
		{"two hosts", "GET http://tea.example.com/ HTTP/1.1\r\nHost: evil.example.com\r\n\r\n",
			[]string{"\nHost: tea.example.com\n", "X-Forwarded-Host: tea.example.com\n"}},
		{"a proxy's headers", "GET / HTTP/1.1\r\nHost: tea.example.com\r\nX-Forwarded-For: 1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nX-Request-ID: abc\r\n\r\n",
			[]string{"X-Forwarded-For: 10.9.0.100\n", "X-Real-Ip: 10.9.0.100\n", "X-Request-Id: 3\n"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := e.raw(strings.Replace(tc.request, "\r\n\r\n", "\r\nX-Last: 1\r\n\r\n", 1))
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("got %q, want %q in it", got, want)
				}
			}
		})
	}
}

// The workers cannot reach their temporary folder here, since TempDir is closed
// to their account. Bodies up to the limit must not need it.
func TestLabBodies(t *testing.T) {
	e := newEdge(t)
	e.backend("tea", "10.9.0.11:8080")
	e.start()
	e.serve(teaOnly("10.9.0.11:8080"))
	for _, tc := range []struct {
		name string
		size int
		want string
	}{{"largest", maxBody, "\nBody: 1048576\n"}, {"too large", maxBody + 1, "413 "}} {
		sized := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", tc.size, strings.Repeat("x", tc.size))
		chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", tc.size, strings.Repeat("x", tc.size))
		for _, body := range []string{sized, chunked} {
			got := e.raw("POST / HTTP/1.1\r\nHost: tea.example.com\r\nConnection: close\r\n" + body)
			if !strings.Contains(got, tc.want) {
				t.Errorf("%s: %.300q, want %q in it", tc.name, got, tc.want)
			}
		}
	}
}

// raw sends bytes and returns what comes back until the body has ended.
func (e *edge) raw(request string) string {
	e.t.Helper()
	conn, err := e.client.Dial(e.t.Context(), "tcp", "10.9.0.1:80")
	if err != nil {
		e.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		e.t.Logf("the edge did not take all of the request: %v", err)
	}
	var got strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), "X-Request-Id: ") || !strings.HasSuffix(got.String(), "\n") {
		n, err := conn.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return got.String()
}

// NGINX itself must take whatever Build prints, hostile input or not.
func TestLabNGINXTakesWhatBuildPrints(t *testing.T) {
	lab.Require(t, "root", "nginx")
	node := lab.New(t).Node("edge", "10.9.0.1/24")
	l := layoutOf(t.TempDir())
	if err := l.make(); err != nil {
		t.Fatal(err)
	}
	n := nginx{binary: "nginx", layout: l}
	f, err := n.features(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]Config{"cafe": cafe(t), "kinds": manyKinds(t), "hostile": hostileConfig(t)} {
		t.Run(name, func(t *testing.T) {
			out, _ := Build(cfg, f)
			if err := l.writeOutput(out); err != nil {
				t.Fatal(err)
			}
			if err := node.Do(func() error { return n.test(context.Background(), "next.conf") }); err != nil {
				t.Error(err)
			}
		})
	}
}
