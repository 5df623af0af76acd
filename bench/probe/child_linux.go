package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Spec says what a probe process does.
type Spec struct {
	// Role is "udp", "icmp", "http" or "tcp" for a client; "observe" for one
	// that asks, by ARP or ND, who has the address; "announcements" for one that
	// hears who announces what; "echo" for a UDP responder
	// that may bind an address before the node has it; "backend" for an HTTP
	// and TCP server that says its Name.
	Role     string
	Target   string        // IP:port to probe, or to serve; icmp, observe: IP
	URL      string        // http: the URL; connections go to Target whatever its host
	Interval time.Duration // between requests of one client
	Timeout  time.Duration // after which a request is lost
	Clients  int           // http, tcp: how many ask side by side
	Name     string        // backend, echo: what it answers
	TCP      string        // backend: IP:port that answers every connection with Name
}

func (s Spec) run(ctx context.Context) error {
	switch s.Role {
	case "udp", "icmp":
		return s.pings()
	case "observe":
		return s.observe()
	case "announcements":
		return s.announcements()
	case "http", "tcp":
		return s.clients(ctx)
	case "echo":
		return s.echo(ctx)
	case "backend":
		return s.backend()
	}
	return fmt.Errorf("unknown role %q", s.Role)
}

// printer writes results, one JSON object a line, from several goroutines.
type printer struct {
	mu sync.Mutex // guards enc and w
	w  *bufio.Writer
}

func newPrinter() *printer { return &printer{w: bufio.NewWriterSize(os.Stdout, 64<<10)} }

func (p *printer) print(r Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = json.NewEncoder(p.w).Encode(r) // a parent that is gone ends us by signal
}

func (p *printer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.w.Flush()
}

// clients ask side by side, each one connection per request, spread in time.
func (s Spec) clients(ctx context.Context) error {
	p := newPrinter()
	get := s.tcpOnce
	if s.Role == "http" {
		get = s.httpOnce()
	}
	for i := range s.Clients {
		go func() { // ends with the process
			time.Sleep(s.Interval * time.Duration(i) / time.Duration(s.Clients))
			for {
				at := time.Now()
				by, err := get(ctx)
				r := Result{Kind: s.Role, Start: at, Took: time.Since(at), By: by, Err: reason(err), Client: i}
				p.print(r)
				time.Sleep(s.Interval - time.Since(at))
			}
		}()
	}
	for {
		time.Sleep(50 * time.Millisecond)
		p.flush()
	}
}

// httpOnce makes a GET on a new connection; the first line of the answer says
// who gave it.
func (s Spec) httpOnce() func(context.Context) (string, error) {
	client := http.Client{Timeout: s.Timeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.Target)
		},
		// The demo's certificate is self-signed; what is measured is service.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	return func(context.Context) (string, error) {
		resp, err := client.Get(s.URL)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		if err != nil {
			return "", err
		}
		if resp.StatusCode != http.StatusOK {
			return "", errors.New(resp.Status)
		}
		line, _, _ := strings.Cut(string(body), "\n")
		return line, nil
	}
}

func (s Spec) tcpOnce(context.Context) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Target, s.Timeout)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(s.Timeout)); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(io.LimitReader(conn, 4<<10)).ReadString('\n')
	return strings.TrimSpace(line), err
}

// reason shortens an error to its class, so that losses can be counted.
func reason(err error) string {
	if err == nil {
		return ""
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "timeout"
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// echo answers datagrams with their first 8 bytes and Name.
func (s Spec) echo(ctx context.Context) error {
	lc := net.ListenConfig{Control: func(network, _ string, c syscall.RawConn) error {
		var err error
		ctl := c.Control(func(fd uintptr) {
			level, opt := unix.SOL_IP, unix.IP_FREEBIND
			if strings.HasSuffix(network, "6") {
				level, opt = unix.SOL_IPV6, unix.IPV6_FREEBIND
			}
			err = unix.SetsockoptInt(int(fd), level, opt, 1)
		})
		return errors.Join(ctl, err)
	}}
	conn, err := lc.ListenPacket(ctx, "udp", s.Target)
	if err != nil {
		return err
	}
	buf := make([]byte, 64)
	for {
		n, from, err := conn.ReadFrom(buf[:8])
		if err == nil && n == 8 {
			_, _ = conn.WriteTo(append(buf[:8:8], s.Name...), from) // the client counts what is lost
		}
	}
}

// backend serves its name over HTTP and over plain TCP.
func (s Spec) backend() error {
	tcp, err := net.Listen("tcp", s.TCP)
	if err != nil {
		return err
	}
	go func() { // ends with the process
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprintln(conn, s.Name)
			conn.Close()
		}
	}()
	return http.ListenAndServe(s.Target, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s\n%s %s\n", s.Name, r.Method, r.URL.Path)
	}))
}
