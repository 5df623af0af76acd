package v1alpha1

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write docs/objects.md anew")

// marker ends the part of docs/objects.md that people write.
const marker = "<!-- What follows is generated from the types: make generate -->\n"

// crdSchema is the part of a CRD's OpenAPI schema that the reference shows.
type crdSchema struct {
	Description string               `json:"description"`
	Type        string               `json:"type"`
	Enum        []string             `json:"enum"`
	Minimum     *int64               `json:"minimum"`
	Maximum     *int64               `json:"maximum"`
	Required    []string             `json:"required"`
	Properties  map[string]crdSchema `json:"properties"`
	Items       *crdSchema           `json:"items"`
	IntOrString bool                 `json:"x-kubernetes-int-or-string"`
}

// TestDocs keeps the reference of our kinds what the CRDs say.
func TestDocs(t *testing.T) {
	const path = "../../docs/objects.md"
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(old), marker)
	if !ok {
		t.Fatalf("%s has no line %q", path, marker)
	}
	var b strings.Builder
	b.WriteString(head + marker)
	for _, crd := range []string{"virtualrouters", "l4services", "settings"} {
		reference(t, &b, "../../manifests/crds/kaas.harmony_"+crd+".yaml")
	}
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(string(old), b.String()); diff != "" {
		t.Errorf("%s is not what the CRDs say: run make generate (-have +want)\n%s", path, diff)
	}
}

// reference writes the section of one CRD.
func reference(t *testing.T, b *strings.Builder, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Schema struct{ OpenAPIV3Schema crdSchema }
			}
		}
	}
	if err := yaml.Unmarshal(data, &crd); err != nil {
		t.Fatal(err)
	}
	v := crd.Spec.Versions[0]
	fmt.Fprintf(b, "\n## %s\n\n`apiVersion: kaas.harmony/%s`, `kind: %s`\n\n%s\n", crd.Spec.Names.Kind, v.Name, crd.Spec.Names.Kind, oneLine(v.Schema.OpenAPIV3Schema.Description))
	b.WriteString("\n| field | type | meaning |\n|---|---|---|\n")
	rows(b, "spec", v.Schema.OpenAPIV3Schema.Properties["spec"])
}

func rows(b *strings.Builder, path string, s crdSchema) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		field := path + "." + name
		needed := ""
		if slices.Contains(s.Required, name) {
			needed = ", required"
		}
		fmt.Fprintf(b, "| `%s` | %s%s | %s |\n", field, typeName(p), needed, oneLine(p.Description))
		if p.Items != nil {
			rows(b, field+"[]", *p.Items)
		} else {
			rows(b, field, p)
		}
	}
}

func typeName(s crdSchema) string {
	switch {
	case s.Items != nil:
		return "list"
	case s.IntOrString:
		return "integer or string"
	case len(s.Enum) > 0:
		return strings.Join(s.Enum, ", ")
	case s.Minimum != nil && s.Maximum != nil:
		return fmt.Sprintf("%d to %d", *s.Minimum, *s.Maximum)
	}
	return cmp.Or(s.Type, "any")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// TestDefaults pins every default that a comment states.
func TestDefaults(t *testing.T) {
	tests := []struct {
		name string
		got  any
		want string
	}{
		{"VirtualRouter", VirtualRouterSpec{}.WithDefaults(),
			`{"vrid":0,"interface":"","addresses":null,"priority":100,"version":3,"checksum":"PseudoHeader","authentication":{"type":"None"},"advertInterval":"1s","preempt":{"mode":"Always"},"transport":{"mode":"Multicast"},` +
				`"downTimerAdverts":3,"startupDelay":"0s","linkUpDelay":"0s","announce":{"repeat":5,"delay":"5s","refresh":"1m0s"},"firewall":{"mode":"Open"}}`},
		{"VirtualRouter with HMAC", VirtualRouterSpec{Authentication: Authentication{Type: AuthenticationHMAC, Keys: []AuthenticationKey{{ID: 7}}}}.WithDefaults().Authentication,
			`{"type":"HMAC","keys":[{"id":7,"secret":{"namespace":"default","name":"","key":""}}],"activeKey":7,"mode":"Enforce"}`},
		{"VirtualRouter with a password", VirtualRouterSpec{Authentication: Authentication{Type: AuthenticationAH, Password: &SecretKeyReference{}}}.WithDefaults().Authentication,
			`{"type":"AH","password":{"namespace":"default","name":"","key":""}}`},
		{"Track", VirtualRouterSpec{Track: []Track{{File: &TrackFile{}, Process: &TrackProcess{}, HTTP: &TrackHTTP{}, KubeAPIServer: &TrackKubeAPIServer{}}}}.WithDefaults().Track,
			`[{"name":"","interval":"1s","timeout":"1s","rise":2,"fall":3,"file":{"path":"","content":"Exists"},"process":{"min":1,"max":0},` +
				`"http":{"url":"","minStatus":200,"maxStatus":399},"kubeAPIServer":{"port":6443}}]`},
		{"L4Service", L4ServiceSpec{Port: 7, RealServers: []RealServer{{}}, Service: &ServiceReference{}}.WithDefaults(),
			`{"port":7,"protocol":"TCP","scheduler":"wlc","forwarding":"NAT","masquerade":true,` +
				`"realServers":[{"address":"","port":7,"weight":1}],"service":{"namespace":"default","name":"","port":0},` +
				`"check":{"type":"TCP","interval":"2s","timeout":"1s","rise":2,"fall":3}}`},
		{"L4Service with UDP and DR", L4ServiceSpec{Protocol: ProtocolUDP, Forwarding: ForwardingDR}.WithDefaults(),
			`{"protocol":"UDP","scheduler":"wlc","forwarding":"DR","masquerade":false,` +
				`"check":{"type":"None","interval":"2s","timeout":"1s","rise":2,"fall":3}}`},
		{"Settings", SettingsSpec{}.WithDefaults(), `{"httpPort":80,"httpsPort":443}`},
		{"Settings with a script", SettingsSpec{Scripts: []Script{{}}}.WithDefaults(),
			`{"httpPort":80,"httpsPort":443,"scripts":[{"name":"","command":null,"timeout":"10s"}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(tt.got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(tt.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
