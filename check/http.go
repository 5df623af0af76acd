package check

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

// maxAuthorities bounds the file of TLS.CA.
const maxAuthorities = 1 << 20

// get is the HTTP probe. It neither follows redirects, which are answers like
// others, nor asks a proxy, nor keeps the connection.
func get(ctx context.Context, spec Spec) error {
	transport, err := transportTo(spec)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, spec.String(), nil)
	if err != nil {
		return err
	}
	req.Host = spec.HTTP.Host
	req.Header.Set("User-Agent", "harmony-check")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode < spec.HTTP.MinStatus || resp.StatusCode > spec.HTTP.MaxStatus {
		return fmt.Errorf("status %d, not from %d to %d", resp.StatusCode, spec.HTTP.MinStatus, spec.HTTP.MaxStatus)
	}
	return nil
}

// transportTo makes connections to spec's target, whatever the request says.
func transportTo(spec Spec) (*http.Transport, error) {
	t := &http.Transport{
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{KeepAlive: -1}
			return d.DialContext(ctx, "tcp", spec.Target.String())
		},
	}
	if !spec.TLS.On {
		return t, nil
	}
	t.TLSClientConfig = &tls.Config{
		ServerName:         cmp.Or(spec.TLS.Name, hostname(spec.HTTP.Host), spec.Target.Addr().String()),
		InsecureSkipVerify: !spec.TLS.Verify,
	}
	if !spec.TLS.Verify || spec.TLS.CA == "" {
		return t, nil
	}
	var err error
	t.TLSClientConfig.RootCAs, err = authorities(spec.TLS.CA)
	return t, err
}

// hostname is a Host header without its port.
func hostname(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		return host
	}
	return header
}

// authorities reads the certificates of a file, at every probe, so that a new
// one needs no reload.
func authorities(file string) (*x509.CertPool, error) {
	f, err := openRegular(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, maxAuthorities))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &os.PathError{Op: "reading authorities", Path: file, Err: os.ErrInvalid}
	}
	return pool, nil
}
