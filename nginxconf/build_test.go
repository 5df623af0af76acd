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
			{ID: "d/exact:80", Endpoints: addrs("10.1.0.4:80")},
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
