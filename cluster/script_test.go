package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScripts(t *testing.T) {
	settings := func(scripts string) string {
		return object("Settings", "default", "httpPort: 8080, scripts: ["+scripts+"]")
	}
	const kept = "NGINX 80" // what is used when the Settings are refused
	for _, tt := range []struct {
		name     string
		scripts  string
		want     []string
		problems []string
	}{
		{"sorted, with defaults", "{name: b, command: [/b]}, {name: a, command: [/a, x y], user: u, group: '4', timeout: 250ms}",
			[]string{`a ["/a" "x y"] u 4 250ms`, `b ["/b"]   10s`}, nil},
		{"the same name", "{name: a, command: [/a]}, {name: a, command: [/b]}", nil,
			[]string{`error Duplicate a.yaml:5: Settings default spec.scripts[1].name: "a" is there already`}},
		{"name", "{name: a/b, command: [/a]}", nil, []string{`error Invalid a.yaml:5: Settings default spec.scripts[0].name: "a/b": ...`}},
		{"search path", "{name: a, command: [sh]}", nil,
			[]string{`error Invalid a.yaml:5: Settings default spec.scripts[0].command: "sh" is not an absolute path: no search path is used, so write all of it`}},
		{"no command", "{name: a}", nil, []string{`error Invalid a.yaml:5: Settings default spec.scripts[0].command: command needs a program`}},
		{"user and group", "{name: a, command: [/a], user: 'a b', group: ../x}", nil, []string{
			`error Invalid a.yaml:5: Settings default spec.scripts[0].group: "../x" is not the name of a group, nor its number`,
			`error Invalid a.yaml:5: Settings default spec.scripts[0].user: "a b" is not the name of a user, nor its number`}},
		{"timeout", "{name: a, command: [/a], timeout: 1ms}", nil,
			[]string{`error OutOfRange a.yaml:5: Settings default spec.scripts[0].timeout: must be from 10ms to 1h0m0s, not 1ms`}},
		{"too many", strings.Repeat("{name: a, command: [/a]}, ", maxScripts+1), nil,
			[]string{`error TooLarge a.yaml:5: Settings default spec.scripts: at most 256 scripts, not 257`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, problems := read(t, map[string]string{"a.yaml": settings(tt.scripts)})
			state, more := Translate(s)
			var got []string
			for _, s := range state.Scripts {
				got = append(got, fmt.Sprintf("%s %q %s %s %v", s.Name, s.Command, s.User, s.Group, s.Timeout))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			told := lines(append(problems, more...))
			for i := range told {
				if before, _, cut := strings.Cut(told[i], `"a/b": `); cut {
					told[i] = before + `"a/b": ...`
				}
			}
			if diff := cmp.Diff(tt.problems, told); diff != "" {
				t.Error(diff)
			}
			if refused := len(tt.problems) > 0; refused != (fmt.Sprintf("NGINX %d", state.NGINX.HTTPPort) == kept) {
				t.Errorf("HTTP port %d", state.NGINX.HTTPPort)
			}
		})
	}
}

// TestScriptsFromKubernetes: an object that no file holds brings no command,
// and the rest of it is used.
func TestScriptsFromKubernetes(t *testing.T) {
	state, problems := Translate(snapshot(t, object("Settings", "default", "httpPort: 8080, scripts: [{name: a, command: [/a]}]")))
	if len(state.Scripts) > 0 || state.NGINX.HTTPPort != 8080 {
		t.Errorf("scripts %v, HTTP port %d", state.Scripts, state.NGINX.HTTPPort)
	}
	want := []string{"error Unsupported Settings default spec.scripts: only a file or folder may declare scripts, not Kubernetes: none of them is used"}
	if diff := cmp.Diff(want, lines(problems)); diff != "" {
		t.Error(diff)
	}
}
