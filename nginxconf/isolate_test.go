package nginxconf

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBlameAndWithout(t *testing.T) {
	cfg := manyKinds(t)
	cfg.Sites[2].TLS = testPair(t, 2, "*.shop.example.com") // the same pair for two sites
	out, _ := Build(cfg, debian12)
	fileOf := func(p Part, ext string) string {
		i := slices.IndexFunc(out.Files, func(f File) bool { return slices.Contains(f.Owners, p) && f.Name[32:] == ext })
		return out.Files[i].Name
	}
	shop, nocert := "*.shop.example.com", "nocert.example.com"
	for _, tc := range []struct {
		name    string
		message string
		parts   []Part
		faults  []Fault
	}{
		{"no file", "[emerg] something in /run/nginx/conf/next.conf:3", nil, nil},
		{"a file of nobody", "in 00000000000000000000000000000000.conf", nil, nil},
		{"a site", "[emerg] x in /run/conf/" + fileOf(Part{SitePart, shop}, ".conf") + ":4", []Part{{SitePart, shop}},
			[]Fault{{"Ingress default/shop", shop, "why; it is not served"}}},
		{"a certificate of two sites", `SSL("/run/conf/` + fileOf(Part{Certificate, shop}, ".crt") + `") failed`,
			[]Part{{Certificate, shop}, {Certificate, nocert}},
			[]Fault{{"Ingress default/shop", shop, "why; its handshakes are refused"}, {"Ingress default/shop", nocert, "why; its handshakes are refused"}}},
		{"a key", fileOf(Part{Certificate, shop}, ".key"), []Part{{Certificate, shop}, {Certificate, nocert}}, nil},
		{"an upstream", fileOf(Part{UpstreamPart, "d/aaa:80"}, ".conf"), []Part{{UpstreamPart, "d/aaa:80"}},
			[]Fault{{"upstream d/aaa:80", "", "why; its locations answer 503"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			parts := blame(tc.message, out.Files)
			if diff := cmp.Diff(tc.parts, parts); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(tc.faults, cfg.isolated(parts, "why")); tc.faults != nil && diff != "" {
				t.Errorf("faults -want +got:\n%s", diff)
			}
			before, _ := Build(cfg, debian12)
			less, faults := Build(cfg.without(parts), debian12)
			if len(faults) > 0 || (less.Generation == out.Generation) != (len(parts) == 0) {
				t.Errorf("without %v: faults %v, changed %t", parts, faults, less.Generation != out.Generation)
			}
			for _, f := range less.Files {
				for _, o := range f.Owners {
					if slices.Contains(parts, o) {
						t.Errorf("%s still has %v", f.Name, o)
					}
				}
			}
			if before.Generation != out.Generation {
				t.Error("the configuration itself was changed")
			}
		})
	}
}

func TestFirstBad(t *testing.T) {
	cfg := Config{}
	for _, h := range []string{"e", "b", "d", "a", "c"} {
		cfg.Sites = append(cfg.Sites, Site{Host: h})
	}
	worksWithout := func(bad ...string) func(Config) bool {
		return func(c Config) bool {
			return !slices.ContainsFunc(c.Sites, func(s Site) bool { return slices.Contains(bad, s.Host) })
		}
	}
	for _, h := range []string{"a", "b", "c", "d", "e"} {
		if got := firstBad(cfg, worksWithout(h)); !slices.Equal(got, []Part{{SitePart, h}}) {
			t.Errorf("%s is bad: %v", h, got)
		}
	}
	if got := firstBad(cfg, worksWithout("d", "b")); !slices.Equal(got, []Part{{SitePart, "b"}}) {
		t.Errorf("b and d are bad: %v", got)
	}
	if got := firstBad(cfg, worksWithout()); got != nil {
		t.Errorf("none is bad: %v", got)
	}
	if got := firstBad(cfg, func(Config) bool { return false }); got != nil {
		t.Errorf("none of them is needed to fail: %v", got)
	}
}

func TestPauses(t *testing.T) {
	n := 0
	var got []time.Duration
	for range 12 {
		n = nextFailures(n, time.Second)
		got = append(got, pause(n))
	}
	want := []time.Duration{0, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond, 3200 * time.Millisecond,
		6400 * time.Millisecond, 12800 * time.Millisecond, 25600 * time.Millisecond, longestPause, longestPause, longestPause, longestPause}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if n = nextFailures(n, steadyAfter); n != 0 || pause(1000) != longestPause {
		t.Errorf("after a steady while: %d failures", n)
	}
}
