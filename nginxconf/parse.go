package nginxconf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// node is one directive as NGINX reads it: its words without quotes and
// escapes, and its block.
type node struct {
	words []string
	opens bool // it has a block, maybe an empty one
	block []node
}

// maxDepth bounds the nesting of blocks, and so the parser's recursion.
const maxDepth = 32

// parse reads configuration text by the rules of ngx_conf_read_token (NGINX's
// src/core/ngx_conf_file.c). It knows nothing of directives or of the printer,
// whose witness it is.
func parse(text []byte) ([]node, error) {
	p := parser{text: string(text)}
	nodes, err := p.block(0)
	if err != nil {
		return nil, fmt.Errorf("byte %d: %w", p.pos, err)
	}
	return nodes, nil
}

type parser struct {
	text string
	pos  int
}

// What ends a directive.
const (
	endOfFile  = 0
	semicolon  = ';'
	blockStart = '{'
	blockEnd   = '}'
)

func (p *parser) block(depth int) ([]node, error) {
	if depth > maxDepth {
		return nil, errors.New("blocks are nested too deeply")
	}
	var nodes []node
	for {
		words, end, err := p.statement()
		if err != nil {
			return nil, err
		}
		switch end {
		case semicolon:
			nodes = append(nodes, node{words: words})
		case blockStart:
			inner, err := p.block(depth + 1)
			if err != nil {
				return nil, err
			}
			nodes = append(nodes, node{words: words, opens: true, block: inner})
		case blockEnd, endOfFile:
			if (end == blockEnd) != (depth > 0) {
				return nil, errors.New("braces do not match")
			}
			return nodes, nil
		}
	}
}

// statement reads words up to what ends them.
func (p *parser) statement() (words []string, end byte, err error) {
	for {
		p.skip()
		if p.pos == len(p.text) {
			if len(words) > 0 {
				return nil, 0, errors.New("unexpected end of file")
			}
			return nil, endOfFile, nil
		}
		switch c := p.text[p.pos]; c {
		case semicolon, blockStart:
			p.pos++
			if len(words) == 0 {
				return nil, 0, fmt.Errorf("unexpected %q", c)
			}
			return words, c, nil
		case blockEnd:
			p.pos++
			if len(words) > 0 {
				return nil, 0, errors.New(`unexpected "}"`)
			}
			return nil, blockEnd, nil
		case '"', '\'':
			w, err := p.quoted(c)
			if err != nil {
				return nil, 0, err
			}
			words = append(words, w)
		default:
			words = append(words, p.bare())
		}
	}
}

// skip passes white space and comments; a comment begins only where a word could.
func (p *parser) skip() {
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case isSpace(c):
			p.pos++
		case c == '#':
			if i := strings.IndexByte(p.text[p.pos:], '\n'); i >= 0 {
				p.pos += i
			} else {
				p.pos = len(p.text)
			}
		default:
			return
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// quoted reads a word in quotes; after it only white space, ";", "{" or ")" may
// follow.
func (p *parser) quoted(mark byte) (string, error) {
	start := p.pos + 1
	for i := start; i < len(p.text); i++ {
		switch p.text[i] {
		case '\\':
			i++
		case mark:
			p.pos = i + 1
			if p.pos < len(p.text) && !isSpace(p.text[p.pos]) && !strings.ContainsRune(";{)", rune(p.text[p.pos])) {
				return "", fmt.Errorf("unexpected %q after a quote", p.text[p.pos])
			}
			return unescape(p.text[start:i]), nil
		}
	}
	return "", errors.New("a quote is not closed")
}

// bare reads a word without quotes: up to white space, ";" or a "{" that does
// not follow "$".
func (p *parser) bare() string {
	start, dollar := p.pos, false
	for ; p.pos < len(p.text); p.pos++ {
		c := p.text[p.pos]
		if c == blockStart && dollar {
			dollar = false
			continue
		}
		if isSpace(c) || c == semicolon || c == blockStart {
			break
		}
		dollar = c == '$'
		if c == '\\' && p.pos+1 < len(p.text) {
			p.pos++
		}
	}
	return unescape(p.text[start:p.pos])
}

// unescape undoes the escapes that NGINX knows; of any other the backslash stays.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out []byte
	known := []byte(`"'\trn`)
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			if k := slices.Index(known, s[i+1]); k >= 0 {
				out = append(out, "\"'\\\t\r\n"[k])
				i++
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}
