package cluster

import (
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation"

	"harmony/api/v1alpha1"
	"harmony/check"
	"harmony/script"
	"harmony/source"
	"harmony/vrrp"
)

// Bounds of what a router tracks.
const (
	maxTrackers  = 64
	maxProcesses = 100_000
	maxPath      = 4096 // PATH_MAX
	maxURL       = 2048
	maxName      = 253
)

// Tracker is one thing that a router depends on.
type Tracker struct {
	Name   string
	Weight int // 0: the router is in FAULT while it is down
	// Reverse turns round what Weight says.
	Reverse bool
	Check   check.Spec
}

// trackers returns what spec tracks, in the user's order: what checks look at,
// and interfaces, which the election itself follows. A tracker that names a
// script which is not declared is left out: it is the mistake of another object,
// and must not take addresses away.
func (t *translator) trackers(r *source.Report, spec v1alpha1.VirtualRouterSpec) (out []Tracker, links []vrrp.TrackInterface) {
	const field = "spec.track"
	if len(spec.Track) > maxTrackers {
		r.Refuse(field, source.CodeTooLarge, "at most %d, not %d", maxTrackers, len(spec.Track))
		return nil, nil
	}
	names := make(map[string]bool)
	for i := range spec.Track {
		track, at := &spec.Track[i], source.At(field, i)
		r.Grammar(at+".name", track.Name, validation.IsDNS1123Label)
		if names[track.Name] {
			r.Refuse(at+".name", source.CodeDuplicate, "%s is there already", source.Quote(track.Name))
		}
		names[track.Name] = true
		r.Range(at+".weight", track.Weight, -253, 253)
		tracker := Tracker{Name: track.Name, Weight: int(track.Weight), Reverse: track.Reverse, Check: trackCheck(r, at, track)}
		if tracker.Check.Type == check.Script && !t.declared(tracker.Check.Name) {
			r.Error(at+".script", source.CodeNotFound, "no Settings declare a script %s: not tracked", source.Quote(track.Script))
			continue
		}
		if track.Interface != nil {
			links = append(links, trackInterface(r, at+".interface", track))
			continue
		}
		out = append(out, tracker)
	}
	ownerWeights(r, spec)
	return out, links
}

func trackInterface(r *source.Report, field string, t *v1alpha1.Track) vrrp.TrackInterface {
	interfaceName(r, field+".name", t.Interface.Name)
	duration(r, field+".upDelay", t.Interface.UpDelay, 0, maxDelay, time.Millisecond)
	duration(r, field+".downDelay", t.Interface.DownDelay, 0, maxDelay, time.Millisecond)
	return vrrp.TrackInterface{
		Interface: t.Interface.Name, Weight: int(t.Weight), Reverse: t.Reverse,
		UpDelay: t.Interface.UpDelay.Duration, DownDelay: t.Interface.DownDelay.Duration,
	}
}

func (t *translator) declared(name string) bool {
	return slices.ContainsFunc(t.state.Scripts, func(s script.Script) bool { return s.Name == name })
}

// ownerWeights warns of weights that have no effect.
func ownerWeights(r *source.Report, spec v1alpha1.VirtualRouterSpec) {
	owner := *spec.Priority == 255 || slices.ContainsFunc(spec.Priorities, func(p v1alpha1.NodePriority) bool { return p.Priority == 255 })
	for i, t := range spec.Track {
		if owner && t.Weight != 0 {
			r.Warn(source.At("spec.track", i)+".weight", source.CodeConflict, "has no effect where the priority is 255: the address owner's never changes")
		}
	}
}

// trackCheck returns the check of a tracker.
func trackCheck(r *source.Report, at string, t *v1alpha1.Track) check.Spec {
	r.Range(at+".rise", *t.Rise, 1, 100)
	r.Range(at+".fall", *t.Fall, 1, 100)
	duration(r, at+".interval", t.Interval, minInterval, maxInterval, time.Microsecond)
	duration(r, at+".timeout", t.Timeout, time.Millisecond, maxInterval, time.Microsecond)
	spec := check.Spec{
		Interval: t.Interval.Duration, Timeout: t.Timeout.Duration,
		Rise: int(*t.Rise), Fall: int(*t.Fall), Eager: true,
	}
	probes := 0
	is := func(there bool, read func()) {
		if there {
			probes++
			read()
		}
	}
	is(t.Interface != nil, func() {}) // trackInterface reads it
	is(t.Script != "", func() { trackScript(r, at+".script", t.Script, &spec) })
	is(t.File != nil, func() { trackFile(r, at+".file", t.File, &spec) })
	is(t.Process != nil, func() { trackProcess(r, at+".process", t.Process, &spec) })
	is(t.HTTP != nil, func() { trackHTTP(r, at+".http", t.HTTP, &spec) })
	is(t.TCP != nil, func() { trackTCP(r, at+".tcp", t.TCP, &spec) })
	is(t.GRPC != nil, func() { trackGRPC(r, at+".grpc", t.GRPC, &spec) })
	is(t.NGINX != nil, func() { spec.Type = check.NGINX })
	is(t.KubeAPIServer != nil, func() { trackKubeAPIServer(r, at+".kubeAPIServer", t.KubeAPIServer, &spec) })
	if probes != 1 {
		r.Refuse(at, source.CodeRequired, "exactly one of interface, script, file, process, http, tcp, grpc, nginx and kubeAPIServer is needed, not %d", probes)
	}
	return spec
}

func trackScript(r *source.Report, field, name string, to *check.Spec) {
	r.Grammar(field, name, validation.IsDNS1123Label)
	to.Type, to.Name = check.Script, name
}

func trackFile(r *source.Report, field string, f *v1alpha1.TrackFile, to *check.Spec) {
	filePath(r, field+".path", f.Path)
	to.Type, to.Name = check.File, f.Path
	switch f.Content {
	case v1alpha1.FileExists:
	case v1alpha1.FileNumber:
		to.Type = check.Number
	default:
		r.Refuse(field+".content", source.CodeInvalid, "must be Exists or Number, not %s", source.Quote(string(f.Content)))
	}
}

func trackProcess(r *source.Report, field string, p *v1alpha1.TrackProcess, to *check.Spec) {
	to.Type, to.Name, to.Min, to.Max = check.Process, p.Name, int(*p.Min), int(*p.Max)
	switch {
	case (p.Name == "") == (p.PIDFile == ""):
		r.Refuse(field, source.CodeRequired, "exactly one of name and pidFile is needed")
	case p.PIDFile != "":
		filePath(r, field+".pidFile", p.PIDFile)
		if *p.Min != 1 || *p.Max != 0 {
			r.Refuse(field+".pidFile", source.CodeInvalid, "names one process: min and max belong to name, so remove them")
		}
		to.Type, to.Name, to.Min = check.PIDFile, p.PIDFile, 0
	case strings.Contains(p.Name, "/") || !printable(p.Name, 255):
		r.Refuse(field+".name", source.CodeInvalid, "%s is not the name of a program's file, without its folder", source.Quote(p.Name))
	}
	r.Range(field+".min", *p.Min, 0, maxProcesses)
	r.Range(field+".max", *p.Max, 0, maxProcesses)
	if *p.Max != 0 && *p.Max < *p.Min {
		r.Refuse(field+".max", source.CodeOutOfRange, "must be 0 or at least min, %d, not %d", *p.Min, *p.Max)
	}
}

func trackHTTP(r *source.Report, field string, h *v1alpha1.TrackHTTP, to *check.Spec) {
	to.Type = check.HTTP
	to.HTTP = check.Request{Host: h.Host, MinStatus: int(*h.MinStatus), MaxStatus: int(*h.MaxStatus)}
	trackURL(r, field+".url", h.URL, to)
	if h.Host != "" {
		if u, err := url.Parse("http://" + h.Host); err != nil || u.Host != h.Host || !printable(h.Host, maxName) {
			r.Refuse(field+".host", source.CodeInvalid, "%s is not a host, with or without port", source.Quote(h.Host))
		}
	}
	r.Range(field+".minStatus", *h.MinStatus, 100, 599)
	r.Range(field+".maxStatus", *h.MaxStatus, 100, 599)
	if *h.MaxStatus < *h.MinStatus {
		r.Refuse(field+".maxStatus", source.CodeOutOfRange, "must be at least minStatus, %d, not %d", *h.MinStatus, *h.MaxStatus)
	}
	if h.TLS != nil && !to.TLS.On {
		r.Refuse(field+".tls", source.CodeInvalid, "belongs to https: change the url, or remove it")
	}
	if to.TLS.On {
		to.TLS = verification(r, field+".tls", h.TLS)
	}
}

// trackURL reads a URL whose host is an IP address.
func trackURL(r *source.Report, field, text string, to *check.Spec) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(text) > maxURL {
		r.Refuse(field, source.CodeInvalid, "%s is not a URL of http or https with at most %d bytes", source.Quote(text), maxURL)
		return
	}
	if u.User != nil || u.Fragment != "" || u.RawFragment != "" {
		r.Refuse(field, source.CodeInvalid, "%s has a user or a fragment: neither is sent", source.Quote(text))
	}
	to.TLS.On = u.Scheme == "https"
	to.HTTP.Path = u.RequestURI()
	port := uint16(80)
	if to.TLS.On {
		port = 443
	}
	if u.Port() != "" {
		n, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || n == 0 {
			r.Refuse(field, source.CodeOutOfRange, "%s has no port from 1 to 65535", source.Quote(text))
		}
		port = uint16(n)
	}
	to.Target = netip.AddrPortFrom(trackAddress(r, field, u.Hostname()), port)
}

func trackTCP(r *source.Report, field string, t *v1alpha1.TrackTCP, to *check.Spec) {
	to.Type, to.Target = check.TCP, trackTarget(r, field, t.Address, t.Port)
}

func trackGRPC(r *source.Report, field string, g *v1alpha1.TrackGRPC, to *check.Spec) {
	to.Type, to.Target, to.Name = check.GRPC, trackTarget(r, field, g.Address, g.Port), g.Service
	if g.Service != "" && !printable(g.Service, maxName) {
		r.Refuse(field+".service", source.CodeInvalid, "%s is not the name of a service", source.Quote(g.Service))
	}
	if g.TLS != nil {
		to.TLS = verification(r, field+".tls", g.TLS)
	}
}

// trackKubeAPIServer asks for /readyz, which needs no account (the ClusterRole
// system:public-info-viewer). kubeadm's certificates are for the name
// kubernetes, not for 127.0.0.1.
func trackKubeAPIServer(r *source.Report, field string, k *v1alpha1.TrackKubeAPIServer, to *check.Spec) {
	to.Type, to.Target = check.HTTP, trackTarget(r, field, "127.0.0.1", *k.Port)
	to.HTTP = check.Request{Path: "/readyz", MinStatus: 200, MaxStatus: 200}
	to.TLS = check.TLS{On: true}
	if k.CA != "" {
		filePath(r, field+".ca", k.CA)
		to.TLS = check.TLS{On: true, Verify: true, CA: k.CA, Name: "kubernetes"}
	}
}

// verification reads how a certificate is verified; nil is the default.
func verification(r *source.Report, field string, t *v1alpha1.TrackTLS) check.TLS {
	if t == nil {
		return check.TLS{On: true, Verify: true}
	}
	if t.Insecure && (t.CA != "" || t.Name != "") {
		r.Refuse(field+".insecure", source.CodeInvalid, "accepts any certificate: remove it, or ca and name")
	}
	if t.CA != "" {
		filePath(r, field+".ca", t.CA)
	}
	if t.Name != "" {
		r.Grammar(field+".name", t.Name, validation.IsDNS1123Subdomain)
	}
	return check.TLS{On: true, Verify: !t.Insecure, CA: t.CA, Name: t.Name}
}

func trackTarget(r *source.Report, field, address string, port int32) netip.AddrPort {
	r.Port(field+".port", port)
	return netip.AddrPortFrom(trackAddress(r, field+".address", address), uint16(port))
}

// trackAddress parses an address that can be connected to, loopback included.
func trackAddress(r *source.Report, field, text string) netip.Addr {
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		r.Refuse(field, source.CodeInvalid, "%s is not an IP address: names are not resolved", source.Quote(text))
		return netip.Addr{}
	case addr.Is4In6() || addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast():
		r.Refuse(field, source.CodeOutOfRange, "%s is not an address of one host", source.Quote(text))
	}
	return addr
}

// filePath refuses what is not the whole path of a file.
func filePath(r *source.Report, field, name string) {
	if !path.IsAbs(name) || path.Clean(name) != name || !printable(name, maxPath) {
		r.Refuse(field, source.CodeInvalid, "%s is not an absolute path without . and .. in it", source.Quote(name))
	}
}

// printable reports whether text is printable and of 1 to most bytes.
func printable(text string, most int) bool {
	return text != "" && len(text) <= most && strings.IndexFunc(text, func(c rune) bool { return !unicode.IsPrint(c) || c == unicode.ReplacementChar }) < 0
}
