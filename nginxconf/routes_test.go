package nginxconf

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// nginxPicks is how NGINX chooses among locations without regular expressions:
// the exact one, else the longest prefix of the text.
func nginxPicks(places map[place]Location, request string) string {
	if l, ok := places[place{request, true}]; ok {
		return l.Upstream
	}
	best, by := "", "404"
	for p, l := range places {
		if !p.exact && strings.HasPrefix(request, p.path) && len(p.path) > len(best) {
			best, by = p.path, l.Upstream
		}
	}
	return by
}

// kubernetesPicks is how Ingress v1 says a path is chosen: exact before prefix,
// prefixes by path element, the longest of them.
func kubernetesPicks(locations []Location, request string) string {
	best, by := "", "404"
	for _, l := range locations {
		if l.Match == Exact {
			if l.Path == request {
				return l.Upstream
			}
			continue
		}
		base := strings.TrimSuffix(l.Path, "/")
		if (request == base || strings.HasPrefix(request, base+"/")) && len(l.Path) > len(best) {
			best, by = l.Path, l.Upstream
		}
	}
	return by
}

func TestRoutes(t *testing.T) {
	prefix := func(paths ...string) (l []Location) {
		for _, p := range paths {
			l = append(l, Location{Path: p, Upstream: p})
		}
		return l
	}
	exact := func(p string) Location { return Location{Path: p, Match: Exact, Upstream: "exact " + p} }
	for _, tc := range []struct {
		name      string
		locations []Location
		want      map[string]string // request to upstream
	}{
		{"nothing", nil, map[string]string{"/": "404", "/x": "404"}},
		{"root", prefix("/"), map[string]string{"/": "/", "/x/y": "/"}},
		{"exact", []Location{exact("/foo")}, map[string]string{"/foo": "exact /foo", "/foo/": "404", "/FOO": "404", "/foo/x": "404"}},
		{"exact with a slash", []Location{exact("/foo/")}, map[string]string{"/foo": "404", "/foo/": "exact /foo/"}},
		{"exact root", []Location{exact("/")}, map[string]string{"/": "exact /", "/x": "404"}},
		{"by element", prefix("/aaa"), map[string]string{"/aaa": "/aaa", "/aaa/": "/aaa", "/aaa/ccc": "/aaa", "/aaaccc": "404", "/AAA": "404"}},
		{"trailing slash", prefix("/aaa/bbb/"), map[string]string{"/aaa/bbb": "/aaa/bbb/", "/aaa/bbb/": "/aaa/bbb/", "/aaa/bbbx": "404"}},
		{"longest", prefix("/", "/aaa", "/aaa/bbb"), map[string]string{"/aaa/bbb": "/aaa/bbb", "/aaa/bb": "/aaa", "/aa": "/"}},
		{"exact before prefix", append(prefix("/foo"), exact("/foo")), map[string]string{"/foo": "exact /foo", "/foo/": "/foo", "/foo/x": "/foo"}},
		{"exact inside a prefix", append(prefix("/foo"), exact("/foo/")), map[string]string{"/foo": "/foo", "/foo/": "exact /foo/", "/foo/x": "/foo"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			places, faults := routes(tc.locations)
			if len(faults) > 0 {
				t.Error(faults)
			}
			for request, want := range tc.want {
				if got := nginxPicks(places, request); got != want {
					t.Errorf("%s goes to %s, want %s", request, got, want)
				}
				if got := kubernetesPicks(tc.locations, request); got != want {
					t.Errorf("the test's own model sends %s to %s, want %s", request, got, want)
				}
			}
		})
	}
}

func TestRoutesLikeKubernetes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	somePath := func() string {
		var b strings.Builder
		for range r.IntN(4) {
			b.WriteString("/" + []string{"a", "b", "aa"}[r.IntN(3)])
		}
		if b.Len() == 0 || r.IntN(3) == 0 {
			b.WriteString("/")
		}
		return b.String()
	}
	for range 2000 {
		var locations []Location
		seen := map[Location]bool{}
		for range r.IntN(6) {
			l := Location{Path: somePath(), Match: Match(r.IntN(2))}
			if !seen[l] {
				seen[l] = true
				l.Upstream = l.Path + []string{" prefix", " exact"}[l.Match]
				locations = append(locations, l)
			}
		}
		places, _ := routes(locations)
		for range 20 {
			request := somePath()
			if got, want := nginxPicks(places, request), kubernetesPicks(locations, request); got != want {
				t.Fatalf("%+v: %s goes to %q, want %q", locations, request, got, want)
			}
		}
	}
}

func TestRoutesTaken(t *testing.T) {
	for _, tc := range []struct {
		name      string
		locations []Location
		faults    []Fault
		request   string
		want      string
	}{
		{"twice the same", []Location{{Path: "/a", Upstream: "x", Object: "A"}, {Path: "/a", Upstream: "x", Object: "B"}}, nil, "/a", "x"},
		{"the first object wins", []Location{{Path: "/a", Upstream: "x", Object: "B"}, {Path: "/a", Upstream: "y", Object: "A"}},
			[]Fault{{Object: "B", Reason: `path "/a" is already routed by A`}}, "/a", "y"},
		{"a slash is longer", []Location{{Path: "/a", Upstream: "x", Object: "A"}, {Path: "/a/", Upstream: "y", Object: "B"}},
			[]Fault{{Object: "A", Reason: `path "/a" is already routed by B`}}, "/a", "y"},
		{"escaped the same", []Location{{Path: "/a", Match: Exact, Upstream: "x", Object: "B"}, {Path: "/%61", Match: Exact, Upstream: "y"}},
			[]Fault{{Object: "", Reason: `path "/%61" is already routed by B`}}, "/a", "x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			places, faults := routes(tc.locations)
			if diff := cmp.Diff(tc.faults, faults); diff != "" {
				t.Errorf("faults -want +got:\n%s", diff)
			}
			if got := nginxPicks(places, tc.request); got != tc.want {
				t.Errorf("%s goes to %s, want %s", tc.request, got, tc.want)
			}
		})
	}
}
