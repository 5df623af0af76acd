package script

import (
	"strings"
	"unicode"
)

// maxOutput bounds what is kept of a run's output.
const maxOutput = 4096

// tail is a writer that keeps the last maxOutput bytes. It never fails, so a
// program that writes without end is neither blocked nor told.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if len(p) > maxOutput {
		p = p[len(p)-maxOutput:]
	}
	if over := len(t.b) + len(p) - maxOutput; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	t.b = append(t.b, p...)
	return n, nil
}

// lastLine is the last line of output that is not blank, in printable
// characters, cut after 200: it stands in a status, and anybody may have
// written it.
func lastLine(output string) string {
	line := strings.TrimSpace(output)
	line = strings.TrimSpace(line[strings.LastIndexAny(line, "\r\n")+1:])
	const most = 200
	var b strings.Builder
	for i, r := range []rune(line) {
		switch {
		case i == most:
			return b.String() + "..."
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
