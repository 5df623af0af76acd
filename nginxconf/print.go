package nginxconf

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxToken bounds a printed token. NGINX reads its configuration through a
// buffer of 4096 bytes (NGX_CONF_BUFFER) and refuses the whole of it when one
// token does not fit.
const maxToken = 4000

// bare are the bytes of a token that needs no quotes: none of them means
// anything to the lexer, wherever in the token it stands.
const bare = lower + upper + digits + "_./:=,@*-+%"

// printTree is the only place where a value becomes NGINX syntax. It reads its
// own output back with parse and compares, so that a value that would change
// the structure is an error and never a configuration.
func printTree(tree []directive) ([]byte, error) {
	p := printer{}
	if err := p.block(tree, 0); err != nil {
		return nil, err
	}
	text := p.Bytes()
	read, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading back what was printed: %w", err)
	}
	if err := compare(tree, read); err != nil {
		return nil, fmt.Errorf("reading back what was printed: %w", err)
	}
	return text, nil
}

// printer writes directives, one a line, indented by tabs.
type printer struct{ bytes.Buffer }

func (p *printer) block(tree []directive, depth int) error {
	for _, d := range tree {
		if err := p.directive(d, depth); err != nil {
			return err
		}
	}
	return nil
}

func (p *printer) directive(d directive, depth int) error {
	if err := d.check(); err != nil {
		return err
	}
	p.indent(depth)
	if err := p.token(word(forms[d.name].text)); err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	for _, a := range d.args {
		p.WriteByte(' ')
		if err := p.token(a); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	if !forms[d.name].opens {
		p.WriteString(";\n")
		return nil
	}
	p.WriteString(" {\n")
	if err := p.block(d.block, depth+1); err != nil {
		return err
	}
	p.indent(depth)
	p.WriteString("}\n")
	return nil
}

func (p *printer) indent(depth int) {
	for range depth {
		p.WriteByte('\t')
	}
}

// token writes one argument, quoted unless it is plainly harmless.
func (p *printer) token(a arg) error {
	s, err := a.value()
	if err != nil {
		return err
	}
	if err := printable(s); err != nil {
		return err
	}
	text := s
	if _, outside := a.(literal); outside || s == "" || !plain(s) {
		text = quote(s)
	}
	if len(text) > maxToken {
		return fmt.Errorf("%d bytes are too long for NGINX, %d is the most", len(text), maxToken)
	}
	p.WriteString(text)
	return nil
}

// plain reports whether s may stand without quotes. A lone variable may.
func plain(s string) bool { return only(strings.TrimPrefix(s, "$"), bare) }

// quote escapes the two bytes that mean something inside double quotes. NGINX
// undoes just these; it would keep the backslash of any other escape, as those
// of Go's %q.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// printable refuses what no directive of ours ever needs.
func printable(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%q is not valid UTF-8", s)
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("%q holds a control character", s)
	}
	return nil
}

// check compares a directive with its form.
func (d directive) check() error {
	if int(d.name) >= len(forms) {
		return fmt.Errorf("directive %d does not exist", uint8(d.name))
	}
	f := forms[d.name]
	if len(d.block) > 0 && !f.opens {
		return fmt.Errorf("%s has no block", d.name)
	}
	if !f.isFile {
		return nil
	}
	if len(d.args) == 0 {
		return fmt.Errorf("%s needs a file", d.name)
	}
	if _, ok := d.args[0].(path); !ok {
		return fmt.Errorf("%s takes only a file of the daemon", d.name)
	}
	return nil
}

// errStructure says that the text does not mean what the tree does.
var errStructure = errors.New("the text has another structure than the tree")

// compare checks that the text that was read is exactly this tree.
func compare(tree []directive, read []node) error {
	if len(tree) != len(read) {
		return errStructure
	}
	for i, d := range tree {
		n := read[i]
		if len(n.words) != len(d.args)+1 || n.words[0] != d.name.String() || n.opens != forms[d.name].opens {
			return fmt.Errorf("%s: %w", d.name, errStructure)
		}
		for j, a := range d.args {
			if want, err := a.value(); err != nil || n.words[j+1] != want {
				return fmt.Errorf("%s: %w", d.name, errStructure)
			}
		}
		if err := compare(d.block, n.block); err != nil {
			return err
		}
	}
	return nil
}
