package nginxconf

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

var debian12 = Features{Version: Version{1, 22, 1}, Workers: 2, User: "www-data"}

// testPair makes a self-signed certificate, the same for the same arguments:
// Ed25519 needs no randomness.
func testPair(t testing.TB, serial int64, hosts ...string) *TLS {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(serial)}, ed25519.SeedSize))
	start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	der, err := x509.CreateCertificate(nil, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: hosts[0]}, DNSNames: hosts,
		NotBefore: start, NotAfter: start.AddDate(100, 0, 0),
		IsCA: true, BasicConstraintsValid: true,
	}, &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: hosts[0]}}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &TLS{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}
}

func addrs(list ...string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, s := range list {
		out = append(out, netip.MustParseAddrPort(s))
	}
	return out
}

// cafe is the example of the seed document: two paths, TLS, two Services.
func cafe(t testing.TB) Config {
	return Config{
		Sites: []Site{{
			Host: "cafe.example.com", TLS: testPair(t, 1, "cafe.example.com"), Redirect: true,
			Locations: []Location{
				{Path: "/tea", Upstream: "default/tea:80", Object: "Ingress default/cafe"},
				{Path: "/coffee", Upstream: "default/coffee:80", Object: "Ingress default/cafe"},
			},
		}},
		Upstreams: []Upstream{
			{ID: "default/tea:80", Endpoints: addrs("10.1.0.11:8080", "10.1.0.12:8080", "10.1.0.13:8080")},
			{ID: "default/coffee:80", Endpoints: addrs("10.1.0.21:8080", "[fd00::21]:8080")},
		},
	}
}

// manyKinds holds one of everything.
func manyKinds(t testing.TB) Config {
	const obj = "Ingress default/shop"
	return Config{
		HTTPPort: 8080, HTTPSPort: 8443,
		Sites: []Site{
			{Host: "", Locations: []Location{{Path: "/", Upstream: "d/fallback:80", Object: obj}}},
			{Host: "*.shop.example.com", TLS: testPair(t, 2, "*.shop.example.com"), Locations: []Location{
				{Path: "/aaa/bbb/", Upstream: "d/bbb:80", Object: obj},
				{Path: "/aaa", Upstream: "d/aaa:80", Object: obj},
				{Path: "/aaa", Match: Exact, Upstream: "d/exact:80", Object: obj},
				{Path: "/Caf%C3%A9", Match: Exact, Upstream: "d/aaa:80", Object: obj},
				{Path: "/nowhere", Upstream: "", Object: obj},
				{Path: "/empty", Upstream: "d/empty:80", Object: obj},
			}},
			{Host: "nocert.example.com", TLS: &TLS{}, Redirect: true, Locations: []Location{
				{Path: "/", Upstream: "d/aaa:80", Object: obj},
				{Path: "/.well-known/acme-challenge/token", Match: Exact, Upstream: "d/acme:8089", Object: obj},
			}},
		},
		Upstreams: []Upstream{
			{ID: "d/fallback:80", Endpoints: addrs("10.1.0.1:80")},
			{ID: "d/aaa:80", Endpoints: addrs("10.1.0.2:80")},
			{ID: "d/bbb:80", Endpoints: addrs("[::ffff:10.1.0.3]:80", "10.1.0.3:80")},
			{ID: "d/exact:80", Endpoints: addrs("10.1.0.4:80", "10.1.0.14:80", "10.1.0.24:80")},
			{ID: "d/acme:8089", Endpoints: addrs("10.1.0.5:8089")},
			{ID: "d/empty:80"},
			{ID: "d/unused:80", Endpoints: addrs("10.1.0.6:80")},
		},
	}
}

func TestBuildGolden(t *testing.T) {
	modern := debian12
	modern.Version, modern.NoIPv6, modern.User = Version{1, 30, 6}, true, ""
	for _, tc := range []struct {
		name string
		cfg  Config
		f    Features
	}{
		{"empty", Config{}, debian12},
		{"cafe", cafe(t), debian12},
		{"cafe-1.30-ipv4", cafe(t), modern},
		{"kinds", manyKinds(t), debian12},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, faults := Build(tc.cfg, tc.f)
			if len(faults) > 0 {
				t.Errorf("faults: %+v", faults)
			}
			var got bytes.Buffer
			if _, err := out.WriteTo(&got); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", tc.name+".golden")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if strings.Contains(got.String(), "PRIVATE KEY") {
				t.Error("a private key is printed")
			}
		})
	}
}

func TestBuildOrderDoesNotMatter(t *testing.T) {
	cfg := manyKinds(t)
	cfg.Sites = append(cfg.Sites, Site{Host: "twice.example.com"}, Site{Host: "twice.example.com", Redirect: true})
	cfg.Upstreams = append(cfg.Upstreams, Upstream{ID: "twice"}, Upstream{ID: "twice", Endpoints: addrs("10.1.0.9:80")})
	want, wantFaults := Build(cfg, debian12)
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		c := Config{HTTPPort: cfg.HTTPPort, HTTPSPort: cfg.HTTPSPort, Sites: slices.Clone(cfg.Sites), Upstreams: slices.Clone(cfg.Upstreams)}
		r.Shuffle(len(c.Sites), func(i, j int) { c.Sites[i], c.Sites[j] = c.Sites[j], c.Sites[i] })
		r.Shuffle(len(c.Upstreams), func(i, j int) { c.Upstreams[i], c.Upstreams[j] = c.Upstreams[j], c.Upstreams[i] })
		for i := range c.Upstreams {
			e := slices.Clone(c.Upstreams[i].Endpoints)
			r.Shuffle(len(e), func(i, j int) { e[i], e[j] = e[j], e[i] })
			c.Upstreams[i].Endpoints = e
		}
		for i := range c.Sites {
			l := slices.Clone(c.Sites[i].Locations)
			r.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] })
			c.Sites[i].Locations = l
		}
		got, faults := Build(c, debian12)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("output -want +got:\n%s", diff)
		}
		if diff := cmp.Diff(wantFaults, faults); diff != "" {
			t.Fatalf("faults -want +got:\n%s", diff)
		}
	}
}

// The memory of a Builder is never seen in what it returns.
func TestBuilderRemembersRightly(t *testing.T) {
	var b Builder
	steps := []func(*Config, *Features){
		func(*Config, *Features) {},
		func(*Config, *Features) {},
		func(c *Config, _ *Features) { c.Upstreams[1].Endpoints = nil },
		func(c *Config, _ *Features) { c.Upstreams = c.Upstreams[:1] },
		func(c *Config, _ *Features) { c.Sites[0].TLS = testPair(t, 9, "x") },
		func(c *Config, _ *Features) { c.Sites[1].Redirect = true },
		func(c *Config, _ *Features) { c.Sites[1].Locations[0].Path = "bad" },
		func(c *Config, _ *Features) { c.HTTPPort = 81 },
		func(_ *Config, f *Features) { f.Version = Version{1, 30, 0} },
		func(c *Config, _ *Features) { c.HTTPSPort = 81 },
	}
	cfg, f := manyKinds(t), debian12
	for i, step := range steps {
		step(&cfg, &f)
		want, wantFaults := Build(cfg, f)
		got, faults := b.Build(cfg, f)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("step %d: -want +got:\n%s", i, diff)
		}
		if diff := cmp.Diff(wantFaults, faults); diff != "" {
			t.Errorf("step %d: faults -want +got:\n%s", i, diff)
		}
	}
}

func TestSecondsAreRefused(t *testing.T) {
	site := func(host, object string) Site {
		return Site{Host: host, Locations: []Location{{Path: "/", Upstream: "a", Object: object}}}
	}
	cfg := Config{
		Sites:     []Site{site("x", "Ingress b/b"), site("x", "Ingress a/a")},
		Upstreams: []Upstream{{ID: "a", Endpoints: addrs("10.0.0.2:80")}, {ID: "a", Endpoints: addrs("10.0.0.1:80")}},
		HTTPPort:  80, HTTPSPort: 80,
	}
	out, faults := Build(cfg, debian12)
	want := []Fault{
		{Reason: "HTTP and HTTPS cannot both have port 80; HTTPS is off"},
		{Object: "upstream a", Reason: "another upstream has the same ID"},
		{Object: "Ingress b/b", Host: "x", Reason: "another site has the same host"},
	}
	if diff := cmp.Diff(want, faults); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if strings.Contains(string(out.Main), "ssl_reject") || len(out.Files) != 2 {
		t.Errorf("output: %s", out.Main)
	}
}

// FuzzBuild: text from outside never adds, removes or moves a directive. The
// same configuration with harmless text in its place has the same shape.
func FuzzBuild(f *testing.F) {
	for _, p := range hostilePaths {
		f.Add("cafe.example.com", p, "default/tea:80", "Ingress a/b")
		f.Add("cafe.example.com", "/tea", p, p)
	}
	for _, h := range hostileHosts {
		f.Add(h, "/tea", "default/tea:80", "Ingress a/b")
	}
	f.Fuzz(func(t *testing.T, host, path, id, object string) {
		build := func(host, path, id, object string) (Output, []Fault) {
			return Build(Config{
				Sites:     []Site{{Host: host, Redirect: true, TLS: &TLS{}, Locations: []Location{{Path: path, Match: Exact, Upstream: id, Object: object}}}},
				Upstreams: []Upstream{{ID: id, Endpoints: addrs("10.0.0.1:80")}},
			}, debian12)
		}
		out, faults := build(host, path, id, object)
		if again, _ := build(host, path, id, object); again.Generation != out.Generation {
			t.Fatal("not the same bytes twice")
		}
		if len(faults) > 0 || id == "" || host == "" {
			return
		}
		plainHost, plainPath := "cafe.example.com", "/tea"
		if strings.HasPrefix(path, acmePath) {
			plainPath = acmePath + "x"
		}
		want, _ := build(plainHost, plainPath, "id", "object")
		if diff := cmp.Diff(shape(t, want), shape(t, out)); diff != "" {
			t.Errorf("-harmless +given:\n%s", diff)
		}
	})
}

// shape is a configuration without its arguments, sorted by file.
func shape(t *testing.T, out Output) []string {
	var names func([]node) string
	names = func(nodes []node) (s string) {
		for _, n := range nodes {
			s += n.words[0] + strings.Repeat(" x", len(n.words)-1) + "{" + names(n.block) + "}"
		}
		return s
	}
	all := [][]byte{out.Main}
	for _, f := range out.Files {
		all = append(all, f.Data)
	}
	var shapes []string
	for _, text := range all {
		nodes, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		shapes = append(shapes, names(nodes))
	}
	slices.Sort(shapes)
	return shapes
}

// BenchmarkBuild is a cluster of 5000 sites, at first and after one change.
func BenchmarkBuild(b *testing.B) {
	var cfg Config
	pair := testPair(b, 1, "*.example.com")
	for i := range 5000 {
		id := itoa(i)
		cfg.Sites = append(cfg.Sites, Site{Host: "site" + id + ".example.com", TLS: pair, Redirect: true, Locations: []Location{
			{Path: "/", Upstream: id}, {Path: "/api", Upstream: id}}})
		cfg.Upstreams = append(cfg.Upstreams, Upstream{ID: id, Endpoints: addrs("10.0.0.1:80", "10.0.0.2:80")})
	}
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Build(cfg, debian12)
		}
	})
	b.Run("one change", func(b *testing.B) {
		b.ReportAllocs()
		var builder Builder
		builder.Build(cfg, debian12)
		for n := 0; b.Loop(); n++ {
			cfg.Sites[0].Redirect = n%2 == 0
			builder.Build(cfg, debian12)
		}
	})
}
