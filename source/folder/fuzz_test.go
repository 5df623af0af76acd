package folder

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/yaml"

	"harmony/source"
)

func seeds(f *testing.F) {
	files, err := filepath.Glob("../../docs/examples/*/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal("no examples", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("a: &a [*a]\n---\n? {}\n: x\n---\n<<: *a\n"))
	f.Add([]byte("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Service, metadata: {name: a, labels: {x: 1_0, y: 0o7, z: .inf}}}]"))
}

// FuzzLoad: no input does harm, every refusal has a place and one line, and an
// object is either refused or there.
func FuzzLoad(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		l := loader{snapshot: source.Snapshot{Origins: make(map[source.Ref]source.Origin)}, fields: make(fieldCache)}
		l.file("f.yaml", data)
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 3*len(data) + 1
		there := make(map[source.Ref]bool)
		for _, ref := range l.snapshot.Refs() {
			there[ref] = true
		}
		for _, p := range l.problems {
			if p.File != "f.yaml" || p.Line < 1 || p.Line > lines || p.Text == "" || p.Code == "" {
				t.Errorf("%#v", p)
			}
			if strings.ContainsAny(p.String(), "\n\r\x00\x1b") {
				t.Errorf("not one clean line: %q", p)
			}
			if p.Refused && p.Code != source.CodeDuplicate && there[p.Object] && !told(l.problems, p.Object, source.CodeDuplicate) {
				// Another object of that name may be there: it is if both were given.
				if strings.Count(string(data), "kind") < 2 {
					t.Errorf("refused, but there: %s", p)
				}
			}
		}
	})
}

func told(problems []source.Problem, ref source.Ref, code string) bool {
	for _, p := range problems {
		if p.Object == ref && p.Code == code {
			return true
		}
	}
	return false
}

// FuzzDecode compares with the library that kubectl reads YAML with: what both
// accept is the same object.
func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		chunks := split(data)
		if len(chunks) != 1 {
			return
		}
		nodes, err := parse(data)
		if err != nil || len(nodes) != 1 {
			return
		}
		l := loader{fields: make(fieldCache)}
		h := headerOf(nodes[0])
		ours, _ := l.target(h.apiVersion, h.Kind)
		theirs, _ := l.target(h.apiVersion, h.Kind)
		if ours == nil {
			return
		}
		r := &source.Report{Object: h.Ref}
		d := &decoder{report: r, fields: l.fields, lines: make(map[string]int)}
		d.value("", nodes[0], reflect.ValueOf(ours).Elem())
		if r.Refused() || yaml.UnmarshalStrict(data, theirs) != nil {
			return
		}
		if diff := cmp.Diff(theirs, ours, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-kubectl +ours)\n%s", diff)
		}
	})
}
