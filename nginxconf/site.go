package nginxconf

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
)

// acmePath is where an ACME client answers its challenges (RFC 8555 §8.3). It
// stays on plain HTTP, or a first certificate could never be issued.
const acmePath = "/.well-known/acme-challenge/"

// ports is where NGINX listens; https is 0 when there is nothing to listen on.
type ports struct{ HTTP, HTTPS uint16 }

// surroundings is what else decides a site's configuration. Its fields are
// exported for the key of the cache only.
type surroundings struct {
	Ports    ports
	Features Features
	Live     map[string]bool // upstreams of this site: false without endpoints, absent if unknown
}

// siteFiles is what one site becomes.
type siteFiles struct {
	files    []File
	faults   []Fault
	takesTLS bool // it answers handshakes
}

// buildSite prints one site. A fault of the whole site gives no files.
func buildSite(s Site, env surroundings) siteFiles {
	var out siteFiles
	if err := checkHost(s.Host); err != nil {
		return siteFiles{faults: siteFaults(s, err.Error())}
	}
	places, faults := routes(s.Locations)
	for i := range faults {
		faults[i].Host = s.Host
	}
	out.faults = append(faults, unknownUpstreams(s, env)...)
	var pair []directive
	if s.TLS != nil && (len(s.TLS.Certificate) > 0 || len(s.TLS.Key) > 0) {
		chain, key, err := cleanPair(*s.TLS)
		if err != nil {
			out.faults = append(out.faults, siteFaults(s, err.Error()+"; its handshakes are refused")...)
		} else {
			owner := []Part{{Certificate, s.Host}}
			crt := File{Name: contentName(chain, ".crt"), Data: chain, Owners: owner}
			pem := File{Name: contentName(key, ".key"), Data: key, Owners: owner}
			out.files = append(out.files, crt, pem)
			pair = []directive{dir(sslCertificate, path(crt.Name)), dir(sslCertificateKey, path(pem.Name))}
		}
	}
	text, err := printTree(servers(s, env, places, pair))
	if err != nil {
		return siteFiles{faults: append(out.faults, siteFaults(s, err.Error())...)}
	}
	conf := File{Name: contentName(text, ".conf"), Data: text, Owners: []Part{{SitePart, s.Host}}}
	out.files = append([]File{conf}, out.files...)
	out.takesTLS = s.TLS != nil && env.Ports.HTTPS != 0
	return out
}

// siteFaults tells every object that has a part in the site.
func siteFaults(s Site, reason string) []Fault {
	seen := map[string]bool{}
	var faults []Fault
	for _, l := range s.Locations {
		if !seen[l.Object] {
			seen[l.Object] = true
			faults = append(faults, Fault{Object: l.Object, Host: s.Host, Reason: reason})
		}
	}
	if len(faults) == 0 {
		faults = []Fault{{Host: s.Host, Reason: reason}}
	}
	return faults
}

func unknownUpstreams(s Site, env surroundings) []Fault {
	var faults []Fault
	for _, l := range s.Locations {
		if _, known := env.Live[l.Upstream]; !known && l.Upstream != "" {
			faults = append(faults, Fault{Object: l.Object, Host: s.Host,
				Reason: upstreamObject(l.Upstream) + " does not exist; " + shown(l.Path) + " answers 503"})
		}
	}
	return faults
}

// upstreamObject is what faults call an upstream.
func upstreamObject(id string) string { return "upstream " + shown(id) }

// shown makes text of the user fit for a line of a log.
func shown(s string) string {
	if len(s) > maxPath || printable(s) != nil {
		return fmt.Sprintf("%.100q", s)
	}
	return s
}

// servers returns the server blocks of a site: one for both ports where they
// answer the same, else one for each.
func servers(s Site, env surroundings, places map[place]Location, pair []directive) []directive {
	content := locations(places, env, "")
	plain, secure := listens(env, s.Host == "", false), listens(env, s.Host == "", true)
	block := func(listen []directive, rest ...directive) directive {
		return dir(server).with(append(append(listen, names(s.Host)...), rest...)...)
	}
	http := content
	if s.Redirect {
		http = append(locations(places, env, acmePath), dir(location, word("/")).with(redirect(env.Ports.HTTPS)))
	}
	switch {
	case s.TLS == nil || env.Ports.HTTPS == 0:
		return []directive{block(plain, http...)}
	case pair == nil: // 421: a browser that reuses a connection of another site shall open its own
		return []directive{block(plain, http...),
			block(secure, dir(sslRejectHandshake, word("on")), dir(returnStatus, number(421)))}
	case s.Redirect:
		return []directive{block(plain, http...), block(secure, append(pair, content...)...)}
	default:
		return []directive{block(append(plain, secure...), append(pair, content...)...)}
	}
}

// listens returns the listen directives of one port, both address families.
func listens(env surroundings, isDefault, tls bool) []directive {
	port, opts := env.Ports.HTTP, []arg(nil)
	if tls {
		port, opts = env.Ports.HTTPS, append(opts, word("ssl"))
		if !env.Features.Version.AtLeast(http2Directive) {
			opts = append(opts, word("http2"))
		}
	}
	if isDefault {
		opts = append(opts, word("default_server"))
	}
	any4 := netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	out := []directive{dir(listen, append([]arg{address(any4)}, opts...)...)}
	if !env.Features.NoIPv6 {
		any6 := netip.AddrPortFrom(netip.IPv6Unspecified(), port)
		out = append(out, dir(listen, append([]arg{address(any6)}, opts...)...))
	}
	return out
}

// names returns the server_name of a host. The catch-all has none: it is the
// default server.
func names(host string) []directive {
	if host == "" {
		return nil
	}
	if parent, wild := strings.CutPrefix(host, "*."); wild {
		return []directive{dir(serverName, oneLabel(parent))}
	}
	return []directive{dir(serverName, literal(host))}
}

// locations returns the location blocks under a path, and for the whole site
// the one that answers 404 for all that is not routed.
func locations(places map[place]Location, env surroundings, under string) []directive {
	var out []directive
	for _, p := range sortedPlaces(places) {
		if !strings.HasPrefix(p.path, under) {
			continue
		}
		args := []arg{literal(p.path)}
		if p.exact {
			args = []arg{word("="), literal(p.path)}
		}
		out = append(out, dir(location, args...).with(answer(places[p], env)))
	}
	if _, routed := places[place{path: "/"}]; !routed && under == "" {
		out = append(out, dir(location, word("/")).with(dir(returnStatus, number(404))))
	}
	return out
}

// answer is the one directive in a location block.
func answer(l Location, env surroundings) directive {
	switch {
	case l.Upstream == "":
		return dir(returnStatus, number(404))
	case !env.Live[l.Upstream]:
		return dir(returnStatus, number(503))
	}
	return dir(proxyPass, joined{word("http://u_"), upstreamName(l.Upstream)})
}

func redirect(https uint16) directive {
	to := joined{word("https://"), varHost, varRequestURI}
	if https = cmp.Or(https, 443); https != 443 {
		to = joined{word("https://"), varHost, word(":"), number(https), varRequestURI}
	}
	return dir(returnStatus, number(308), to)
}

// upstreamName is what an upstream is called in NGINX: no text of the user.
func upstreamName(id string) hashed { return hashed(shortHash([]byte(id))) }

// contentName names a file after its content, so that a name always means the
// same bytes.
func contentName(data []byte, ext string) string { return shortHash(data) + ext }

// shortHash is 128 bits of SHA-256 in hexadecimal.
func shortHash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}
