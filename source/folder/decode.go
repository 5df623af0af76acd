package folder

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"harmony/source"
)

// decoder fills one object from YAML nodes, by the JSON names of its Go fields.
// Unlike a JSON decoder it goes on after an error, and knows the line of
// everything.
type decoder struct {
	report *source.Report
	fields fieldCache
	lines  map[string]int // becomes Origin.Fields
	offset int            // lines before the chunk that the nodes are from
	quiet  bool           // a Secret: say nothing of values

	depth   int // nesting of nodes
	aliases int // nesting of aliases
	added   int // bytes that aliases added, roughly
	stopped bool
}

// value decodes n into v, which is settable. path is the field's path.
func (d *decoder) value(path string, n *yaml.Node, v reflect.Value) {
	n, leave := d.enter(n)
	defer leave()
	if n == nil || n.ShortTag() == "!!null" {
		return
	}
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(path, n, v.Elem())
	case isLeaf(v):
		d.leaf(path, n, v)
	case v.Kind() == reflect.Struct:
		d.structure(path, n, v)
	case v.Kind() == reflect.Map:
		d.mapping(path, n, v)
	case v.Kind() == reflect.Slice:
		d.list(path, n, v)
	}
}

// isLeaf reports whether v is decoded from JSON in one piece: scalars, bytes
// and types with a form of their own, such as durations.
func isLeaf(v reflect.Value) bool {
	if _, ok := v.Addr().Interface().(json.Unmarshaler); ok {
		return true
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Map:
		return false
	case reflect.Slice:
		return v.Type().Elem().Kind() == reflect.Uint8
	}
	return true
}

// enter follows an alias and guards against too much of it and too deep
// nesting; it returns nil when there is nothing to decode. leave must be called
// in any case.
func (d *decoder) enter(n *yaml.Node) (target *yaml.Node, leave func()) {
	d.depth++
	leave = func() { d.depth-- }
	if n.Kind == yaml.AliasNode {
		d.aliases++
		leave = func() { d.depth--; d.aliases-- }
		n = n.Alias
	}
	if d.aliases > 0 {
		d.added += 64 + len(n.Value)
	}
	if d.stopped || len(d.report.Problems) >= maxProblems {
		return nil, leave
	}
	if d.depth > maxNesting || d.added > maxExpansion {
		d.stopped = true
		d.report.Refuse("", source.CodeTooLarge, "its aliases or its nesting make it too large")
		return nil, leave
	}
	return n, leave
}

func (d *decoder) structure(path string, n *yaml.Node, v reflect.Value) {
	fields := d.fields.of(v.Type())
	for _, e := range d.entries(path, n) {
		field := e.name
		if path != "" {
			field = path + "." + e.name
		}
		if !d.note(field, e) {
			continue
		}
		index, ok := fields[e.name]
		if !ok {
			d.report.Refuse(field, source.CodeUnknownField, "unknown field%s", d.suggest(e.name, fields))
			continue
		}
		d.value(field, e.value, v.FieldByIndex(index))
	}
}

func (d *decoder) mapping(path string, n *yaml.Node, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range d.entries(path, n) {
		field := source.Key(path, e.name)
		if !d.note(field, e) {
			continue
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(field, e.value, elem)
		v.SetMapIndex(reflect.ValueOf(e.name).Convert(v.Type().Key()), elem)
	}
}

func (d *decoder) list(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.report.Refuse(path, source.CodeWrongType, "must be a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, len(n.Content)))
	for i, item := range n.Content {
		field := source.At(path, i)
		d.lines[field] = d.offset + item.Line
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(field, item, elem)
		v.Set(reflect.Append(v, elem))
	}
}

// note keeps the line of a field, and reports whether it is the first of its
// name.
func (d *decoder) note(field string, e entry) bool {
	d.lines[field] = d.offset + e.line
	if e.again {
		d.report.Refuse(field, source.CodeDuplicate, "is given twice")
	}
	return !e.again
}

// entry is one key of a mapping.
type entry struct {
	name  string
	line  int
	value *yaml.Node
	again bool // the mapping has had this key already
}

// entries returns the keys of a mapping, those it takes by "<<" last and only
// where it has none of its own.
func (d *decoder) entries(path string, n *yaml.Node) []entry {
	if n.Kind != yaml.MappingNode {
		d.report.Refuse(path, source.CodeWrongType, "must be a mapping (key: value)")
		return nil
	}
	var own, merged []entry
	has := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.ShortTag() == "!!merge":
			merged = append(merged, d.merged(path, value)...)
		case key.Kind != yaml.ScalarNode || len(key.Value) > maxKey:
			d.report.Refuse(path, source.CodeWrongType, "its keys must be text of at most %d bytes", maxKey)
		default:
			own = append(own, entry{key.Value, key.Line, value, has[key.Value]})
			has[key.Value] = true
		}
	}
	for _, e := range merged {
		if !e.again && !has[e.name] {
			own = append(own, e)
			has[e.name] = true
		}
	}
	return own
}

// merged returns the keys that "<<: n" brings.
func (d *decoder) merged(path string, n *yaml.Node) []entry {
	n, leave := d.enter(n)
	defer leave()
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return d.entries(path, n)
	}
	var all []entry
	for _, item := range n.Content {
		all = append(all, d.merged(path, item)...)
	}
	return all
}

// leaf decodes a scalar, or a type that reads its own JSON.
func (d *decoder) leaf(path string, n *yaml.Node, v reflect.Value) {
	plain, ok := d.plain(path, n)
	if !ok {
		return
	}
	data, err := json.Marshal(plain)
	if err == nil {
		err = json.Unmarshal(data, v.Addr().Interface())
	}
	if err == nil {
		return
	}
	code, want := expected(v.Type())
	if want == "" && !d.quiet {
		want = "cannot be read: " + err.Error()
	} else if want == "" {
		want = "cannot be read"
	}
	d.report.Refuse(path, code, "%s", want)
}

// expected says what a leaf of type t must be.
func expected(t reflect.Type) (code, want string) {
	switch t {
	case reflect.TypeFor[metav1.Duration]():
		return source.CodeInvalid, `must be a duration such as "100ms", "5s" or "1m30s"`
	case reflect.TypeFor[metav1.Time]():
		return source.CodeInvalid, "must be a time such as 2026-01-02T15:04:05Z"
	}
	switch t.Kind() {
	case reflect.String:
		return source.CodeWrongType, "must be text; put it in quotes"
	case reflect.Bool:
		return source.CodeWrongType, "must be true or false"
	case reflect.Int32, reflect.Int64:
		return source.CodeWrongType, fmt.Sprintf("must be a whole number of %d bits, without quotes", t.Bits())
	case reflect.Slice:
		return source.CodeWrongType, "must be base64 text"
	}
	return source.CodeInvalid, ""
}

// plain returns n as what encoding/json marshals: it is false after a Problem.
func (d *decoder) plain(path string, n *yaml.Node) (any, bool) {
	n, leave := d.enter(n)
	defer leave()
	if n == nil {
		return nil, false
	}
	switch n.Kind {
	case yaml.ScalarNode:
		value, ok := scalar(n)
		if !ok {
			d.report.Refuse(path, source.CodeWrongType, "must be text, a number, true, false or null")
		}
		return value, ok
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			var ok bool
			if list[i], ok = d.plain(source.At(path, i), item); !ok {
				return nil, false
			}
		}
		return list, true
	}
	object := make(map[string]any)
	for _, e := range d.entries(path, n) {
		var ok bool
		if object[e.name], ok = d.plain(source.Key(path, e.name), e.value); !ok {
			return nil, false
		}
	}
	return object, true
}

// scalar returns the JSON value of a scalar node. Times stay the text they are.
func scalar(n *yaml.Node) (any, bool) {
	switch n.ShortTag() {
	case "!!str", "!!timestamp", "!!binary", "!!merge":
		return n.Value, true
	case "!!null":
		return nil, true
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), strings.EqualFold(n.Value, "true") || strings.EqualFold(n.Value, "false")
	case "!!int":
		i, err := strconv.ParseInt(n.Value, 0, 64)
		return i, err == nil
	case "!!float":
		f, err := strconv.ParseFloat(n.Value, 64)
		_, finite := json.Marshal(f)
		return f, err == nil && finite == nil
	}
	return nil, false
}

// suggest returns ", did you mean X?" if one of fields is nearly name.
func (d *decoder) suggest(name string, fields map[string][]int) string {
	var near []string
	for field := range fields {
		if strings.EqualFold(field, name) || oneEdit(field, name) {
			near = append(near, field)
		}
	}
	if len(near) == 0 {
		return ""
	}
	return ", did you mean " + slices.Min(near) + "?"
}

// oneEdit reports whether a and b differ by one letter added, dropped, changed
// or swapped with its neighbour.
func oneEdit(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(b) < 2 || len(a)-len(b) > 1 {
		return false
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	ra, rb := a[i:], b[i:]
	switch {
	case len(a) > len(b):
		return ra[1:] == rb
	case len(ra) < 2:
		return true
	}
	return ra[1:] == rb[1:] || ra[0] == rb[1] && ra[1] == rb[0] && ra[2:] == rb[2:]
}

// fieldCache maps struct types to their fields by JSON name.
type fieldCache map[reflect.Type]map[string][]int

// of returns the index path of each JSON field of t, those of embedded structs
// without a name included.
func (c fieldCache) of(t reflect.Type) map[string][]int {
	if fields, ok := c[t]; ok {
		return fields
	}
	fields := make(map[string][]int)
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			for inner, index := range c.of(f.Type) {
				fields[inner] = append([]int{i}, index...)
			}
		case f.IsExported() && name != "" && name != "-":
			fields[name] = f.Index
		}
	}
	c[t] = fields
	return fields
}
