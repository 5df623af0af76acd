// Package nginxconf turns sites into the configuration of stock NGINX: a typed
// directive tree with one printer and one parser, a pure Build, and the
// supervisor that tests, reloads and verifies.
//
//	worker ── WriteDesired ──► desired.json ──► supervisor (Run) ──► NGINX
//
//	Config ─ Build ─► tree ─ print ─► files, named by content ─ nginx -t ─ reload ─ which generation? ─► good.json
//	           │                                                   │
//	           └► Faults: what cannot be expressed                 └► what NGINX refuses is taken out alone
//
// Build is pure. A value becomes NGINX syntax in print.go and nowhere else, and
// what was printed is read back by a parser of its own before it is used.
//
// NGINX is no child that dies with the supervisor: one that is killed leaves
// NGINX serving, and the next one adopts it. Under systemd that needs
// KillMode=process, since anything else ends NGINX with its supervisor.
package nginxconf

import "net/netip"

// Config is everything NGINX shall serve on this node. It is a value; the
// worker writes it to the run directory and the supervisor builds from it.
// Slices may come in any order: Build sorts, so the same set gives the same
// bytes.
type Config struct {
	Sites     []Site     `json:"sites"`
	Upstreams []Upstream `json:"upstreams"`
	HTTPPort  uint16     `json:"httpPort"`  // 80 unless Settings say otherwise
	HTTPSPort uint16     `json:"httpsPort"` // 443 unless Settings say otherwise
}

// Site is one host name with its paths.
type Site struct {
	Host      string     `json:"host"` // exact name, "*.example.com" (one label), or "" for the catch-all
	TLS       *TLS       `json:"tls,omitempty"`
	Redirect  bool       `json:"redirect,omitempty"` // plain HTTP answers 308 to HTTPS
	Locations []Location `json:"locations"`
}

// TLS is how a site answers a handshake. With no certificate the handshake is
// refused: a missing Secret never serves another site's certificate.
type TLS struct {
	Certificate []byte `json:"certificate,omitempty"` // PEM chain
	Key         []byte `json:"key,omitempty"`         // PEM
}

// Match is how a Location's path is compared.
type Match uint8

// Path matches of Ingress v1: Exact, and Prefix by path element.
const (
	Prefix Match = iota
	Exact
)

// Location routes one path of a site.
type Location struct {
	Path     string `json:"path"` // starts with "/"
	Match    Match  `json:"match"`
	Upstream string `json:"upstream"` // Upstream.ID; "" answers 404
	Object   string `json:"object"`   // "Ingress default/cafe": who asked for it, for isolation and status
}

// Upstream is a group of endpoints. Without any, its locations answer 503.
type Upstream struct {
	ID        string           `json:"id"` // "namespace/service:port", made a safe name by Build
	Endpoints []netip.AddrPort `json:"endpoints,omitempty"`
}
