package nginxconf

import (
	"testing"
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
		got := e.get(tc.url, cfg.Sites[0].TLS)
		if got.err != nil || got.code != tc.code || got.to != tc.to || tc.first != "" && got.first() != tc.first {
			t.Errorf("%s: %+v, want %+v", tc.url, got, tc)
		}
	}
	if code := e.stop(15); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
