package ingress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"harmony/nginxconf"
	"harmony/source"
	"harmony/source/folder"
)

// services has tea and coffee at port 80 (http), each with one endpoint, and
// empty with none.
const services = `
kind: Service
apiVersion: v1
metadata: {name: tea}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: tea-1, labels: {kubernetes.io/service-name: tea}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.0.0.1]}]
---
kind: Service
apiVersion: v1
metadata: {name: coffee}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: coffee-1, labels: {kubernetes.io/service-name: coffee}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.0.0.2]}]
---
kind: Service
apiVersion: v1
metadata: {name: empty}
spec: {ports: [{port: 80}]}
---
kind: Service
apiVersion: v1
metadata: {name: outside}
spec: {type: ExternalName, externalName: example.com}
`

const ingressHead = "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n"

// path returns one path of an Ingress, in YAML.
func path(path, kind, service string) string {
	return fmt.Sprintf("{path: %q, pathType: %s, backend: {service: {name: %s, port: {number: 80}}}}", path, kind, service)
}

// rule returns one rule of an Ingress, in YAML.
func rule(host string, paths ...string) string {
	return fmt.Sprintf("{host: %q, http: {paths: [%s]}}", host, strings.Join(paths, ", "))
}

// ingress returns an Ingress with one rule.
func ingress(name, host string, paths ...string) string {
	return fmt.Sprintf("%smetadata: {name: %s}\nspec: {rules: [%s]}\n", ingressHead, name, rule(host, paths...))
}

// tlsSecret returns a Secret with a new certificate for host.
func tlsSecret(t *testing.T, name, host string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotAfter: time.Unix(1<<32, 0)}
	crt, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return fmt.Sprintf("---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s}\ntype: kubernetes.io/tls\ndata: {tls.crt: %s, tls.key: %s}\n",
		name, block("CERTIFICATE", crt), block("PRIVATE KEY", der))
}

// load reads YAML, which must have no problems of its own.
func load(t *testing.T, text string) source.Snapshot {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, problems := folder.Load(file)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s.Origins = nil
	return s
}

// describe returns what Translate made of s as lines of text.
func describe(s source.Snapshot) (sites, problems []string) {
	admitted, found := source.Admit(s)
	built, upstreams, more := Translate(admitted)
	endpoints := make(map[string]string)
	for _, u := range upstreams {
		endpoints[u.ID] = fmt.Sprint(u.Endpoints)
	}
	for _, st := range built {
		line := fmt.Sprintf("%q", st.Host)
		switch {
		case st.TLS != nil && st.TLS.Certificate == nil:
			line += " refuses TLS"
		case st.TLS != nil:
			line += " TLS"
		}
		if st.Redirect {
			line += " redirect"
		}
		sites = append(sites, line)
		for _, l := range st.Locations {
			match := "prefix"
			if l.Match == nginxconf.Exact {
				match = "exact"
			}
			sites = append(sites, strings.TrimSpace(fmt.Sprintf("  %s %s %s %s", match, l.Path, l.Upstream, endpoints[l.Upstream])))
		}
	}
	for _, p := range append(found, more...) {
		problems = append(problems, fmt.Sprintf("%s %s %s", p.Severity, p.Code, p))
	}
	return sites, problems
}

const (
	tea    = "default/tea:80 [10.0.0.1:8080]"
	coffee = "default/coffee:80 [10.0.0.2:8080]"
)

func TestTranslate(t *testing.T) {
	tests := []struct {
		name     string
		text     string
		sites    []string
		problems []string
	}{
		{"paths", ingress("i", "a.example", path("/tea", "Prefix", "tea"), path("/tea", "Exact", "coffee"), path("/x/", "Prefix", "tea"), path("/x/", "Exact", "tea")),
			[]string{`"a.example"`, "prefix /tea " + tea, "exact /tea " + coffee, "prefix /x " + tea, "exact /x/ " + tea}, nil},
		{"implementation specific", ingress("i", "", path("", "ImplementationSpecific", "tea"), path("/x", "ImplementationSpecific", "coffee")),
			[]string{`""`, "prefix / " + tea, "prefix /x " + coffee}, nil},
		{"regular expression", ingress("i", "a.example", path("/x(.*)", "ImplementationSpecific", "tea")),
			[]string{`"a.example"`, "prefix /x(.*) " + tea},
			[]string{"warning NotHonoured Ingress default/i spec.rules[0].http.paths[0].path: taken as plain text, with pathType Prefix: regular expressions are not honoured yet"}},
		{"hosts", ingress("i", "*.a.example", path("/", "Prefix", "tea")) + ingress("j", "b.a.example", path("/", "Prefix", "coffee")),
			[]string{`"*.a.example"`, "prefix / " + tea, `"b.a.example"`, "prefix / " + coffee}, nil},
		{"one host of two ingresses", ingress("i", "a.example", path("/tea", "Prefix", "tea")) + ingress("j", "a.example", path("/coffee", "Prefix", "coffee")),
			[]string{`"a.example"`, "prefix /coffee " + coffee, "prefix /tea " + tea}, nil},
		{"same path again", ingress("b", "a.example", path("/x/", "Prefix", "coffee"), path("/only", "Exact", "coffee")) + ingress("a", "a.example", path("/x", "Prefix", "tea")),
			[]string{`"a.example"`, "exact /only " + coffee, "prefix /x " + tea},
			[]string{`error Conflict Ingress default/b spec.rules[0].http.paths[0].path: "/x" of host "a.example" belongs to Ingress default/a, which goes before`}},
		{"same path, escaped", ingress("a", "a.example", path("/%78", "Exact", "tea")) + ingress("b", "a.example", path("/x", "Exact", "coffee")),
			[]string{`"a.example"`, "exact /%78 " + tea},
			[]string{`error Conflict Ingress default/b spec.rules[0].http.paths[0].path: "/x" of host "a.example" belongs to Ingress default/a, which goes before`}},
		{"same path, same service", ingress("b", "a.example", path("/x/", "Prefix", "tea")) + ingress("a", "a.example", path("/x", "Prefix", "tea")),
			[]string{`"a.example"`, "prefix /x " + tea}, nil},
		{"default backend only", ingressHead + "metadata: {name: i}\nspec: {defaultBackend: {service: {name: tea, port: {name: http}}}}\n",
			[]string{`""`, "prefix / " + tea}, nil},
		{"default backend with rules", ingressHead + "metadata: {name: i}\nspec: {defaultBackend: {service: {name: tea, port: {number: 80}}}, rules: [" +
			rule("a.example", path("/", "Prefix", "coffee")) + "," + rule("b.example", path("/x", "Prefix", "coffee")) + ", {host: c.example}]}\n",
			[]string{`"a.example"`, "prefix / " + coffee, `"b.example"`, "prefix / " + tea, "prefix /x " + coffee, `"c.example"`, "prefix / " + tea}, nil},
		{"default backend yields to a younger rule", ingressHead + "metadata: {name: a}\nspec: {defaultBackend: {service: {name: tea, port: {number: 80}}}}\n" + ingress("b", "", path("/", "Prefix", "coffee")),
			[]string{`""`, "prefix / " + coffee},
			[]string{`error Conflict Ingress default/a spec.defaultBackend: "/" of host "" belongs to Ingress default/b, which goes before`}},
		{"no such service", ingress("i", "a.example", path("/", "Prefix", "milk"), path("/x", "Prefix", "tea")),
			[]string{`"a.example"`, "prefix / default/milk:80 []", "prefix /x " + tea},
			[]string{"error NotFound Ingress default/i spec.rules[0].http.paths[0].backend.service.name: there is no Service default/milk: answers 503"}},
		{"service of another namespace", strings.Replace(ingress("i", "a.example", path("/", "Prefix", "tea")), "name: i", "name: i, namespace: n", 1),
			[]string{`"a.example"`, "prefix / n/tea:80 []"},
			[]string{"error NotFound Ingress n/i spec.rules[0].http.paths[0].backend.service.name: there is no Service n/tea: answers 503"}},
		{"no such port", ingress("i", "a.example", strings.Replace(path("/", "Prefix", "tea"), "80", "8080", 1)),
			[]string{`"a.example"`, "prefix / default/tea:8080 []"},
			[]string{"error NotFound Ingress default/i spec.rules[0].http.paths[0].backend.service.port: Service default/tea has no TCP port 8080: answers 503"}},
		{"no endpoints", ingress("i", "a.example", path("/", "Prefix", "empty"), path("/x", "Prefix", "empty")),
			[]string{`"a.example"`, "prefix / default/empty:80 []", "prefix /x default/empty:80 []"},
			[]string{`warning NoEndpoints Service default/empty: port 80 has no ready endpoint: its paths answer 503 (an EndpointSlice belongs to it by the label kubernetes.io/service-name, its ports by the name "")`}},
		{"external name", ingress("i", "a.example", path("/", "Prefix", "outside")),
			[]string{`"a.example"`, "prefix / default/outside:80 []"},
			[]string{"error Unsupported Ingress default/i spec.rules[0].http.paths[0].backend.service.name: Services of type ExternalName are not supported yet: answers 503"}},
		{"resource backend", ingress("i", "a.example", "{path: /r, pathType: Prefix, backend: {resource: {kind: Bucket, name: b}}}", path("/x", "Prefix", "tea")),
			[]string{`"a.example"`, "prefix /r", "prefix /x " + tea},
			[]string{"error Unsupported Ingress default/i spec.rules[0].http.paths[0].backend.resource: resource backends are not supported: answers 404"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sites, problems := describe(load(t, services+tt.text))
			if diff := cmp.Diff(tt.sites, sites, trimmed()); diff != "" {
				t.Errorf("sites (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.problems, problems); diff != "" {
				t.Errorf("problems (-want +got)\n%s", diff)
			}
		})
	}
}

// trimmed compares lines without their indentation.
func trimmed() cmp.Option {
	return cmp.Transformer("trimmed", func(lines []string) string {
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		return strings.Join(lines, "\n")
	})
}

// TestRefused: each is refused as a whole, at the very field, and the Ingress
// beside it is served as if it were not there.
func TestRefused(t *testing.T) {
	const field = "spec.rules[0].http.paths[0]"
	at := func(p string) string { return ingress("bad", "a.example", path(p, "ImplementationSpecific", "tea")) }
	spec := func(spec string) string { return ingressHead + "metadata: {name: bad}\nspec: " + spec + "\n" }
	annotated := func(key, value string) string {
		return strings.Replace(at("/x"), "{name: bad}", fmt.Sprintf("{name: bad, annotations: {%s: %q}}", key, value), 1)
	}
	tests := []struct{ name, text, field string }{
		{"newline and braces", at("/x{}\n}\nalias /;"), field + ".path"},
		{"carriage return", at("/foo\ralias /etc/"), field + ".path"},
		{"newline", at("/foo\nlog_format x '…'"), field + ".path"},
		{"quote", at(`/"; return 200 pwn; #`), field + ".path"},
		{"single quote", at("/'x"), field + ".path"},
		{"backslash", at(`/foo\`), field + ".path"},
		{"semicolon", at("/foo;"), field + ".path"},
		{"brace", at("/foo{"), field + ".path"},
		{"closing brace", at("/foo}"), field + ".path"},
		{"variable", at("/$document_root"), field + ".path"},
		{"modifier", at("= /x"), field + ".path"},
		{"regular expression modifier", at("~ /x"), field + ".path"},
		{"named location", at("@x"), field + ".path"},
		{"dots", at("/../../etc/passwd"), field + ".path"},
		{"dots at the end", at("/x/.."), field + ".path"},
		{"one dot", at("/./x"), field + ".path"},
		{"escaped dots", at("/%2e%2E/x"), field + ".path"},
		{"two slashes", at("//x"), field + ".path"},
		{"two slashes at the end", at("/x//"), field + ".path"},
		{"escaped slash", at("/a%2fb"), field + ".path"},
		{"NUL", at("/a\x00b"), field + ".path"},
		{"escaped NUL", at("/a%00b"), field + ".path"},
		{"escaped newline", at("/a%0ab"), field + ".path"},
		{"escaped quote", at("/a%22b"), field + ".path"},
		{"broken escape", at("/a%4"), field + ".path"},
		{"not UTF-8", at("/a%ff"), field + ".path"},
		{"space", at("/a b"), field + ".path"},
		{"tab", at("/a\tb"), field + ".path"},
		{"no-break space", at("/a\u00a0b"), field + ".path"},
		{"direction override", at("/a\u202eb"), field + ".path"},
		{"hash", at("/a#b"), field + ".path"},
		{"question mark", at("/a?b"), field + ".path"},
		{"regular expression", at("(a+)+$"), field + ".path"},
		{"long", at("/" + strings.Repeat("a", 1024)), field + ".path"},
		{"exact and relative", ingress("bad", "a.example", path("x", "Exact", "tea")), field + ".path"},
		{"prefix and empty", ingress("bad", "a.example", path("", "Prefix", "tea")), field + ".path"},
		{"path type", ingress("bad", "a.example", path("/x", "Regex", "tea")), field + ".pathType"},
		{"no path type", ingress("bad", "a.example", strings.Replace(path("/x", "Prefix", "tea"), "pathType: Prefix, ", "", 1)), field + ".pathType"},
		{"service", ingress("bad", "a.example", path("/x", "Prefix", `"../x"`)), field + ".backend.service.name"},
		{"port", ingress("bad", "a.example", strings.Replace(path("/x", "Prefix", "tea"), "80", "65536", 1)), field + ".backend.service.port.number"},
		{"negative port", ingress("bad", "a.example", strings.Replace(path("/x", "Prefix", "tea"), "80", "-1", 1)), field + ".backend.service.port.number"},
		{"no port", ingress("bad", "a.example", strings.Replace(path("/x", "Prefix", "tea"), "number: 80", "", 1)), field + ".backend.service.port"},
		{"two ports", ingress("bad", "a.example", strings.Replace(path("/x", "Prefix", "tea"), "number: 80", "number: 80, name: http", 1)), field + ".backend.service.port"},
		{"port name", ingress("bad", "a.example", strings.Replace(path("/x", "Prefix", "tea"), "number: 80", `name: "a;b"`, 1)), field + ".backend.service.port.name"},
		{"no backend", ingress("bad", "a.example", "{path: /x, pathType: Prefix, backend: {}}"), field + ".backend"},
		{"nothing", spec("{}"), "spec"},
		{"default backend", spec("{defaultBackend: {service: {name: a b, port: {number: 80}}}}"), "spec.defaultBackend.service.name"},
		{"host with semicolon", ingress("bad", "*.com;"), "spec.rules[0].host"},
		{"two hosts", ingress("bad", "foo.com bar.com"), "spec.rules[0].host"},
		{"star in the middle", ingress("bad", "a.*.com"), "spec.rules[0].host"},
		{"star only", ingress("bad", "*"), "spec.rules[0].host"},
		{"regular expression host", ingress("bad", "~^x"), "spec.rules[0].host"},
		{"upper case", ingress("bad", "A.example"), "spec.rules[0].host"},
		{"address", ingress("bad", "10.0.0.1"), "spec.rules[0].host"},
		{"trailing dot", ingress("bad", "a.example."), "spec.rules[0].host"},
		{"long label", ingress("bad", strings.Repeat("a", 64)+".example"), "spec.rules[0].host"},
		{"secret name", spec("{tls: [{secretName: ../../x}], rules: [" + rule("b.example", path("/x", "Prefix", "tea")) + "]}"), "spec.tls[0].secretName"},
		{"TLS host", spec("{tls: [{hosts: [b.example, \"x\\n\"], secretName: x}], rules: [" + rule("b.example", path("/x", "Prefix", "tea")) + "]}"), "spec.tls[0].hosts[1]"},
		{"not a boolean", annotated(annotationPrefix+"ssl-redirect", "true; }"), "metadata.annotations[" + annotationPrefix + "ssl-redirect]"},
		{"authentication", annotated(annotationPrefix+"auth-url", "http://auth"), "metadata.annotations[" + annotationPrefix + "auth-url]"},
		{"allow list", annotated(annotationPrefix+"whitelist-source-range", "10.0.0.0/8"), "metadata.annotations[" + annotationPrefix + "whitelist-source-range]"},
		{"canary", annotated(annotationPrefix+"canary", "true"), "metadata.annotations[" + annotationPrefix + "canary]"},
	}
	good := ingress("good", "good.example", path("/x", "Prefix", "tea"))
	want, _ := describe(load(t, services+good))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := load(t, services+good+tt.text)
			sites, _ := describe(s)
			if diff := cmp.Diff(want, sites); diff != "" {
				t.Errorf("sites (-without it +with it)\n%s", diff)
			}
			_, _, problems := Translate(s)
			for _, p := range problems {
				if p.Refused && p.Field == tt.field && p.Object.Name == "bad" && !strings.ContainsAny(p.String(), "\n\r\x00") {
					return
				}
			}
			t.Errorf("not refused at %s: %v", tt.field, problems)
		})
	}
}

func TestPathsAccepted(t *testing.T) {
	for _, p := range []string{"/", "/x", "/x/", "/a-b.c_d~e", "/.well-known/acme-challenge/", "/a%20b", "/caf%C3%A9", "/café", "/v1:batch", "/a,b=c&d@e!f", "/..."} {
		if _, err := nginxconf.DecodePath(p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestTLS(t *testing.T) {
	withTLS := func(name, tls string, rules ...string) string {
		return fmt.Sprintf("%smetadata: {name: %s}\nspec: {tls: [%s], rules: [%s]}\n", ingressHead, name, tls, strings.Join(rules, ", "))
	}
	simple := rule("a.example", path("/", "Prefix", "tea"))
	annotate := func(text, key, value string) string {
		return strings.Replace(text, "{name: i}", fmt.Sprintf("{name: i, annotations: {%s%s: %q}}", annotationPrefix, key, value), 1)
	}
	secret := tlsSecret(t, "s", "a.example")
	other := tlsSecret(t, "other", "a.example")
	wild := tlsSecret(t, "wild", "*.example")
	mixed := secret[:strings.Index(secret, "tls.key")] + other[strings.Index(other, "tls.key"):]
	const refused = `: TLS handshakes for "a.example" are refused`
	tests := []struct {
		name     string
		text     string
		want     string // the line of a.example
		problems []string
	}{
		{"good", withTLS("i", "{hosts: [a.example], secretName: s}", simple) + secret, `"a.example" TLS redirect`, nil},
		{"without", withTLS("i", "", simple) + secret, `"a.example"`, nil},
		{"no hosts", withTLS("i", "{secretName: s}", simple) + secret, `"a.example" TLS redirect`, nil},
		{"wildcard", withTLS("i", `{hosts: ["*.example"], secretName: wild}`, simple) + wild, `"a.example" TLS redirect`, nil},
		{"wildcard of two labels", withTLS("i", `{hosts: ["*.example"], secretName: wild}`, strings.Replace(simple, "a.example", "b.a.example", 1)) + wild,
			`"b.a.example"`, []string{"warning NotHonoured Ingress default/i spec.tls[0].hosts: without effect: no rule has one of these hosts"}},
		{"exact before wildcard", withTLS("i", `{hosts: ["*.example"], secretName: none}, {hosts: [a.example], secretName: s}`, simple) + secret,
			`"a.example" TLS redirect`, []string{"warning NotHonoured Ingress default/i spec.tls[0].hosts: without effect: no rule has one of these hosts"}},
		{"missing", withTLS("i", "{hosts: [a.example], secretName: s}", simple), `"a.example" refuses TLS redirect`,
			[]string{"error NotFound Ingress default/i spec.tls[0].secretName: there is no usable Secret default/s" + refused}},
		{"of another namespace", withTLS("i", "{hosts: [a.example], secretName: s}", simple) + strings.Replace(secret, "{name: s}", "{name: s, namespace: n}", 1), `"a.example" refuses TLS redirect`,
			[]string{"error NotFound Ingress default/i spec.tls[0].secretName: there is no usable Secret default/s" + refused}},
		{"of the default namespace", strings.Replace(withTLS("i", "{hosts: [a.example], secretName: s}", simple), "{name: i}", "{name: i, namespace: n}", 1) + secret, `"a.example" refuses TLS redirect`, []string{
			"error NotFound Ingress n/i spec.rules[0].http.paths[0].backend.service.name: there is no Service n/tea: answers 503",
			"error NotFound Ingress n/i spec.tls[0].secretName: there is no usable Secret n/s" + refused}},
		{"no name", withTLS("i", "{hosts: [a.example]}", simple), `"a.example" refuses TLS redirect`,
			[]string{"error Required Ingress default/i spec.tls[0].secretName: a Secret is needed" + refused}},
		{"wrong type", withTLS("i", "{hosts: [a.example], secretName: s}", simple) + strings.Replace(secret, "kubernetes.io/tls", "Opaque", 1), `"a.example" refuses TLS redirect`,
			[]string{"error Invalid Ingress default/i spec.tls[0].secretName: Secret default/s: type must be kubernetes.io/tls" + refused}},
		{"another's key", withTLS("i", "{hosts: [a.example], secretName: s}", simple) + mixed, `"a.example" refuses TLS redirect`, []string{
			"error Invalid Secret default/s data[tls.key]: is not the key of the first certificate in tls.crt, or one of them is broken",
			"error NotFound Ingress default/i spec.tls[0].secretName: there is no usable Secret default/s" + refused}},
		{"another name", withTLS("i", "{hosts: [a.example], secretName: s}", simple) + tlsSecret(t, "s", "b.example"), `"a.example" TLS redirect`,
			[]string{"warning Invalid Ingress default/i spec.tls[0].secretName: its certificate does not name a.example: clients will not trust it"}},
		{"two ingresses", withTLS("i", "{hosts: [a.example], secretName: s}", simple) + withTLS("j", "{hosts: [a.example], secretName: other}", strings.Replace(simple, `"/"`, `"/x"`, 1)) + secret + other,
			`"a.example" TLS redirect`,
			[]string{`error Conflict Ingress default/j spec.tls[0]: host "a.example" has its certificate from Secret default/s by Ingress default/i, which goes before`}},
		{"the first has no Secret", withTLS("i", "{hosts: [a.example], secretName: none}", simple) + withTLS("j", "{hosts: [a.example], secretName: other}", simple) + other,
			`"a.example" refuses TLS redirect`, []string{
				"error NotFound Ingress default/i spec.tls[0].secretName: there is no usable Secret default/none" + refused,
				`error Conflict Ingress default/j spec.tls[0]: host "a.example" has its certificate from Secret default/none by Ingress default/i, which goes before`}},
		{"no redirect", annotate(withTLS("i", "{hosts: [a.example], secretName: s}", simple)+secret, "ssl-redirect", "false"), `"a.example" TLS`, nil},
		{"forced", annotate(withTLS("i", "", simple), "force-ssl-redirect", "true"), `"a.example" redirect`, nil},
		{"not honoured", annotate(withTLS("i", "", simple), "proxy-body-size", "8m"), `"a.example"`,
			[]string{"warning NotHonoured Ingress default/i metadata.annotations[" + annotationPrefix + "proxy-body-size]: not honoured yet"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sites, problems := describe(load(t, services+tt.text))
			if len(sites) == 0 || sites[0] != tt.want {
				t.Errorf("got %q, want %q", sites, tt.want)
			}
			if diff := cmp.Diff(tt.problems, problems); diff != "" {
				t.Errorf("problems (-want +got)\n%s", diff)
			}
		})
	}
}

func TestClass(t *testing.T) {
	class := func(name, controller, isDefault string) string {
		return fmt.Sprintf("---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: %s, annotations: {%s: %q}}\nspec: {controller: %s}\n", name, defaultAnnotation, isDefault, controller)
	}
	of := func(name string) string {
		return strings.Replace(ingress("i", "a.example", path("/", "Prefix", "tea")), "spec: {", "spec: {ingressClassName: "+name+", ", 1)
	}
	annotated := func(name string) string {
		return strings.Replace(ingress("i", "a.example", path("/", "Prefix", "tea")), "{name: i}", "{name: i, annotations: {"+classAnnotation+": "+name+"}}", 1)
	}
	none := ingress("i", "a.example", path("/", "Prefix", "tea"))
	ours, others := class("edge", Controller, "false"), class("nginx", "k8s.io/ingress-nginx", "true")
	tests := []struct {
		name, text   string
		served, told bool
	}{
		{"none at all", none, true, false},
		{"nginx without classes", of("nginx"), true, false},
		{"harmony without classes", of("harmony"), true, false},
		{"annotation without classes", annotated("nginx"), true, false},
		{"unknown without classes", of("traefik"), false, true},
		{"ours", of("edge") + ours, true, false},
		{"ours by annotation", annotated("edge") + ours, true, false},
		{"another's", of("nginx") + ours + others, false, false},
		{"undeclared beside ours", of("nginx") + ours, false, true},
		{"none beside ours", none + ours, false, true},
		{"none, another's is the default", none + others, false, true},
		{"none, ours is the default", none + class("edge", Controller, "true"), true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sites, problems := describe(load(t, services+tt.text))
			if served := len(sites) > 0; served != tt.served {
				t.Errorf("served: %v", served)
			}
			if told := len(problems) > 0; told != tt.told {
				t.Errorf("problems: %v", problems)
			}
		})
	}
}

// TestOldestFirst: of two that want the same, the older has it, whatever they
// are called.
func TestOldestFirst(t *testing.T) {
	s := load(t, services+ingress("a", "a.example", path("/", "Prefix", "tea"))+ingress("b", "a.example", path("/", "Prefix", "coffee")))
	s.Ingresses[0].CreationTimestamp = metav1.Unix(2000, 0)
	s.Ingresses[1].CreationTimestamp = metav1.Unix(1000, 0)
	sites, problems := describe(s)
	if diff := cmp.Diff([]string{`"a.example"`, "prefix / " + coffee}, sites, trimmed()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(problems) != 1 || !strings.Contains(problems[0], "Ingress default/a spec.rules[0]") {
		t.Errorf("problems: %q", problems)
	}
}

// TestOrder: the order of objects does not matter.
func TestOrder(t *testing.T) {
	s := load(t, services+tlsSecret(t, "s", "a.example")+
		ingress("a", "a.example", path("/", "Prefix", "tea"), path("/x", "Exact", "coffee"), path("/y", "Prefix", "milk"))+
		ingress("b", "a.example", path("/", "Prefix", "coffee"), path("/z", "Prefix", "empty"))+
		ingress("c", "", path("/", "Prefix", "tea")))
	random := mathrand.New(mathrand.NewPCG(1, 2))
	want, wantProblems := describe(s)
	for range 20 {
		shuffle(random, s.Ingresses)
		shuffle(random, s.Services)
		shuffle(random, s.EndpointSlices)
		sites, problems := describe(s)
		if diff := cmp.Diff(want, sites); diff != "" {
			t.Fatalf("sites\n%s", diff)
		}
		if diff := cmp.Diff(wantProblems, problems); diff != "" {
			t.Fatalf("problems\n%s", diff)
		}
	}
}

func shuffle[T any](random *mathrand.Rand, list []T) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}
