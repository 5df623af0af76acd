package nginxconf

import (
	"cmp"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// contentNames finds the names that contentName makes. It is never changed.
var contentNames = regexp.MustCompile(`[0-9a-f]{32}\.(?:conf|crt|key)`)

// blame finds what NGINX complains about: its message names the file, and every
// file has owners.
func blame(message string, files []File) []Part {
	var parts []Part
	for _, name := range contentNames.FindAllString(message, -1) {
		i, found := slices.BinarySearchFunc(files, name, func(f File, n string) int { return strings.Compare(f.Name, n) })
		if found {
			parts = append(parts, files[i].Owners...)
		}
	}
	slices.SortFunc(parts, func(a, b Part) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID)) })
	return slices.Compact(parts)
}

// without returns the configuration with the parts taken out: a site is not
// served, a site without its certificate refuses handshakes, an upstream without
// endpoints answers 503.
func (c Config) without(parts []Part) Config {
	out := c
	out.Sites = slices.DeleteFunc(slices.Clone(c.Sites), func(s Site) bool {
		return slices.Contains(parts, Part{SitePart, s.Host})
	})
	for i, s := range out.Sites {
		if slices.Contains(parts, Part{Certificate, s.Host}) {
			out.Sites[i].TLS = &TLS{}
		}
	}
	out.Upstreams = slices.Clone(c.Upstreams)
	for i, u := range out.Upstreams {
		if slices.Contains(parts, Part{UpstreamPart, u.ID}) {
			out.Upstreams[i].Endpoints = nil
		}
	}
	return out
}

// isolated tells the objects behind the parts why they were taken out.
func (c Config) isolated(parts []Part, reason string) []Fault {
	var faults []Fault
	for _, p := range parts {
		if p.Kind == UpstreamPart {
			faults = append(faults, Fault{Object: upstreamObject(p.ID), Reason: reason + "; its locations answer 503"})
		}
		for _, s := range c.Sites {
			switch {
			case s.Host != p.ID || p.Kind == UpstreamPart:
			case p.Kind == Certificate:
				faults = append(faults, siteFaults(s, reason+"; its handshakes are refused")...)
			default:
				faults = append(faults, siteFaults(s, reason+"; it is not served")...)
			}
		}
	}
	return faults
}

// firstBad finds a site that makes a configuration fail, by halving: works says
// whether the one with these sites alone does. It is nil when no site is needed
// for the failure.
func firstBad(c Config, works func(Config) bool) []Part {
	sites := slices.SortedFunc(slices.Values(c.Sites), func(a, b Site) int { return cmp.Compare(a.Host, b.Host) })
	some := c
	n := sort.Search(len(sites)+1, func(n int) bool {
		some.Sites = sites[:n]
		return !works(some)
	})
	if n == 0 || n > len(sites) {
		return nil
	}
	return []Part{{SitePart, sites[n-1].Host}}
}
