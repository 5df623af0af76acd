package nginxconf

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
)

// Features is what Build must know of the machine and its NGINX.
type Features struct {
	Version Version // at least MinVersion
	Workers int     // worker processes, at least one is run
	User    string  // account of the workers, "" where NGINX is not started by root
	NoIPv6  bool    // the kernel has no IPv6, so nothing listens there
}

// Fault is one part of a Config that was left out, and why. Nothing else is
// harmed by it.
type Fault struct {
	Object string `json:"object,omitempty"` // "Ingress default/cafe", if one is known
	Host   string `json:"host,omitempty"`   // the site
	Reason string `json:"reason"`
}

// PartKind says what a Part is.
type PartKind uint8

// The parts that a Config is made of, which can fail one by one.
const (
	SitePart     PartKind = iota // ID is the host
	Certificate                  // ID is the host
	UpstreamPart                 // ID is the upstream's
)

// Part names one part of a Config.
type Part struct {
	Kind PartKind
	ID   string
}

// File is one file beside the main one. Its name is made of the hash of its
// content.
type File struct {
	Name   string
	Data   []byte
	Owners []Part // what NGINX's complaints about this file are about
}

// Output is a whole configuration. All names in it are relative: it does not
// depend on the folder it is put in.
type Output struct {
	Generation string // hash over everything; the running NGINX answers it
	Main       []byte // nginx.conf
	Files      []File // sorted by name
}

// WriteTo writes the configuration for people: the main file and those it
// includes. Keys and certificates are left out.
func (o Output) WriteTo(w io.Writer) (int64, error) {
	var b bytes.Buffer
	b.WriteString("# nginx.conf\n")
	b.Write(o.Main)
	for _, f := range o.Files {
		if bytes.HasPrefix(f.Data, []byte("-----BEGIN ")) {
			continue
		}
		b.WriteString("\n# " + f.Name + "\n")
		b.Write(f.Data)
	}
	return b.WriteTo(w)
}

// Build turns a Config into configuration text. What cannot be served is left
// out and told as a Fault; the rest is served. It is pure, and the order of the
// slices in cfg does not matter.
func Build(cfg Config, f Features) (Output, []Fault) { return new(Builder).Build(cfg, f) }

// Builder is Build with a memory: a site that has not changed since the last
// call is not printed again. The zero value is ready; it is not safe for use by
// several goroutines.
type Builder struct {
	sites map[[sha256.Size]byte]siteFiles
}

// Build is as the function Build.
func (b *Builder) Build(cfg Config, f Features) (Output, []Fault) {
	listen, faults := portsOf(cfg)
	ups, more := endpoints(cfg.Upstreams)
	faults = append(faults, more...)
	main := mainFile{env: surroundings{Ports: listen, Features: f}}
	files := map[string]File{}
	fresh := map[[sha256.Size]byte]siteFiles{}
	used := map[string]bool{}
	sites, more := uniqueSites(cfg.Sites)
	faults = append(faults, more...)
	for _, s := range sites {
		got := b.site(s, main.env, ups, fresh)
		faults = append(faults, got.faults...)
		if len(got.files) == 0 {
			continue
		}
		addFiles(files, got.files)
		main.sites = append(main.sites, got.files[0].Name)
		main.hasDefault = main.hasDefault || s.Host == ""
		main.hasDefaultTLS = main.hasDefaultTLS || s.Host == "" && got.takesTLS
		for _, l := range s.Locations {
			used[l.Upstream] = true
		}
	}
	b.sites = fresh
	for _, id := range slices.Sorted(maps.Keys(used)) {
		if len(ups[id]) > 0 {
			file, err := upstreamFile(id, ups[id])
			if err != nil {
				faults = append(faults, Fault{Object: upstreamObject(id), Reason: err.Error()})
				continue
			}
			addFiles(files, []File{file})
			main.upstreams = append(main.upstreams, file.Name)
		}
	}
	out, err := main.finish(files)
	if err != nil {
		faults = append(faults, Fault{Object: "nginx.conf", Reason: err.Error()})
	}
	return out, faults
}

// site prints a site, or finds it in the memory.
func (b *Builder) site(s Site, env surroundings, ups map[string][]netip.AddrPort, fresh map[[sha256.Size]byte]siteFiles) siteFiles {
	env.Live = map[string]bool{}
	for _, l := range s.Locations {
		if eps, known := ups[l.Upstream]; known {
			env.Live[l.Upstream] = len(eps) > 0
		}
	}
	text, err := json.Marshal(struct {
		Site Site
		Env  surroundings
	}{s, env})
	if err != nil { // strings, numbers and bytes: it cannot happen, and the memory is not needed
		return buildSite(s, env)
	}
	key := sha256.Sum256(text)
	got, ok := b.sites[key]
	if !ok {
		got = buildSite(s, env)
	}
	fresh[key] = got
	return got
}

// portsOf returns the ports with their defaults.
func portsOf(cfg Config) (ports, []Fault) {
	p := ports{cmp.Or(cfg.HTTPPort, 80), cmp.Or(cfg.HTTPSPort, 443)}
	if p.HTTP != p.HTTPS {
		return p, nil
	}
	return ports{HTTP: p.HTTP}, []Fault{{Reason: fmt.Sprintf("HTTP and HTTPS cannot both have port %d; HTTPS is off", p.HTTP)}}
}

// uniqueSites sorts the sites and refuses a second one for the same host.
func uniqueSites(sites []Site) ([]Site, []Fault) {
	all := slices.Clone(sites)
	for i, s := range all {
		s.Locations = slices.Clone(s.Locations)
		slices.SortFunc(s.Locations, func(a, b Location) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Match, b.Match),
				cmp.Compare(a.Object, b.Object), cmp.Compare(a.Upstream, b.Upstream))
		})
		all[i] = s
	}
	slices.SortFunc(all, func(a, b Site) int {
		if a.Host != b.Host {
			return cmp.Compare(a.Host, b.Host)
		}
		return compareJSON(a, b)
	})
	var out []Site
	var faults []Fault
	for i, s := range all {
		if i > 0 && s.Host == all[i-1].Host {
			faults = append(faults, siteFaults(s, "another site has the same host")...)
			continue
		}
		out = append(out, s)
	}
	return out, faults
}

// compareJSON gives values of the same host, which should not be, some fixed order.
func compareJSON(a, b any) int {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	if errX != nil || errY != nil {
		return 0
	}
	return bytes.Compare(x, y)
}

// endpoints returns the usable endpoints of every upstream, sorted.
func endpoints(upstreams []Upstream) (map[string][]netip.AddrPort, []Fault) {
	sorted := slices.SortedFunc(slices.Values(upstreams), func(a, b Upstream) int {
		if a.ID != b.ID {
			return cmp.Compare(a.ID, b.ID)
		}
		return compareJSON(a, b)
	})
	out := make(map[string][]netip.AddrPort, len(sorted))
	var faults []Fault
	for _, u := range sorted {
		object := upstreamObject(u.ID)
		if _, taken := out[u.ID]; taken {
			faults = append(faults, Fault{Object: object, Reason: "another upstream has the same ID"})
			continue
		}
		good := []netip.AddrPort{}
		for _, ep := range u.Endpoints {
			ep = netip.AddrPortFrom(ep.Addr().Unmap(), ep.Port())
			if _, err := address(ep).value(); err != nil || ep.Addr().IsUnspecified() || ep.Addr().IsMulticast() {
				faults = append(faults, Fault{Object: object, Reason: fmt.Sprintf("%s cannot be an endpoint", ep)})
				continue
			}
			good = append(good, ep)
		}
		slices.SortFunc(good, netip.AddrPort.Compare)
		out[u.ID] = slices.Compact(good)
	}
	return out, faults
}

// addFiles merges files: the same content has the same name, and all its
// owners. A file's own list of one is full, so that appending copies it.
func addFiles(all map[string]File, more []File) {
	for _, f := range more {
		if old, ok := all[f.Name]; ok {
			f.Owners = append(old.Owners, f.Owners...)
		}
		all[f.Name] = f
	}
}
