package folder

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/source"
)

// write makes files in a new folder, by their paths in it, and returns the folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		put(t, filepath.Join(dir, name), text)
	}
	return dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// load returns the names of the loaded objects and the problems, both without
// the folder's path.
func load(t *testing.T, files map[string]string) (objects, problems []string) {
	t.Helper()
	dir := write(t, files)
	s, found := Load(dir)
	for _, ref := range s.Refs() {
		objects = append(objects, ref.String())
	}
	for _, p := range found {
		problems = append(problems, strings.ReplaceAll(string(p.Severity)+" "+p.Code+" "+p.String(), dir+"/", ""))
	}
	return objects, problems
}

const router = `apiVersion: kaas.harmony/v1alpha1
kind: VirtualRouter
metadata:
  name: edge
spec:
  vrid: 51
  interface: eth0
  addresses: [10.0.0.100/24]
`

func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		name string
		text string
		want []string
	}{
		{"unknown field", router + "  prio: 1\n",
			[]string{"error UnknownField a.yaml:9: VirtualRouter edge spec.prio: unknown field"}},
		{"unknown field, nearly", router + "  vird: 1\n",
			[]string{"error UnknownField a.yaml:9: VirtualRouter edge spec.vird: unknown field, did you mean vrid?"}},
		{"unknown field, wrong case", router + "  VRID: 1\n",
			[]string{"error UnknownField a.yaml:9: VirtualRouter edge spec.VRID: unknown field, did you mean vrid?"}},
		{"every field that is wrong", "apiVersion: kaas.harmony/v1alpha1\nkind: VirtualRouter\nmetadata: {name: edge}\nspec:\n  vrid: one\n  interface: 7\n  addresses: 10.0.0.1\n  advertInterval: fast\n  preempt: []\n",
			[]string{
				"error WrongType a.yaml:5: VirtualRouter edge spec.vrid: must be a whole number of 32 bits, without quotes",
				"error WrongType a.yaml:6: VirtualRouter edge spec.interface: must be text; put it in quotes",
				"error WrongType a.yaml:7: VirtualRouter edge spec.addresses: must be a list",
				`error Invalid a.yaml:8: VirtualRouter edge spec.advertInterval: must be a duration such as "100ms", "5s" or "1m30s"`,
				"error WrongType a.yaml:9: VirtualRouter edge spec.preempt: must be a mapping (key: value)",
			}},
		{"number too large", "apiVersion: kaas.harmony/v1alpha1\nkind: VirtualRouter\nmetadata: {name: edge}\nspec:\n  vrid: 4294967296\n",
			[]string{"error WrongType a.yaml:5: VirtualRouter edge spec.vrid: must be a whole number of 32 bits, without quotes"}},
		{"in a list", "apiVersion: v1\nkind: Service\nmetadata: {name: tea}\nspec:\n  ports:\n  - port: 80\n  - port: 81\n    prot: TCP\n",
			[]string{"error UnknownField a.yaml:8: Service default/tea spec.ports[1].prot: unknown field, did you mean port?"}},
		{"in a map", "apiVersion: v1\nkind: Service\nmetadata:\n  name: tea\n  annotations:\n    a/b: yes\n    c/d: true\n",
			[]string{"error WrongType a.yaml:7: Service default/tea metadata.annotations[c/d]: must be text; put it in quotes"}},
		{"key given twice", router + "  vrid: 52\n",
			[]string{"error Duplicate a.yaml:9: VirtualRouter edge spec.vrid: is given twice"}},
		{"object given twice", router + "---\n" + router,
			[]string{"error Duplicate a.yaml:10: VirtualRouter edge: is there already, in a.yaml:1"}},
		{"not an object", "hello\n",
			[]string{"error Malformed a.yaml:1: is not an object: it needs apiVersion and kind"}},
		{"a list of nothing", "- 1\n",
			[]string{"error Malformed a.yaml:1: is not an object: it needs apiVersion and kind"}},
		{"kind of ours that is not", "apiVersion: kaas.harmony/v1alpha1\nkind: Router\nmetadata: {name: x}\n",
			[]string{`error UnknownKind a.yaml:2: Router default/x kind: "kaas.harmony/v1alpha1" has no kind "Router"`}},
		{"old version of a kind", "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: x}\n",
			[]string{`error UnknownKind a.yaml:1: Ingress default/x apiVersion: "extensions/v1beta1" is not known for this kind: use networking.k8s.io/v1`}},
		{"kind of others", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x, namespace: shop}\nspec: {what: ever}\n",
			[]string{`warning UnknownKind a.yaml:1: Deployment shop/x: objects of "apps/v1" are not used here: ignored`}},
		{"same kind of another group", "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: x}\n",
			[]string{`warning UnknownKind a.yaml:1: Service default/x: objects of "serving.knative.dev/v1" are not used here: ignored`}},
		{"broken in the middle", router + "---\nkind: x\n oops: y\n---\n# nothing\n",
			[]string{"error Malformed a.yaml:11: is not YAML: mapping values are not allowed in this context"}},
		{"unclosed quote", "kind: \"x\nmetadata:\n  name: y\n",
			[]string{"error Malformed a.yaml:1: is not YAML: found unexpected end of stream"}},
		{"unknown anchor", "kind: *hunter2\n",
			[]string{"error Malformed a.yaml:1: is not YAML: unknown anchor ... referenced"}},
		{"alias of itself", "apiVersion: v1\nkind: Service\nmetadata: &m\n  name: x\n  annotations: *m\n",
			[]string{"error TooLarge a.yaml:1: Service default/x: its aliases or its nesting make it too large"}},
		{"hostile name", "apiVersion: apps/v1\nkind: \"a\\n\\eb\"\nmetadata: {name: \"x\\0\"}\n",
			[]string{`warning UnknownKind a.yaml:1: a\n\x1bb default/x\x00: objects of "apps/v1" are not used here: ignored`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, got := load(t, map[string]string{"a.yaml": tt.text})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got)\n%s", diff)
			}
		})
	}
}

func TestLoadReads(t *testing.T) {
	named := func(name string) string { return strings.ReplaceAll(router, "name: edge", "name: "+name) }
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"documents", map[string]string{"a.yaml": "---\n" + named("a") + "---\n\n---\n# only a comment\n--- # here\n" + named("b") + "...\n"},
			[]string{"VirtualRouter a", "VirtualRouter b"}},
		{"separator in a block scalar's place", map[string]string{"a.yaml": "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  annotations:\n    x: |\n      ---\n      y\n"},
			[]string{"Service default/a"}},
		{"windows", map[string]string{"a.yaml": strings.ReplaceAll(named("a")+"---\n"+named("b"), "\n", "\r\n")},
			[]string{"VirtualRouter a", "VirtualRouter b"}},
		{"json", map[string]string{"a.json": "{\n\t\"apiVersion\": \"v1\", \"kind\": \"Service\",\n\t\"metadata\": {\"name\": \"a\"}}"},
			[]string{"Service default/a"}},
		{"List", map[string]string{"a.yaml": "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a, namespace: n}\n"},
			[]string{"Service default/a", "Service n/a"}},
		{"anchors and merge keys", map[string]string{"a.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: &n a, labels: {app: *n}}\nspec:\n  ports:\n  - &p {port: 80, name: x}\n  - <<: *p\n    port: 81\n"},
			[]string{"Service default/a"}},
		{"a whole object, status and all", map[string]string{"a.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: a, creationTimestamp: 2026-01-02T03:04:05Z, uid: x}\nspec: {type: ClusterIP, ports: [{port: 80, targetPort: http}, {port: 81, targetPort: 8081, name: y}]}\nstatus: {loadBalancer: {}}\n"},
			[]string{"Service default/a"}},
		{"nulls", map[string]string{"a.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: a, creationTimestamp: null, labels: ~}\nspec:\n"},
			[]string{"Service default/a"}},
		{"which files", map[string]string{
			"a.yml": named("a"), "sub/deeper/b.yaml": named("b"), "c.txt": "x", ".d.yaml": "x", "e.yaml~": "x",
			"#f.yaml#": "x", ".git/g.yaml": "x", "h.yaml.swp": "x", "empty.yaml": "",
		}, []string{"VirtualRouter a", "VirtualRouter b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, problems := load(t, tt.files)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("objects (-want +got)\n%s", diff)
			}
			if len(problems) > 0 {
				t.Errorf("problems: %q", problems)
			}
		})
	}
}

func TestLoadValues(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": `apiVersion: v1
kind: Service
metadata: {name: a, labels: {app: &n a, on: "yes", also: *n}}
spec:
  ports:
  - &p {port: 0x50, name: x, targetPort: http}
  - {<<: *p, name: y, targetPort: 8_081}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
data: {a: eA==, b: eA==}
stringData: {b: "y"}
`})
	s, problems := Load(dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s.Origins = nil
	s.Services[0].TypeMeta.APIVersion, s.Secrets[0].TypeMeta.APIVersion = "", ""
	got, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"services":[{"kind":"Service","metadata":{"name":"a","namespace":"default","labels":{"also":"a","app":"a","on":"yes"}},` +
		`"spec":{"ports":[{"name":"x","port":80,"targetPort":"http"},{"name":"y","port":80,"targetPort":8081}]},"status":{"loadBalancer":{}}}],` +
		`"secrets":[{"kind":"Secret","metadata":{"name":"s","namespace":"default"},"data":{"a":"eA==","b":"eQ=="}}]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLoadIsolates(t *testing.T) {
	objects, problems := load(t, map[string]string{
		"a.yaml": router + "---\n}{\n---\n" + strings.ReplaceAll(router, "name: edge", "name: second"),
		"b.yaml": strings.ReplaceAll(router, "name: edge", "name: third") + "  nonsense: 1\n",
		"c.yaml": strings.ReplaceAll(router, "name: edge", "name: fourth"),
	})
	if diff := cmp.Diff([]string{"VirtualRouter edge", "VirtualRouter fourth", "VirtualRouter second"}, objects); diff != "" {
		t.Errorf("objects (-want +got)\n%s", diff)
	}
	if len(problems) != 2 {
		t.Errorf("problems: %q", problems)
	}
}

// TestLoadConfigMap reads the layout that the kubelet makes for a mounted
// ConfigMap: links to ..data, which is a link to a folder of its own.
func TestLoadConfigMap(t *testing.T) {
	dir := write(t, map[string]string{"..2026_01/edge.yaml": router})
	for link, target := range map[string]string{"..data": "..2026_01", "edge.yaml": "..data/edge.yaml"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	s, problems := Load(dir)
	if len(s.VirtualRouters) != 1 || len(problems) > 0 {
		t.Errorf("got %d routers and %v", len(s.VirtualRouters), problems)
	}
}

func TestLoadCannotRead(t *testing.T) {
	dir := write(t, map[string]string{"good.yaml": router, "large.yaml": strings.Repeat("#", maxFile+1)})
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("folder", filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	s, problems := Load(filepath.Join(dir, "missing"), dir, filepath.Join(dir, "good.yaml"))
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%v %s", p.Refused, strings.ReplaceAll(p.String(), dir+"/", "")))
	}
	want := []string{
		"true dangling.yaml: cannot be read: no such file or directory",
		"true large.yaml: not read: it has more than 8 MiB",
		"true link.yaml: cannot be read: not a regular file",
		"true missing: cannot be read: no such file or directory",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got)\n%s", diff)
	}
	if len(s.VirtualRouters) != 1 {
		t.Errorf("got %d routers", len(s.VirtualRouters))
	}
}

// TestLoadKeepsSecrets writes Secrets that are wrong in many ways; no problem
// may say what is in them.
func TestLoadKeepsSecrets(t *testing.T) {
	const head = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
	for _, text := range []string{
		head + "data: {password: hunter2}\n",
		head + "data: hunter2\n",
		head + "data: [hunter2]\n",
		head + "data: {password: !!int hunter2}\n",
		head + "data: {password: !hunter2 x}\n",
		head + "data:\n  password: *hunter2\n",
		head + "data:\n  password: \"\\qhunter2\"\n",
		head + "data:\n  password: 'hunter2\n",
		head + "data:\n password: a\n  b: hunter2: x\n",
		head + "type: {a: hunter2}\n",
		head + "immutable: hunter2\n",
		head + "metadata: {name: s, creationTimestamp: hunter2}\n",
		head + "stringData: {password: {a: hunter2}}\n",
	} {
		_, problems := load(t, map[string]string{"a.yaml": text})
		if len(problems) == 0 {
			t.Errorf("accepted:\n%s", text)
		}
		for _, p := range problems {
			if strings.Contains(p, "hunter2") {
				t.Errorf("%s\nsays %s", text, p)
			}
		}
	}
}

// TestLoadAliasBomb expands to 10^6 labels if nobody counts.
func TestLoadAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  managedFields:\n  - fieldsV1:\n      a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 6; i++ {
		fmt.Fprintf(&b, "      a%d: &a%d [*a%d", i, i, i-1)
		b.WriteString(strings.Repeat(fmt.Sprintf(", *a%d", i-1), 9) + "]\n")
	}
	objects, problems := load(t, map[string]string{"a.yaml": b.String()})
	if len(objects) != 0 || len(problems) != 1 || !strings.Contains(problems[0], "TooLarge a.yaml:1: Service default/a: its aliases") {
		t.Errorf("got %q and %q", objects, problems)
	}
}

func TestLocateField(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": router})
	s, _ := Load(dir)
	ref := source.Ref{Kind: "VirtualRouter", Name: "edge"}
	for field, want := range map[string]int{"": 1, "spec.vrid": 6, "spec.addresses[0]": 8, "spec.priority": 5, "spec.transport.peers[3]": 5, "status": 1} {
		if got := s.Locate(source.Problem{Object: ref, Field: field}).Line; got != want {
			t.Errorf("%q: line %d, want %d", field, got, want)
		}
	}
}
