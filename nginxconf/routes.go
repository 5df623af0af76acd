package nginxconf

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// place is where a location block stands: "location = path" or "location path".
type place struct {
	path  string
	exact bool
}

// routes turns a site's locations into NGINX's. A prefix matches by path
// element, so /aaa stands at "= /aaa" and at "/aaa/" and leaves /aaaccc alone;
// NGINX then picks the exact place first and the longest of the others.
func routes(locations []Location) (map[place]Location, []Fault) {
	sorted := slices.Clone(locations)
	slices.SortFunc(sorted, func(a, b Location) int {
		return cmp.Or(-cmp.Compare(a.Match, b.Match), // exact before prefix
			-strings.Compare(a.Path, b.Path), // of /a/ and /a the first is longer, so it wins
			strings.Compare(a.Object, b.Object), strings.Compare(a.Upstream, b.Upstream))
	})
	out := make(map[place]Location, 2*len(sorted))
	var faults []Fault
	for _, l := range sorted {
		path, err := DecodePath(l.Path)
		if err != nil {
			err = fmt.Errorf("path %.100q %w", l.Path, err)
		}
		if err == nil && l.Match > Exact {
			err = fmt.Errorf("path %q: match %d does not exist", l.Path, l.Match)
		}
		if err == nil {
			err = put(out, l, path)
		}
		if err != nil {
			faults = append(faults, Fault{Object: l.Object, Reason: err.Error()})
		}
	}
	return out, faults
}

// put gives l its places, unless another location has them already.
func put(out map[place]Location, l Location, path string) error {
	base := strings.TrimSuffix(path, "/")
	main := place{path: base + "/"}
	if l.Match == Exact {
		main = place{path: path, exact: true}
	}
	if other, taken := out[main]; taken {
		if other.Upstream == l.Upstream {
			return nil
		}
		return fmt.Errorf("path %q is already routed by %s", l.Path, cmp.Or(other.Object, "another location"))
	}
	out[main] = l
	if _, taken := out[place{base, true}]; l.Match == Prefix && base != "" && !taken {
		out[place{base, true}] = l
	}
	return nil
}

// sortedPlaces returns the places in a fixed order: by path, exact first.
func sortedPlaces(m map[place]Location) []place {
	return slices.SortedFunc(maps.Keys(m), func(a, b place) int {
		if a.path == b.path && a.exact != b.exact {
			if a.exact {
				return -1
			}
			return 1
		}
		return strings.Compare(a.path, b.path)
	})
}
