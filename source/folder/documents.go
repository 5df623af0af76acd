package folder

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"harmony/source"
)

// chunk is the part of a file from one document separator to the next.
type chunk struct {
	text []byte
	line int // of its first line in the file
}

// split cuts a file before each line that starts a YAML document, so that what
// is broken in one document cannot hide the next. A separator counts wherever
// it stands (YAML 1.2 §9.1.2: not even block scalars may hold one).
func split(data []byte) []chunk {
	var chunks []chunk
	start, first, line := 0, 1, 0
	for at := 0; at < len(data); {
		line++
		if at > start && separator(data[at:]) {
			chunks = append(chunks, chunk{data[start:at], first})
			start, first = at, line
		}
		next := bytes.IndexByte(data[at:], '\n')
		if next < 0 {
			break
		}
		at += next + 1
	}
	return append(chunks, chunk{data[start:], first})
}

func separator(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	return ok && (len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0)
}

// file adds the objects of one file.
func (l *loader) file(name string, data []byte) {
	for _, c := range split(data) {
		nodes, err := parse(c.text)
		for _, n := range nodes {
			l.document(name, c.line-1, n)
		}
		if err != nil {
			line := c.line + brokenLine(c.text) - 1
			l.refuseFile(name, line, source.CodeMalformed, "is not YAML: %s", withoutContents(err))
		}
	}
}

// parse returns the root nodes of the YAML documents in text up to the first
// error. Empty documents have none.
func parse(text []byte) (nodes []*yaml.Node, err error) {
	defer func() {
		// The library panics where it meets what its authors thought impossible;
		// that must cost one document, not the process.
		if r := recover(); r != nil {
			err = fmt.Errorf("the parser failed: %v", r)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			return nodes, nil
		} else if err != nil {
			return nodes, err
		}
		if root := doc.Content[0]; root.ShortTag() != "!!null" {
			nodes = append(nodes, root)
		}
	}
}

// brokenLine returns the line of text, from 1, at which it stops being YAML:
// the one after the longest run of lines that is YAML by itself. The library
// names the start of the mapping around it at best. The search is given up, and
// line 1 returned, after parsing a few megabytes.
func brokenLine(text []byte) int {
	lines := bytes.SplitAfter(text, []byte("\n"))
	budget := 2 << 20
	for end := len(text); len(lines) > 1; {
		last := len(lines) - 1
		end -= len(lines[last])
		lines = lines[:last]
		if budget -= end; budget < 0 {
			return 1
		}
		if _, err := parse(text[:end]); err == nil {
			return last + 1
		}
	}
	return 1
}

// contents matches what the YAML library quotes from the document.
var contents = regexp.MustCompile("'[^']*'|`[^`]*`|\"[^\"]*\"")

// withoutContents returns the library's reason without its own line number and
// without anything that it quotes: that could be part of a Secret.
func withoutContents(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.HasPrefix(text, "line ") {
		_, text, _ = strings.Cut(text, ": ")
	}
	return contents.ReplaceAllString(text, "...")
}
