package nginxconf

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// directive is one statement of NGINX configuration. Its name comes from a
// closed list and every argument has a kind; only print turns it into text.
type directive struct {
	name  name
	args  []arg
	block []directive // only for names that open a block
}

// dir makes a directive.
func dir(n name, args ...arg) directive { return directive{name: n, args: args} }

// with returns d with its block.
func (d directive) with(block ...directive) directive {
	d.block = block
	return d
}

// constant is text fixed in this program. Its type is not exported and no
// variable is ever converted to it (a test reads the sources for that), so text
// from outside cannot become one.
type constant string

// arg is one argument: a sealed set of kinds.
type arg interface {
	// value returns the token as NGINX's lexer shall hold it, or says why this
	// value must not get there.
	value() (string, error)
}

type (
	word     constant       // a keyword, or fixed text
	literal  string         // text from outside: always quoted, never interpolated
	number   int64          // a count or a status code
	size     int64          // bytes
	lifetime time.Duration  // whole seconds or milliseconds
	path     string         // a file named by the daemon, relative to its folder
	address  netip.AddrPort // an endpoint or a listening address
	hashed   string         // a name made of a hash: lower-case hexadecimal
	oneLabel string         // the validated parent of a one-label wildcard host
	joined   []arg          // parts of one token
)

func (w word) value() (string, error)     { return string(w), nil }
func (n number) value() (string, error)   { return strconv.FormatInt(int64(n), 10), nil }
func (s size) value() (string, error)     { return strconv.FormatInt(int64(s), 10), nil }
func (v variable) value() (string, error) { return "$" + v.String(), nil }

func (l literal) value() (string, error) {
	if strings.ContainsRune(string(l), '$') {
		return "", fmt.Errorf("%q holds a $, which NGINX would take for a variable", string(l))
	}
	return string(l), nil
}

func (l lifetime) value() (string, error) {
	if d := time.Duration(l); d%time.Second != 0 {
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms", nil
	}
	return strconv.FormatInt(int64(time.Duration(l)/time.Second), 10) + "s", nil
}

// value refuses what is not a plain relative name: no way out of the folder.
func (p path) value() (string, error) {
	for part := range strings.SplitSeq(string(p), "/") {
		if !only(part, lower+digits+"-_.") || part == "" || part[0] == '.' {
			return "", fmt.Errorf("%q is not a file name of the daemon", string(p))
		}
	}
	return string(p), nil
}

func (a address) value() (string, error) {
	ap := netip.AddrPort(a)
	if !ap.IsValid() || ap.Port() == 0 || ap.Addr().Zone() != "" {
		return "", fmt.Errorf("%s is not an address with a port", ap)
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String(), nil
}

func (h hashed) value() (string, error) {
	if h == "" || !only(string(h), digits+"abcdef") {
		return "", fmt.Errorf("%q is not a hash", string(h))
	}
	return string(h), nil
}

// value is a regular expression that matches one label before the parent.
// NGINX's own *.parent would match any number of them.
func (o oneLabel) value() (string, error) {
	if err := checkName(string(o)); err != nil {
		return "", err
	}
	return `~^[^.]+\.` + strings.ReplaceAll(string(o), ".", `\.`) + "$", nil
}

// value puts braces around variables, so that what follows one cannot become
// part of its name.
func (j joined) value() (string, error) {
	var b strings.Builder
	for _, part := range j {
		if v, ok := part.(variable); ok {
			b.WriteString("${" + v.String() + "}")
			continue
		}
		s, err := part.value()
		if err != nil {
			return "", err
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

// only reports whether every byte of s is in set.
func only(s, set string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(set, r) })
}
