package source

import (
	"fmt"
	"strconv"
	"strings"
)

// Report collects the Problems of one object while it is being judged. The
// zero value with Object set is ready.
type Report struct {
	Object   Ref
	Problems []Problem
}

// Refuse adds an Error because of which nothing of the object is used. The
// text follows fmt.Sprintf.
func (r *Report) Refuse(field, code, format string, args ...any) {
	r.add(Problem{Severity: Error, Field: field, Code: code, Text: fmt.Sprintf(format, args...), Refused: true})
}

// Error adds an Error that costs only the part named by field.
func (r *Report) Error(field, code, format string, args ...any) {
	r.add(Problem{Severity: Error, Field: field, Code: code, Text: fmt.Sprintf(format, args...)})
}

// Warn adds a Warning.
func (r *Report) Warn(field, code, format string, args ...any) {
	r.add(Problem{Severity: Warning, Field: field, Code: code, Text: fmt.Sprintf(format, args...)})
}

// Refused reports whether any Problem refuses the whole object.
func (r *Report) Refused() bool {
	for _, p := range r.Problems {
		if p.Refused {
			return true
		}
	}
	return false
}

// Grammar refuses the object if valid, one of the functions of apimachinery's
// validation package, has something against value.
func (r *Report) Grammar(field, value string, valid func(string) []string) {
	if reasons := valid(value); len(reasons) > 0 {
		r.Refuse(field, CodeInvalid, "%s: %s", Quote(value), strings.Join(reasons, "; "))
	}
}

// Range refuses the object unless value is from low to high.
func (r *Report) Range(field string, value, low, high int32) {
	if value < low || value > high {
		r.Refuse(field, CodeOutOfRange, "must be from %d to %d, not %d", low, high, value)
	}
}

// Port refuses the object unless port is one.
func (r *Report) Port(field string, port int32) { r.Range(field, port, 1, 65535) }

func (r *Report) add(p Problem) {
	p.Object = r.Object
	r.Problems = append(r.Problems, p)
}

// Quote returns s as a Problem's text may show it: quoted, escaped and cut
// after 80 bytes.
func Quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}
