package nginxconf

import (
	"fmt"
	"strings"
	"testing"
)

// hostilePaths are refused as paths of a location, each for its class.
var hostilePaths = map[string]string{
	"new directive":        "/x{}\n}\nalias /;",
	"carriage return":      "/foo\ralias /etc/",
	"line feed":            "/foo\nlog_format x '…'",
	"tab":                  "/foo\tbar",
	"quote":                `/"; return 200 pwn; #`,
	"single quote":         `/'; return 200 pwn; #`,
	"backslash at the end": `/foo\`,
	"backslash":            `/foo\"bar`,
	"semicolon":            "/foo;",
	"open brace":           "/foo{",
	"close brace":          "/foo}",
	"variable":             "/$document_root",
	"braced variable":      "/${request_uri}",
	"escaped variable":     "/%24document_root",
	"modifier exact":       "= /x",
	"modifier regex":       "~ /x",
	"modifier joined":      "^~/x",
	"named":                "@x",
	"empty":                "",
	"relative":             "foo",
	"parent":               "/../../etc/passwd",
	"parent at the end":    "/a/..",
	"dot":                  "/a/./b",
	"escaped parent":       "/%2e%2e/etc",
	"empty element":        "/a//b",
	"NUL":                  "/a\x00b",
	"escaped NUL":          "/a%00b",
	"escaped line feed":    "/a%0Ab",
	"escaped slash":        "/a%2fb",
	"escaped quote":        "/a%22b",
	"broken escape":        "/a%2",
	"DEL":                  "/a\x7fb",
	"C1":                   "/a\u0085b",
	"line separator":       "/a\u2028b",
	"not UTF-8":            "/a\xffb",
	"escaped not UTF-8":    "/a%ff",
	"space":                "/a b",
	"comment":              "/a #b",
	"regex":                "/(a+)+$",
	"too long":             "/" + strings.Repeat("a", maxPath),
	"far too long":         "/" + strings.Repeat("a", 1<<16),
}

var hostileHosts = map[string]string{
	"statement":         "*.com;",
	"two hosts":         "foo.com bar.com",
	"line feed":         "foo.com\nalias /",
	"NUL":               "foo.com\x00",
	"regex":             "~^foo",
	"quote":             `foo".com`,
	"variable":          "$hostname",
	"upper case":        "Foo.com",
	"underscore":        "_",
	"star alone":        "*",
	"star inside":       "a.*.com",
	"star at the end":   "www.*",
	"two stars":         "*.*.com",
	"leading dot":       ".foo.com",
	"trailing dot":      "foo.com.",
	"leading dash":      "-foo.com",
	"brace":             "foo.com{",
	"path":              "foo.com/x",
	"port":              "foo.com:80",
	"letters of nobody": "fоo.com", // a Cyrillic о
	"long label":        strings.Repeat("a", 64) + ".com",
	"too long":          strings.Repeat("a.", 127) + "com",
	"empty wildcard":    "*.",
}

// hostileConfig has all of them beside one good site.
func hostileConfig(t testing.TB) Config {
	cfg := cafe(t)
	i := 0
	for name, p := range hostilePaths {
		for _, m := range []Match{Prefix, Exact, 7} {
			l := Location{Path: p, Match: m, Upstream: "default/tea:80", Object: "Ingress hostile/" + name}
			cfg.Sites[0].Locations = append(cfg.Sites[0].Locations, l)
			l.Path, l.Upstream, l.Object = fmt.Sprintf("/fine/%d", i), p, p // the other fields as well
			if m == Exact {
				l.Upstream += "?" // which does not exist
			}
			cfg.Sites[0].Locations = append(cfg.Sites[0].Locations, l)
			i++
		}
		cfg.Upstreams = append(cfg.Upstreams, Upstream{ID: p, Endpoints: addrs("10.0.0.1:80", "0.0.0.0:80", "224.0.0.1:80", "[fe80::1%eth0]:80", "10.0.0.1:0")})
	}
	for name, h := range hostileHosts {
		cfg.Sites = append(cfg.Sites, Site{Host: h, TLS: testPair(t, 3, "x"), Locations: []Location{
			{Path: "/", Upstream: "default/tea:80", Object: "Ingress hostile/" + name}}})
	}
	for i, tls := range badPairs(t) {
		cfg.Sites = append(cfg.Sites, Site{Host: fmt.Sprintf("tls%d.example.com", i), TLS: &tls.pair})
	}
	return cfg
}

func TestHostilePathsAndHosts(t *testing.T) {
	want, _ := Build(cafe(t), debian12)
	for name, p := range hostilePaths {
		for _, m := range []Match{Prefix, Exact} {
			cfg := cafe(t)
			cfg.Sites[0].Locations = append(cfg.Sites[0].Locations,
				Location{Path: p, Match: m, Upstream: "default/tea:80", Object: "Ingress hostile/x"})
			got, faults := Build(cfg, debian12)
			if len(faults) != 1 || faults[0].Object != "Ingress hostile/x" || faults[0].Host != "cafe.example.com" {
				t.Errorf("path %s: faults %+v, want one that names the object", name, faults)
			}
			if got.Generation != want.Generation {
				t.Errorf("path %s: it changed what is served", name)
			}
		}
	}
	for name, h := range hostileHosts {
		cfg := cafe(t)
		cfg.Sites = append(cfg.Sites, Site{Host: h, Locations: []Location{{Path: "/", Upstream: "default/tea:80", Object: "Ingress hostile/x"}}})
		got, faults := Build(cfg, debian12)
		if len(faults) != 1 || faults[0].Object != "Ingress hostile/x" {
			t.Errorf("host %s: faults %+v, want one that names the object", name, faults)
		}
		if got.Generation != want.Generation {
			t.Errorf("host %s: it changed what is served", name)
		}
	}
}

// A reason is read on terminals and in events: no control byte gets there.
func TestFaultsAreHarmlessText(t *testing.T) {
	_, faults := Build(hostileConfig(t), debian12)
	for _, f := range faults {
		if len(f.Reason) > 4*maxPath || printable(f.Reason) != nil {
			t.Errorf("fault of %q: %.200q", f.Object, f.Reason)
		}
	}
}

type badPair struct {
	name   string
	pair   TLS
	reason string // a part of it
}

func badPairs(t testing.TB) []badPair {
	a, b := testPair(t, 4, "a"), testPair(t, 5, "b")
	junk := func(p []byte, more string) []byte { return append([]byte(string(p)), more...) }
	return []badPair{
		{"not PEM", TLS{Certificate: []byte("hello"), Key: a.Key}, "not PEM"},
		{"no key", TLS{Certificate: a.Certificate}, "key: it is empty"},
		{"no certificate", TLS{Key: a.Key}, "certificate: it is empty"},
		{"another key", TLS{Certificate: a.Certificate, Key: b.Key}, "does not match"},
		{"key in the chain", TLS{Certificate: junk(a.Certificate, string(a.Key)), Key: a.Key}, "PRIVATE KEY"},
		{"text before", TLS{Certificate: []byte("x\n" + string(a.Certificate)), Key: a.Key}, "not PEM"},
		{"text after", TLS{Certificate: junk(a.Certificate, "-----BEGIN x"), Key: a.Key}, "broken"},
		{"two keys", TLS{Certificate: a.Certificate, Key: junk(a.Key, string(b.Key))}, "2 PEM blocks"},
		{"broken certificate", TLS{Certificate: []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), Key: a.Key}, "certificate: x509"},
		{"encrypted key", TLS{Certificate: a.Certificate, Key: []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")}, "key: it is encrypted"},
		{"old encrypted key", TLS{Certificate: a.Certificate, Key: []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n")}, "key: it is encrypted"},
		{"too long", TLS{Certificate: []byte(strings.Repeat(string(a.Certificate), 1000)), Key: a.Key}, "too much"},
	}
}

// A bad pair refuses its own site's handshakes, and nothing else changes.
func TestBadCertificates(t *testing.T) {
	base := cafe(t)
	base.Sites = append(base.Sites, Site{Host: "bad.example.com", TLS: &TLS{}, Redirect: true})
	want, faults := Build(base, debian12)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for _, tc := range badPairs(t) {
		t.Run(tc.name, func(t *testing.T) {
			cfg := base
			cfg.Sites = append([]Site{}, base.Sites...)
			cfg.Sites[1].TLS = &tc.pair
			got, faults := Build(cfg, debian12)
			if len(faults) != 1 || faults[0].Host != "bad.example.com" || !strings.Contains(faults[0].Reason, tc.reason) {
				t.Errorf("faults %+v, want one of the site, with %q", faults, tc.reason)
			}
			if got.Generation != want.Generation {
				t.Error("it is not served like a site whose certificate is missing")
			}
		})
	}
}
