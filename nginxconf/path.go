package nginxconf

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPath bounds a location's path, in bytes; NGINX would take a little more.
const maxPath = 1024

// DecodePath returns a path as NGINX compares it: without percent escapes. It
// refuses what is not plainly a path (RFC 3986 §3.3) and what could never match,
// because NGINX resolves such paths in requests first. The error does not name
// the path: "holds an escaped slash".
func DecodePath(path string) (string, error) {
	switch {
	case len(path) > maxPath:
		return "", fmt.Errorf("is longer than %d bytes", maxPath)
	case !strings.HasPrefix(path, "/"):
		return "", errors.New(`must start with "/"`)
	case strings.Contains(strings.ToLower(path), "%2f"):
		return "", errors.New("holds an escaped slash")
	}
	decoded, err := url.PathUnescape(path)
	if err != nil || !utf8.ValidString(decoded) {
		return "", errors.New("holds a broken percent escape, or is not UTF-8")
	}
	for _, bad := range []func(rune) bool{unicode.IsControl, notInPath} { // the worst first
		if i := strings.IndexFunc(decoded, bad); i >= 0 {
			r, _ := utf8.DecodeRuneInString(decoded[i:])
			return "", fmt.Errorf("holds %q, which a path may not", r)
		}
	}
	if strings.Contains(path, " ") {
		return "", errors.New("holds a space: write %20")
	}
	for element := range strings.SplitSeq(strings.TrimSuffix(decoded[1:], "/"), "/") {
		if decoded != "/" && (element == "" || element == "." || element == "..") {
			return "", errors.New(`holds "//", "/./" or "/../"`)
		}
	}
	return decoded, nil
}

// notInPath accepts letters, digits and the punctuation of RFC 3986 paths, but
// not what means something to NGINX: quotes, "$", ";", braces, backslash.
func notInPath(r rune) bool {
	if r >= utf8.RuneSelf {
		return !unicode.IsGraphic(r) || unicode.IsSpace(r)
	}
	return !strings.ContainsRune(lower+upper+digits+"/-._~!&()*+,=:@ ", r)
}
