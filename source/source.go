// Package source holds the Snapshot: every object that Harmony decides from,
// ours and Kubernetes', whichever source filled it, and the Problem type in
// which every refusal is told.
package source

import (
	"fmt"
	"strings"
)

// Ref names one object. Namespace is empty for cluster-scoped kinds.
type Ref struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String returns "Ingress default/cafe" or "VirtualRouter cafe".
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// Severity says what a Problem did to its object.
type Severity string

// The severities of a Problem.
const (
	// Error: the object, or the part named by Field, was refused.
	Error Severity = "error"
	// Warning: accepted, but probably not what was meant.
	Warning Severity = "warning"
)

// Problem is one thing wrong with the input: where, what and why. File and
// Line are empty for objects that come from an API.
type Problem struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
	Object   Ref      `json:"object,omitzero"`
	Field    string   `json:"field,omitempty"` // "spec.rules[0].http.paths[1].path"
	Code     string   `json:"code"`            // CamelCase and stable: UnknownField, OutOfRange, NotFound, ...
	Text     string   `json:"text"`            // the reason, and what to do
}

// String returns "FILE:LINE: OBJECT FIELD: reason", leaving out what is empty.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	}
	if p.Object != (Ref{}) {
		b.WriteString(p.Object.String())
		if p.Field != "" {
			b.WriteString(" " + p.Field)
		}
		b.WriteString(": ")
	} else if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}
