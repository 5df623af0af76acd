package nginxconf

// name is a directive this program may write. What is not listed, such as
// alias, root, load_module or ssl_engine, cannot be expressed.
type name uint8

const (
	accessLog name = iota
	clientBodyBufferSize
	clientBodyTempPath
	clientMaxBodySize
	daemon
	defaultType
	errorLog
	events
	fastcgiTempPath
	http2
	httpBlock
	include
	keepalive
	keepaliveTimeout
	listen
	location
	lockFile
	logFormat
	mapBlock
	mapDefault
	mapEmpty
	mapWebsocket
	noAccessLog
	pid
	proxyBuffers
	proxyBufferSize
	proxyConnectTimeout
	proxyHeadersHashBucketSize
	proxyHeadersHashMaxSize
	proxyHTTPVersion
	proxyMaxTempFileSize
	proxyNextUpstream
	proxyNextUpstreamTries
	proxyPass
	proxyRedirect
	proxySetHeader
	proxyTempPath
	returnStatus
	scgiTempPath
	server
	serverName
	serverNamesHashBucketSize
	serverNamesHashMaxSize
	serverTokens
	sslCertificate
	sslCertificateKey
	sslCiphers
	sslPreferServerCiphers
	sslProtocols
	sslRejectHandshake
	sslSessionCache
	sslSessionTickets
	sslSessionTimeout
	stubStatus
	upstream
	upstreamServer
	user
	uwsgiTempPath
	workerConnections
	workerProcesses
	workerRlimitNofile
	workerShutdownTimeout
)

// form is how a directive is written: its word, and what it must have.
type form struct {
	text   constant
	opens  bool // it has a block
	isFile bool // its first argument is a file, so it must be one of the daemon's
}

// forms is the allowlist. It is a constant table, never changed.
var forms = [...]form{
	accessLog:                  {text: "access_log", isFile: true},
	clientBodyBufferSize:       {text: "client_body_buffer_size"},
	clientBodyTempPath:         {text: "client_body_temp_path", isFile: true},
	clientMaxBodySize:          {text: "client_max_body_size"},
	daemon:                     {text: "daemon"},
	defaultType:                {text: "default_type"},
	errorLog:                   {text: "error_log", isFile: true},
	events:                     {text: "events", opens: true},
	fastcgiTempPath:            {text: "fastcgi_temp_path", isFile: true},
	http2:                      {text: "http2"},
	httpBlock:                  {text: "http", opens: true},
	include:                    {text: "include", isFile: true},
	keepalive:                  {text: "keepalive"},
	keepaliveTimeout:           {text: "keepalive_timeout"},
	listen:                     {text: "listen"},
	location:                   {text: "location", opens: true},
	lockFile:                   {text: "lock_file", isFile: true},
	logFormat:                  {text: "log_format"},
	mapBlock:                   {text: "map", opens: true},
	mapDefault:                 {text: "default"},
	mapEmpty:                   {text: ""},
	mapWebsocket:               {text: "websocket"},
	noAccessLog:                {text: "access_log"},
	pid:                        {text: "pid", isFile: true},
	proxyBuffers:               {text: "proxy_buffers"},
	proxyBufferSize:            {text: "proxy_buffer_size"},
	proxyConnectTimeout:        {text: "proxy_connect_timeout"},
	proxyHeadersHashBucketSize: {text: "proxy_headers_hash_bucket_size"},
	proxyHeadersHashMaxSize:    {text: "proxy_headers_hash_max_size"},
	proxyHTTPVersion:           {text: "proxy_http_version"},
	proxyMaxTempFileSize:       {text: "proxy_max_temp_file_size"},
	proxyNextUpstream:          {text: "proxy_next_upstream"},
	proxyNextUpstreamTries:     {text: "proxy_next_upstream_tries"},
	proxyPass:                  {text: "proxy_pass"},
	proxyRedirect:              {text: "proxy_redirect"},
	proxySetHeader:             {text: "proxy_set_header"},
	proxyTempPath:              {text: "proxy_temp_path", isFile: true},
	returnStatus:               {text: "return"},
	scgiTempPath:               {text: "scgi_temp_path", isFile: true},
	server:                     {text: "server", opens: true},
	serverName:                 {text: "server_name"},
	serverNamesHashBucketSize:  {text: "server_names_hash_bucket_size"},
	serverNamesHashMaxSize:     {text: "server_names_hash_max_size"},
	serverTokens:               {text: "server_tokens"},
	sslCertificate:             {text: "ssl_certificate", isFile: true},
	sslCertificateKey:          {text: "ssl_certificate_key", isFile: true},
	sslCiphers:                 {text: "ssl_ciphers"},
	sslPreferServerCiphers:     {text: "ssl_prefer_server_ciphers"},
	sslProtocols:               {text: "ssl_protocols"},
	sslRejectHandshake:         {text: "ssl_reject_handshake"},
	sslSessionCache:            {text: "ssl_session_cache"},
	sslSessionTickets:          {text: "ssl_session_tickets"},
	sslSessionTimeout:          {text: "ssl_session_timeout"},
	stubStatus:                 {text: "stub_status"},
	upstream:                   {text: "upstream", opens: true},
	upstreamServer:             {text: "server"},
	user:                       {text: "user"},
	uwsgiTempPath:              {text: "uwsgi_temp_path", isFile: true},
	workerConnections:          {text: "worker_connections"},
	workerProcesses:            {text: "worker_processes"},
	workerRlimitNofile:         {text: "worker_rlimit_nofile"},
	workerShutdownTimeout:      {text: "worker_shutdown_timeout"},
}

// String returns the directive's word.
func (n name) String() string { return string(forms[n].text) }

// variable is an NGINX variable this program may read.
type variable uint8

const (
	varBodyBytesSent variable = iota
	varConnectionUpgrade
	varHost
	varHTTPUpgrade
	varHTTPXForwardedFor
	varHTTPXRequestID
	varRemoteAddr
	varRequest
	varRequestID
	varRequestTime
	varRequestURI
	varScheme
	varServerPort
	varStatus
	varTimeISO8601
	varTraceID
	varUpgrade
	varUpstreamAddr
	varUpstreamResponseTime
	varUpstreamStatus
)

// String returns the variable's name without the dollar sign.
func (v variable) String() string {
	return [...]string{
		varBodyBytesSent:        "body_bytes_sent",
		varConnectionUpgrade:    "harmony_connection", // ours, a map
		varHost:                 "host",
		varHTTPUpgrade:          "http_upgrade",
		varHTTPXForwardedFor:    "http_x_forwarded_for",
		varHTTPXRequestID:       "http_x_request_id",
		varRemoteAddr:           "remote_addr",
		varRequest:              "request",
		varRequestID:            "request_id",
		varRequestTime:          "request_time",
		varRequestURI:           "request_uri",
		varScheme:               "scheme",
		varServerPort:           "server_port",
		varStatus:               "status",
		varTimeISO8601:          "time_iso8601",
		varTraceID:              "harmony_request_id", // ours, a map
		varUpgrade:              "harmony_upgrade",    // ours, a map
		varUpstreamAddr:         "upstream_addr",
		varUpstreamResponseTime: "upstream_response_time",
		varUpstreamStatus:       "upstream_status",
	}[v]
}
