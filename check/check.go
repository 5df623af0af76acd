// Package check probes real servers and what virtual routers track, and turns
// results into verdicts. The verdict is a pure fold of results; the Runner owns
// the clocks, the Prober the sockets, files and processes.
package check

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"
)

// Type is what a check probes.
type Type uint8

// The types. The zero Type is TCP.
const (
	TCP     Type = iota // Target accepts a connection
	HTTP                // Target answers a GET with a status from MinStatus to MaxStatus
	GRPC                // Target says that the service Name is SERVING (grpc.health.v1)
	Script              // the declared script Name exits with status 0
	File                // there is something at the path Name
	Number              // the file at the path Name holds a number, which is the value
	Process             // from Min to Max processes of the executable Name run
	PIDFile             // the process runs whose number is in the file at the path Name
	NGINX               // our own NGINX answers
)

var typeNames = [...]string{"tcp", "http", "grpc", "script", "file", "number", "process", "pid-file", "nginx"}

// String returns the name of the type, such as "tcp".
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// MarshalText writes the name.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (t *Type) UnmarshalText(b []byte) error {
	for i, name := range typeNames {
		if name == string(b) {
			*t = Type(i)
			return nil
		}
	}
	return fmt.Errorf("no type of check is called %q", b)
}

// Spec is one health check. It is comparable: equal Specs are one check, and
// its state survives reloads.
type Spec struct {
	Type   Type           `json:"type,omitzero"`
	Target netip.AddrPort `json:"target,omitzero"` // of TCP, HTTP, GRPC
	Name   string         `json:"name,omitempty"`  // of GRPC, Script, File, Number, Process, PIDFile
	HTTP   Request        `json:"http,omitzero"`   // of HTTP
	TLS    TLS            `json:"tls,omitzero"`    // of HTTP and GRPC
	Min    int            `json:"min,omitempty"`   // of Process, >= 0
	Max    int            `json:"max,omitempty"`   // of Process; 0 is no limit

	Interval time.Duration `json:"interval"` // between the starts of two probes, > 0
	Timeout  time.Duration `json:"timeout"`  // of one probe, > 0
	Rise     int           `json:"rise"`     // successes in a row until up, >= 1
	Fall     int           `json:"fall"`     // failures in a row until down, >= 1

	// Eager says that the first result counts at once, as the trackers of a
	// virtual router do, and is asked for at once. Without it a check is up
	// until Fall failures in a row, as a real server is, and a thousand new
	// ones are spread over an Interval.
	Eager bool `json:"eager,omitempty"`
}

// Request is a GET, and what is a good answer to it.
type Request struct {
	Path      string `json:"path"`           // with the query; "/..."
	Host      string `json:"host,omitempty"` // header; empty is Spec.Target
	MinStatus int    `json:"minStatus"`
	MaxStatus int    `json:"maxStatus"`
}

// TLS says whether and how a connection is encrypted. The zero TLS is plain.
type TLS struct {
	On bool `json:"on"`
	// Verify checks the certificate against the authorities in the file CA, or
	// those of the system if CA is empty, and the name Name, or Request.Host
	// or the target's address if Name is empty.
	Verify bool   `json:"verify,omitempty"`
	CA     string `json:"ca,omitempty"`
	Name   string `json:"name,omitempty"`
}

// String names what is probed: "tcp 192.0.2.1:80", "script chk-mysql".
func (s Spec) String() string {
	switch s.Type {
	case TCP:
		return "tcp " + s.Target.String()
	case HTTP:
		scheme := "http"
		if s.TLS.On {
			scheme = "https"
		}
		return fmt.Sprintf("%s://%s%s", scheme, s.Target, s.HTTP.Path)
	case GRPC:
		return strings.TrimSpace(fmt.Sprintf("grpc %s %s", s.Target, s.Name))
	}
	return strings.TrimSpace(s.Type.String() + " " + s.Name)
}

// Validate returns nil if the Spec can be run, and else the reason.
func (s Spec) Validate() error {
	switch {
	case s.Interval <= 0:
		return errors.New("interval must be above 0")
	case s.Timeout <= 0:
		return errors.New("timeout must be above 0")
	case s.Rise < 1:
		return errors.New("rise must be at least 1")
	case s.Fall < 1:
		return errors.New("fall must be at least 1")
	}
	switch s.Type {
	case TCP, HTTP, GRPC:
		if !s.Target.IsValid() || s.Target.Port() == 0 {
			return errors.New("target must be an address and a port")
		}
		if s.Type == HTTP {
			return s.HTTP.validate()
		}
	case File, Number, PIDFile:
		if !path.IsAbs(s.Name) {
			return errors.New("the path must be absolute")
		}
	case Script, Process:
		if s.Name == "" || strings.Contains(s.Name, "/") {
			return fmt.Errorf("a %s needs a name without slashes", s.Type)
		}
	case NGINX:
	default:
		return fmt.Errorf("%v is not known", s.Type)
	}
	return nil
}

func (r Request) validate() error {
	switch {
	case !strings.HasPrefix(r.Path, "/"):
		return errors.New("the path of a request must begin with /")
	case r.MinStatus < 100 || r.MaxStatus > 599 || r.MinStatus > r.MaxStatus:
		return errors.New("the status must be from 100 to 599, the lower first")
	}
	return nil
}

// Compare orders Specs; it is 0 for equal ones only.
func (s Spec) Compare(o Spec) int {
	return cmp.Or(
		cmp.Compare(s.Type, o.Type),
		s.Target.Compare(o.Target),
		strings.Compare(s.Name, o.Name),
		s.HTTP.compare(o.HTTP),
		s.TLS.compare(o.TLS),
		cmp.Compare(s.Min, o.Min),
		cmp.Compare(s.Max, o.Max),
		cmp.Compare(s.Interval, o.Interval),
		cmp.Compare(s.Timeout, o.Timeout),
		cmp.Compare(s.Rise, o.Rise),
		cmp.Compare(s.Fall, o.Fall),
		compareBool(s.Eager, o.Eager))
}

func (r Request) compare(o Request) int {
	return cmp.Or(
		strings.Compare(r.Path, o.Path),
		strings.Compare(r.Host, o.Host),
		cmp.Compare(r.MinStatus, o.MinStatus),
		cmp.Compare(r.MaxStatus, o.MaxStatus))
}

func (t TLS) compare(o TLS) int {
	return cmp.Or(
		compareBool(t.On, o.On),
		compareBool(t.Verify, o.Verify),
		strings.Compare(t.CA, o.CA),
		strings.Compare(t.Name, o.Name))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
