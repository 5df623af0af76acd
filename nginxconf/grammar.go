package nginxconf

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// maxPath bounds a location's path; NGINX would take a little more.
const maxPath = 1024

// pathSet are the ASCII bytes that may stand in a path: RFC 3986 pchar without
// the quote, "$" and ";", which mean something in NGINX, and the space, which a
// path holds as %20.
const pathSet = lower + upper + digits + "/-._~!&()*+,=:@ "

// checkName says what keeps s from being a DNS name in lower case (RFC 1123).
func checkName(s string) error {
	if len(s) > 253 {
		return fmt.Errorf("%d bytes are too long for a host, 253 is the most", len(s))
	}
	for label := range strings.SplitSeq(s, ".") {
		switch {
		case label == "":
			return fmt.Errorf("%q is not a host: a label is empty", s)
		case len(label) > 63:
			return fmt.Errorf("%q is not a host: a label is longer than 63 bytes", s)
		case !only(label, lower+digits+"-"):
			return fmt.Errorf("%q is not a host: only lower-case letters, digits, '-' and '.' may be in it", s)
		case label[0] == '-' || label[len(label)-1] == '-':
			return fmt.Errorf("%q is not a host: a label begins or ends with '-'", s)
		}
	}
	return nil
}

// checkHost accepts "", a name, and a name whose first label is "*".
func checkHost(s string) error {
	if s == "" {
		return nil
	}
	return checkName(strings.TrimPrefix(s, "*."))
}

// cleanPath returns the path as NGINX compares it, with its percent escapes
// decoded. It refuses what can never match, because NGINX normalises the
// request's path first, and whatever is not plainly part of a path.
func cleanPath(p string) (string, error) {
	if len(p) > maxPath {
		return "", fmt.Errorf("a path of %d bytes is too long, %d is the most", len(p), maxPath)
	}
	if !strings.HasPrefix(p, "/") {
		return "", fmt.Errorf("path %q does not start with /", p)
	}
	if strings.Contains(strings.ToLower(p), "%2f") || strings.Contains(p, " ") {
		return "", fmt.Errorf("path %q holds an escaped / or a space", p)
	}
	clean, err := url.PathUnescape(p)
	if err != nil {
		return "", fmt.Errorf("path %q: %w", p, err)
	}
	if err := printable(clean); err != nil {
		return "", fmt.Errorf("path: %w", err)
	}
	for _, r := range clean {
		if !strings.ContainsRune(pathSet, r) && (r < 0x80 || !unicode.IsGraphic(r)) {
			return "", fmt.Errorf("path %q holds %q", p, r)
		}
	}
	if err := checkElements(clean); err != nil {
		return "", fmt.Errorf("path %q %w", p, err)
	}
	return clean, nil
}

// checkElements refuses empty and dot elements.
func checkElements(p string) error {
	elements := strings.Split(p[1:], "/")
	for i, e := range elements {
		if e == "." || e == ".." || e == "" && i < len(elements)-1 {
			return errors.New(`holds "//", "/./" or "/../"`)
		}
	}
	return nil
}
