// Package source holds the Snapshot: every object that Harmony decides from,
// ours and Kubernetes', whichever source filled it, and the Problem type in
// which every refusal is told.
package source

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode"
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

// Compare orders Refs by kind, namespace and name.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(
		strings.Compare(r.Kind, o.Kind),
		strings.Compare(r.Namespace, o.Namespace),
		strings.Compare(r.Name, o.Name))
}

// Severity says what a Problem did to its object.
type Severity string

// The severities of a Problem.
const (
	// Error: the part named by Field was refused, or the whole object when
	// Problem.Refused says so.
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

	// Refused: nothing of Object is used. Without an Object, nothing of what
	// File holds at Line is, and nobody knows which objects that was.
	Refused bool `json:"refused,omitempty"`
}

// The codes of Problems.
const (
	CodeUnreadable   = "Unreadable"   // a file or folder that cannot be read
	CodeTooLarge     = "TooLarge"     // beyond a stated limit
	CodeMalformed    = "Malformed"    // not YAML, or not an object
	CodeUnknownKind  = "UnknownKind"  // an apiVersion and kind that is not used here
	CodeUnknownField = "UnknownField" // a field that its kind does not have
	CodeWrongType    = "WrongType"    // text where a number belongs, and the like
	CodeDuplicate    = "Duplicate"    // the same key, object or list entry again
	CodeRequired     = "Required"     // missing
	CodeInvalid      = "Invalid"      // a value that is not of the field's grammar
	CodeOutOfRange   = "OutOfRange"   // a number or duration outside its range
	CodeNotFound     = "NotFound"     // names an object that is not there or is refused
	CodeConflict     = "Conflict"     // claims what another object has
	CodeUnsupported  = "Unsupported"  // understood, but not possible here
	CodeNotHonoured  = "NotHonoured"  // an annotation without effect
	CodeNoEndpoints  = "NoEndpoints"  // a Service without a ready endpoint
	CodeUnowned      = "Unowned"      // an address that no VirtualRouter has
	CodeAllDown      = "AllDown"      // every real server's check has failed
	CodeInsecure     = "Insecure"     // a script that others could change
)

// String returns "FILE:LINE: OBJECT FIELD: reason" in one line, leaving out
// what is empty and escaping what is not printable.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
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
	return printable(b.String())
}

// Compare orders Problems for printing: by file, line, object, field, text.
func (p Problem) Compare(o Problem) int {
	return cmp.Or(
		strings.Compare(p.File, o.File),
		cmp.Compare(p.Line, o.Line),
		p.Object.Compare(o.Object),
		strings.Compare(p.Field, o.Field),
		strings.Compare(p.Text, o.Text))
}

// printable escapes control bytes and the like as Go does, so that hostile
// names neither break lines nor reach a terminal.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s { // bytes that are not UTF-8 come as U+FFFD
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
	}
	return b.String()
}
