package nginxconf

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The names inside the daemon's folder that NGINX is told.
const (
	pidFile    = "nginx.pid"
	socketFile = "ctl/nginx.sock"
	errorFile  = "logs/error.log"
	accessFile = "logs/access.log"
	tempFolder = "tmp"
)

// generationPath is where the running NGINX tells, on its Unix socket, which
// configuration it serves; statusPath has its counters.
const (
	generationPath = "/generation"
	statusPath     = "/stub_status"
)

// shutdownTimeout bounds how long the workers of an old configuration live on
// for their open connections. It is ingress-nginx's default: WebSockets survive
// a reload that long.
const shutdownTimeout = 240 * time.Second

// maxBody is the largest request body, ingress-nginx's default. Bodies are kept
// in memory: the run folder is a tmpfs anyway.
const maxBody = 1 << 20

// http2Directive is the version in which HTTP/2 moved from listen to a
// directive of its own.
var http2Directive = Version{1, 25, 1}

// upstreamFile prints one group of endpoints.
func upstreamFile(id string, eps []netip.AddrPort) (File, error) {
	var block []directive
	for _, ep := range eps {
		block = append(block, dir(upstreamServer, address(ep)))
	}
	block = append(block, dir(keepalive, number(32)))
	text, err := printTree([]directive{dir(upstream, joined{word("u_"), upstreamName(id)}).with(block...)})
	return File{Name: contentName(text, ".conf"), Data: text, Owners: []Part{{UpstreamPart, id}}}, err
}

// mainFile is what nginx.conf is made of.
type mainFile struct {
	env              surroundings
	upstreams, sites []string // files to include
	hasDefault       bool     // a site is the catch-all
	hasDefaultTLS    bool     // and answers handshakes as well
}

// finish prints nginx.conf twice: the hash of the first, which names all other
// files by their content, is the generation that the second one tells.
func (m mainFile) finish(files map[string]File) (Output, error) {
	text, err := printTree(m.tree("0"))
	if err != nil {
		return Output{}, err
	}
	generation := shortHash(text)
	if text, err = printTree(m.tree(hashed(generation))); err != nil {
		return Output{}, err
	}
	out := Output{Generation: generation, Main: text}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		out.Files = append(out.Files, files[name])
	}
	return out, nil
}

func (m mainFile) tree(generation hashed) []directive {
	out := []directive{
		dir(daemon, word("off")),
		dir(pid, path(pidFile)),
		dir(lockFile, path("nginx.lock")),
		dir(errorLog, path(errorFile), word("notice")),
		dir(workerProcesses, number(max(1, m.env.Features.Workers))),
		dir(workerRlimitNofile, number(65536)),
		dir(workerShutdownTimeout, lifetime(shutdownTimeout)),
	}
	if u := m.env.Features.User; u != "" {
		out = append(out, dir(user, literal(u)))
	}
	block := slices.Concat(logging(), hashSizes(), upgradeMaps(), proxying(m.env.Ports), tlsDefaults(m.env.Features.Version),
		limits(), m.defaults(), []directive{verification(generation)})
	for _, name := range slices.Concat(m.upstreams, m.sites) {
		block = append(block, dir(include, path(name)))
	}
	return append(out,
		dir(events).with(dir(workerConnections, number(16384))),
		dir(httpBlock).with(block...))
}

// defaults are the servers for hosts that no site has: 404, and no handshake.
func (m mainFile) defaults() []directive {
	var out []directive
	if !m.hasDefault {
		out = append(out, dir(server).with(append(listens(m.env, true, false), dir(returnStatus, number(404)))...))
	}
	if !m.hasDefaultTLS && m.env.Ports.HTTPS != 0 {
		out = append(out, dir(server).with(append(listens(m.env, true, true),
			dir(sslRejectHandshake, word("on")), dir(returnStatus, number(404)))...))
	}
	return out
}

// verification is the server by which the supervisor knows what is served.
func verification(generation hashed) directive {
	return dir(server).with(
		dir(listen, joined{word("unix:"), path(socketFile)}),
		dir(noAccessLog, word("off")),
		dir(location, word("="), word(generationPath)).with(dir(returnStatus, number(200), generation)),
		dir(location, word("="), word(statusPath)).with(dir(stubStatus)),
		dir(location, word("/")).with(dir(returnStatus, number(404))),
	)
}

func logging() []directive {
	format := joined{varTimeISO8601, word(" "), varRemoteAddr, word(" "), varHost, word(` "`), varRequest, word(`" `),
		varStatus, word(" "), varBodyBytesSent, word(" "), varRequestTime, word(" "), varUpstreamAddr, word(" "),
		varUpstreamStatus, word(" "), varUpstreamResponseTime, word(" "), varTraceID}
	return []directive{
		dir(logFormat, word("harmony"), format),
		dir(accessLog, path(accessFile), word("harmony")),
	}
}

// hashSizes leave room for long and for many host names; with NGINX's own, one
// long name breaks the whole configuration.
func hashSizes() []directive {
	return []directive{
		dir(serverNamesHashBucketSize, number(512)),
		dir(serverNamesHashMaxSize, number(65536)),
		dir(proxyHeadersHashBucketSize, number(128)),
		dir(proxyHeadersHashMaxSize, number(1024)),
	}
}

// upgradeMaps makes the variables of ours. Only WebSockets are upgraded: an h2c
// tunnel would carry requests past the routing.
func upgradeMaps() []directive {
	return []directive{
		dir(mapBlock, varHTTPUpgrade, varUpgrade).with(
			dir(mapDefault, word("")), dir(mapWebsocket, word("websocket"))),
		dir(mapBlock, varHTTPUpgrade, varConnectionUpgrade).with(
			dir(mapDefault, word("")), dir(mapWebsocket, word("upgrade"))),
		dir(mapBlock, varHTTPXRequestID, varTraceID).with(
			dir(mapDefault, varHTTPXRequestID), dir(mapEmpty, varRequestID)),
	}
}

// proxying is what all locations inherit. The client's own X-Forwarded headers
// are not believed, as with ingress-nginx unless told otherwise. Host is the
// one the site was chosen by, never a second one from an absolute request line.
func proxying(p ports) []directive {
	var host arg = varHost
	if p != (ports{80, 443}) {
		host = joined{varHost, word(":"), varServerPort}
	}
	header := func(name word, value arg) directive { return dir(proxySetHeader, name, value) }
	return []directive{
		header("Host", host),
		header("Upgrade", varUpgrade),
		header("Connection", varConnectionUpgrade),
		header("X-Request-ID", varTraceID),
		header("X-Real-IP", varRemoteAddr),
		header("X-Forwarded-For", varRemoteAddr),
		header("X-Forwarded-Host", host),
		header("X-Forwarded-Port", varServerPort),
		header("X-Forwarded-Proto", varScheme),
		header("X-Forwarded-Scheme", varScheme),
		header("X-Scheme", varScheme),
		header("X-Original-Forwarded-For", varHTTPXForwardedFor),
		header("Proxy", word("")), // httpoxy
		dir(proxyHTTPVersion, word("1.1")),
		dir(proxyRedirect, word("off")),
		dir(proxyConnectTimeout, lifetime(5*time.Second)),
		dir(proxyNextUpstream, word("error"), word("timeout")),
		dir(proxyNextUpstreamTries, number(3)),
		dir(proxyBufferSize, size(16<<10)),
		dir(proxyBuffers, number(8), size(16<<10)),
		dir(proxyMaxTempFileSize, number(0)),
	}
}

// tlsDefaults follow Mozilla's intermediate profile.
func tlsDefaults(v Version) []directive {
	out := []directive{
		dir(sslProtocols, word("TLSv1.2"), word("TLSv1.3")),
		dir(sslCiphers, word("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"+
			"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"+
			"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305")),
		dir(sslPreferServerCiphers, word("off")),
		dir(sslSessionCache, word("shared:harmony:10m")),
		dir(sslSessionTimeout, lifetime(10*time.Minute)),
		dir(sslSessionTickets, word("off")),
	}
	if v.AtLeast(http2Directive) {
		out = append(out, dir(http2, word("on")))
	}
	return out
}

// limits bound bodies, and put what NGINX may spill into the daemon's folder.
func limits() []directive {
	out := []directive{
		dir(serverTokens, word("off")),
		dir(defaultType, word("text/plain")),
		dir(keepaliveTimeout, lifetime(75*time.Second)),
		dir(clientMaxBodySize, size(maxBody)),
		dir(clientBodyBufferSize, size(maxBody)),
	}
	for _, n := range []name{clientBodyTempPath, proxyTempPath, fastcgiTempPath, uwsgiTempPath, scgiTempPath} {
		folder, _, _ := strings.Cut(n.String(), "_temp_path")
		out = append(out, dir(n, path(tempFolder+"/"+folder)))
	}
	return out
}
