package nginxconf

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestTokens(t *testing.T) {
	for _, tc := range []struct {
		name string
		arg  arg
		want string // "" if it is refused
	}{
		{"literal", literal("/tea"), `"/tea"`},
		{"empty literal", literal(""), `""`},
		{"quote", literal(`a"b`), `"a\"b"`},
		{"backslash", literal(`a\`), `"a\\"`},
		{"escape of the lexer", literal(`a\n`), `"a\\n"`},
		{"semicolon and brace", literal("a; b { c }"), `"a; b { c }"`},
		{"UTF-8", literal("Café"), `"Café"`},
		{"dollar", literal("$host"), ""},
		{"line feed", literal("a\nb"), ""},
		{"carriage return", literal("a\rb"), ""},
		{"NUL", literal("a\x00"), ""},
		{"DEL", literal("a\x7f"), ""},
		{"not UTF-8", literal("a\xff"), ""},
		{"longest", literal(strings.Repeat("a", maxToken-2)), `"` + strings.Repeat("a", maxToken-2) + `"`},
		{"too long", literal(strings.Repeat("a", maxToken-1)), ""},
		{"too long escaped", literal(strings.Repeat(`"`, maxToken/2)), ""},
		{"word", word("shared:harmony:10m"), "shared:harmony:10m"},
		{"word with a space", word("a b"), `"a b"`},
		{"variable", varHost, "$host"},
		{"joined variable", joined{varHost, word("name")}, `"${host}name"`},
		{"joined literal", joined{word("x="), literal("$y")}, ""},
		{"number", number(-1), "-1"},
		{"seconds", lifetime(time.Minute), "60s"},
		{"milliseconds", lifetime(1500 * time.Millisecond), "1500ms"},
		{"size", size(16 << 10), "16384"},
		{"file", path("tmp/proxy"), "tmp/proxy"},
		{"absolute file", path("/etc/passwd"), ""},
		{"file above", path("../x"), ""},
		{"file with a variable", path("$x"), ""},
		{"no file", path(""), ""},
		{"IPv4", address(netip.MustParseAddrPort("10.0.0.1:80")), "10.0.0.1:80"},
		{"mapped", address(netip.MustParseAddrPort("[::ffff:10.0.0.1]:80")), "10.0.0.1:80"},
		{"IPv6", address(netip.MustParseAddrPort("[fd00::1]:80")), `"[fd00::1]:80"`},
		{"zone", address(netip.MustParseAddrPort("[fe80::1%a;b]:80")), ""},
		{"no port", address(netip.MustParseAddrPort("10.0.0.1:0")), ""},
		{"no address", address{}, ""},
		{"hash", hashed("0af9"), "0af9"},
		{"no hash", hashed("x"), ""},
		{"empty hash", hashed(""), ""},
		{"wildcard", oneLabel("a-b.com"), `"~^[^.]+\\.a-b\\.com$"`},
		{"wildcard of nothing", oneLabel("(a+)+"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := printTree([]directive{dir(serverName, tc.arg)})
			if (err == nil) != (tc.want != "") {
				t.Fatalf("error %v", err)
			}
			want := ""
			if tc.want != "" {
				want = "server_name " + tc.want + ";\n"
			}
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestFormsAreChecked(t *testing.T) {
	for name, d := range map[string]directive{
		"a block where none may be":   dir(returnStatus, number(200)).with(dir(stubStatus)),
		"a file of somebody else":     dir(include, literal("/etc/passwd")),
		"a certificate from text":     dir(sslCertificate, word("data:x")),
		"a file directive alone":      dir(pid),
		"a directive that is not one": dir(name(len(forms))),
	} {
		if got, err := printTree([]directive{d}); err == nil {
			t.Errorf("%s: printed %q", name, got)
		}
	}
	for n, f := range forms {
		if f.text == "" && name(n) != mapEmpty {
			t.Errorf("name %d has no word", n)
		}
		for _, forbidden := range []constant{"alias", "root", "load_module", "ssl_engine", "perl", "js_import", "content_by_lua_block"} {
			if f.text == forbidden {
				t.Errorf("%s can be expressed", forbidden)
			}
		}
	}
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []node // nil if it is refused
	}{
		{"empty", "", []node{}},
		{"comment", "# a; b {\n a;#b", []node{{words: []string{"a"}}}},
		{"hash inside a word", "a#b c;", []node{{words: []string{"a#b", "c"}}}},
		{"block", "a b { c; d {} }", []node{{words: []string{"a", "b"}, opens: true, block: []node{{words: []string{"c"}}, {words: []string{"d"}, opens: true}}}}},
		{"quotes", `a "b ; {" 'c"d' "\"\\\'\t\x";`, []node{{words: []string{"a", "b ; {", `c"d`, "\"\\'\t\\x"}}}},
		{"bare escape", `a b\ c\;;`, []node{{words: []string{"a", `b\ c\;`}}}},
		{"braced variable", "a b${c}d;", []node{{words: []string{"a", "b${c}d"}}}},
		{"every white space", "a\tb\rc\nd;", []node{{words: []string{"a", "b", "c", "d"}}}},
		{"closing brace in a word", "a b};", []node{{words: []string{"a", "b}"}}}},
		{"text after a quote", `a "b"c;`, nil},
		{"open quote", `a "b`, nil},
		{"no end", "a b", nil},
		{"no end of a block", "a {", nil},
		{"end without a block", "}", nil},
		{"word before the end of a block", "a { b }", nil},
		{"lone semicolon", ";", nil},
		{"lone block", "{ }", nil},
		{"too deep", strings.Repeat("a {", maxDepth+2), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parse([]byte(tc.text))
			if (err == nil) != (tc.want != nil) {
				t.Fatalf("%+v, error %v", got, err)
			}
			if diff := cmp.Diff(tc.want, append(tc.want[:0:0], got...), cmp.AllowUnexported(node{})); diff != "" && err == nil {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// The witness must see a printer that lies.
func TestCompareSeesEveryDifference(t *testing.T) {
	tree := []directive{dir(server).with(dir(serverName, literal("a")), dir(returnStatus, number(404)))}
	for _, text := range []string{
		`server { server_name "a"; return 404; } x;`, `server { server_name "a"; }`, `server { server_name "b"; return 404; }`,
		`server { server_name "a" b; return 404; }`, `server { server_name "a"; return 404 {} }`, `server;`, `http { server_name "a"; return 404; }`,
	} {
		read, err := parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if compare(tree, read) == nil {
			t.Errorf("%s passes", text)
		}
	}
	read, err := parse([]byte("server { server_name a; return '404'; }"))
	if err != nil || compare(tree, read) != nil {
		t.Errorf("the same in other words: %v, %v", err, compare(tree, read))
	}
}

// FuzzLiteral: whatever the text, the tree that NGINX reads is the tree that
// was printed, or nothing is printed at all.
func FuzzLiteral(f *testing.F) {
	for _, s := range hostilePaths {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, err := printTree([]directive{dir(server).with(dir(location, word("="), literal(s)).with(dir(returnStatus, number(404))))})
		bad := !utf8.ValidString(s) || strings.ContainsRune(s, '$') || strings.ContainsFunc(s, unicode.IsControl)
		if bad && err == nil {
			t.Fatalf("%q is printed: %q", s, text)
		}
		if err != nil {
			if !bad && len(s) < maxToken/2-1 {
				t.Fatalf("%q is refused: %v", s, err)
			}
			return
		}
		got, err := parse(text)
		want := []node{{words: []string{"server"}, opens: true, block: []node{
			{words: []string{"location", "=", s}, opens: true, block: []node{{words: []string{"return", "404"}}}}}}}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(node{})); err != nil || diff != "" {
			t.Errorf("%v, -want +got:\n%s", err, diff)
		}
	})
}

// FuzzParse: what is read, written with quotes, reads the same.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(`a "b\"" 'c\'' d\ e ${f} {g;}#`)
	f.Fuzz(func(t *testing.T, text string) {
		nodes, err := parse([]byte(text))
		if err != nil {
			return
		}
		again, err := parse([]byte(writeNodes(nodes)))
		if diff := cmp.Diff(nodes, again, cmp.AllowUnexported(node{})); err != nil || diff != "" {
			t.Errorf("%v, -first +second:\n%s", err, diff)
		}
	})
}

func writeNodes(nodes []node) string {
	var b strings.Builder
	for _, n := range nodes {
		for _, w := range n.words {
			b.WriteString(quote(w) + " ")
		}
		if n.opens {
			b.WriteString("{ " + writeNodes(n.block) + "}\n")
		} else {
			b.WriteString(";\n")
		}
	}
	return b.String()
}

// Text from outside must not become a word: the conversions to word and
// constant in this package have constant operands, and those to a file name
// come from names the daemon made.
func TestOnlyConstantsBecomeWords(t *testing.T) {
	fset := token.NewFileSet()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := goparser.ParseFile(fset, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			if fun, ok := call.Fun.(*ast.Ident); ok && (fun.Name == "word" || fun.Name == "constant") && !isConstant(call.Args[0]) {
				t.Errorf("%s: %s() of what is not a constant", fset.Position(call.Pos()), fun.Name)
			}
			return true
		})
	}
}

func isConstant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.BinaryExpr:
		return isConstant(e.X) && isConstant(e.Y)
	case *ast.Ident:
		return e.Name == "generationPath" || e.Name == "statusPath"
	case *ast.SelectorExpr:
		return e.Sel.Name == "text" // of forms
	}
	return false
}
