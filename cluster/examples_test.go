package cluster

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/source/folder"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestCafe: the examples are without any problem.
func TestCafe(t *testing.T) {
	for _, example := range []string{"cafe", "gateway"} {
		s, problems := folder.Load("../docs/examples/" + example)
		state, more := Translate(s)
		for _, p := range append(problems, more...) {
			t.Error(p)
		}
		if len(state.Routers) == 0 {
			t.Errorf("%s has no virtual router", example)
		}
	}
}

// TestMistakes puts each of the bad examples beside the cafe: it is refused with
// file, line and reason, just as written in the golden file, and the plan of
// the cafe stays in the plan as it was.
func TestMistakes(t *testing.T) {
	const golden = "testdata/mistakes.txt"
	files, err := filepath.Glob("../docs/examples/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	cafe, _ := folder.Load("../docs/examples/cafe")
	want := planText(t, cafe)
	var out strings.Builder
	for _, file := range files {
		s, problems := folder.Load("../docs/examples/cafe", file)
		state, more := Translate(s)
		problems = append(problems, more...)
		if len(problems) == 0 {
			t.Errorf("%s: nothing said", file)
		}
		for _, p := range problems {
			out.WriteString(strings.TrimPrefix(p.String(), "../") + "\n")
		}
		// What is good in the file, such as the neighbour of a broken document,
		// has its part; what is bad has none.
		state.Routers = state.Routers[:2]
		if i := len(state.NGINX.Sites); i > 1 {
			state.NGINX.Sites = state.NGINX.Sites[:1]
		}
		if diff := cmp.Diff(want, stateText(t, state)); diff != "" {
			t.Errorf("%s changed the cafe\n%s", file, diff)
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), out.String()); diff != "" {
		t.Errorf("(-golden +got)\n%s", diff)
	}
}
