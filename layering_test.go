// Package harmony_test keeps the architecture: which package may import which,
// where clocks, sockets and exits may be, as ARCHITECTURE.md says.
package harmony_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const module = "harmony"

// imports says which of our packages each package may import, tests apart.
// "*" is all of them. What is below bench are tools, and may import anything,
// but nothing else may import them.
var imports = map[string]string{
	"api/v1alpha1":      "",
	"runfile":           "",
	"vrrp":              "",
	"vrrp/vip":          "vrrp runfile",
	"ipvs":              "runfile",
	"nft":               "",
	"script":            "", // a leaf: trackers and notifications both run scripts
	"check":             "script",
	"notify":            "vrrp script",
	"nginxconf":         "runfile",
	"source":            "api/v1alpha1 runfile",
	"source/folder":     "api/v1alpha1 source",
	"source/kube":       "api/v1alpha1 source",
	"source/keepalived": "api/v1alpha1 source",
	"ingress":           "api/v1alpha1 source nginxconf",
	"cluster":           "api/v1alpha1 source ingress vrrp ipvs nft check nginxconf script notify",
	"cluster/gossip":    "vrrp runfile",
	"cluster/provision": "api/v1alpha1",
	"cluster/contiv":    "api/v1alpha1",
	"cluster/aci":       "api/v1alpha1",
	"controller":        "api/v1alpha1 source cluster",
	"agent": "api/v1alpha1 source source/folder source/kube source/keepalived ingress cluster cluster/gossip " +
		"vrrp vrrp/vip ipvs nft check nginxconf runfile script notify",
	"cmd/harmony": "*",
}

// libraries says which packages may import a library, by the beginning of its
// path. The tools may import any.
var libraries = map[string]string{
	"k8s.io/client-go":                "source/kube controller",
	"k8s.io/":                         "api/v1alpha1 source source/folder source/kube ingress cluster controller",
	"github.com/hashicorp/memberlist": "cluster/gossip",
	"github.com/prometheus/":          "agent controller",
	"github.com/spf13/cobra":          "cmd/harmony",
}

// kernelDoors may be imported by files for Linux only, which are the shells, and
// by the program, which is one as a whole. Of package syscall, other files may
// use the names of signals and errors.
var kernelDoors = []string{
	"golang.org/x/sys/unix", "github.com/vishvananda/",
	"github.com/mdlayher/packet", "github.com/mdlayher/netlink", "github.com/mdlayher/socket", "github.com/google/nftables",
}

// pure lists the packages whose files are pure: no clocks, timers or
// randomness, tests apart. The files named, and those for Linux, are shells.
var pure = map[string]string{
	"api/v1alpha1":   "",
	"vrrp":           "",
	"vrrp/vip":       "",
	"ipvs":           "",
	"nft":            "",
	"script":         "",
	"check":          "runner.go",
	"notify":         "notifier.go",
	"nginxconf":      "apply.go supervisor.go",
	"source":         "",
	"ingress":        "",
	"cluster":        "",
	"cluster/gossip": "",
}

// impure are the names of package time that ask the clock or set a timer.
const impure = "Now Since Until Sleep After AfterFunc NewTimer NewTicker Tick"

// source is a file of the module.
type source struct {
	pkg  string // path in the module, as in the tables above
	name string
	ast  *ast.File
}

func (s source) path() string { return path.Join(s.pkg, s.name) }
func (s source) test() bool   { return strings.HasSuffix(s.name, "_test.go") }
func (s source) linux() bool {
	return strings.HasSuffix(s.name, "_linux.go")
}
func (s source) tool() bool { return s.pkg == "bench" || strings.HasPrefix(s.pkg, "bench/") }

func TestLayering(t *testing.T) {
	comments := map[string]int{} // by package: its package comments
	for _, s := range parseModule(t) {
		for _, fault := range faults(s) {
			t.Errorf("%s: %s", s.path(), fault)
		}
		if s.test() {
			continue
		}
		comments[s.pkg] += 0
		if s.ast.Doc != nil {
			comments[s.pkg]++
		}
	}
	for pkg, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d package comments, want 1", pkg, n)
		}
	}
}

// parseModule reads every Go file of the module, generated ones included.
func parseModule(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && d.Name() != "."
		if d.IsDir() && (hidden || d.Name() == "testdata" || d.Name() == "tools" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(file) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{pkg: filepath.ToSlash(filepath.Dir(file)), name: d.Name(), ast: parsed})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// faults says what is wrong with a file.
func faults(s source) []string {
	if s.test() {
		return skips(s)
	}
	found := append(importFaults(s), calls(s)...)
	if _, known := imports[s.pkg]; !known && !s.tool() {
		found = append(found, "package "+s.pkg+" is not in the table of imports")
	}
	return found
}

func importFaults(s source) []string {
	var found []string
	for _, spec := range s.ast.Imports {
		name := strings.Trim(spec.Path.Value, `"`)
		ours, isOurs := strings.CutPrefix(name, module+"/")
		switch {
		case s.tool():
		case isOurs && strings.HasPrefix(ours, "bench/"):
			found = append(found, "imports the tool "+ours)
		case isOurs && imports[s.pkg] != "*" && !lists(imports[s.pkg], ours):
			found = append(found, s.pkg+" may not import "+ours)
		case !isOurs && !mayUse(s.pkg, name):
			found = append(found, s.pkg+" may not import "+name)
		case isKernelDoor(name) && !s.linux() && s.pkg != "cmd/harmony":
			found = append(found, name+" belongs in a file for Linux")
		}
		if isPure(s) && (strings.HasPrefix(name, "math/rand") || name == "crypto/rand") {
			found = append(found, "a pure file imports "+name)
		}
	}
	return found
}

// mayUse applies the longest entry of libraries that fits.
func mayUse(pkg, library string) bool {
	longest, users := "", ""
	for prefix, u := range libraries {
		if strings.HasPrefix(library, prefix) && len(prefix) > len(longest) {
			longest, users = prefix, u
		}
	}
	return longest == "" || lists(users, pkg)
}

func isKernelDoor(name string) bool {
	for _, door := range kernelDoors {
		if strings.HasPrefix(name, door) {
			return true
		}
	}
	return false
}

func isPure(s source) bool {
	shells, ok := pure[s.pkg]
	return ok && !s.linux() && !lists(shells, s.name)
}

// calls finds what a file may not use: ends of the process outside of
// programs, init functions, and in pure files clocks and timers.
func calls(s source) []string {
	var found []string
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				found = append(found, "has a func init")
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "panic" && s.ast.Name.Name != "main" {
				found = append(found, "calls panic")
			}
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			used := pkg.Name + "." + n.Sel.Name
			name := n.Sel.Name
			switch {
			case s.ast.Name.Name != "main" && (used == "os.Exit" || pkg.Name == "log" && strings.HasPrefix(name, "Fatal")):
				found = append(found, "uses "+used)
			case isPure(s) && pkg.Name == "time" && lists(impure, name):
				found = append(found, "uses "+used)
			case pkg.Name == "syscall" && !s.linux() && !s.tool() && !strings.HasPrefix(name, "SIG") && !strings.HasPrefix(name, "E"):
				found = append(found, used+" belongs in a file for Linux")
			}
		}
		return true
	})
	return found
}

// skips finds tests that skip by themselves: only the lab may do that, since
// it can be told not to.
func skips(s source) []string {
	if s.pkg == "bench/lab" {
		return nil
	}
	var found []string
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && lists("Skip Skipf SkipNow", f.Sel.Name) {
				found = append(found, "skips by itself; use lab.Require")
			}
		}
		return true
	})
	return found
}

// lists reports whether a list of words, separated by spaces, has the word.
func lists(words, word string) bool {
	for w := range strings.FieldsSeq(words) {
		if w == word {
			return true
		}
	}
	return false
}

// TestLayeringRules shows each rule a file that breaks it, and one that may.
func TestLayeringRules(t *testing.T) {
	tests := []struct {
		name  string
		file  string
		text  string
		fault string // "" for none
	}{
		{"allowed import", "vrrp/vip/a.go", `package vip; import _ "harmony/vrrp"`, ""},
		{"import upwards", "vrrp/a.go", `package vrrp; import _ "harmony/agent"`, "vrrp may not import agent"},
		{"sibling", "nft/a.go", `package nft; import _ "harmony/ipvs"`, "nft may not import ipvs"},
		{"the top imports all", "cmd/harmony/a.go", `package main; import _ "harmony/agent"`, ""},
		{"tool imported", "cmd/harmony/a.go", `package main; import _ "harmony/bench/lab"`, "imports the tool bench/lab"},
		{"tool imports", "bench/demo/a.go", `package main; import _ "harmony/bench/lab"`, ""},
		{"tool imported by a test", "vrrp/a_test.go", `package vrrp; import _ "harmony/bench/lab"`, ""},
		{"unknown package", "util/a.go", `package util`, "package util is not in the table of imports"},
		{"client-go elsewhere", "source/a.go", `package source; import _ "k8s.io/client-go/rest"`, "source may not import k8s.io/client-go/rest"},
		{"client-go", "source/kube/a.go", `package kube; import _ "k8s.io/client-go/rest"`, ""},
		{"Kubernetes types in a leaf", "ipvs/a.go", `package ipvs; import _ "k8s.io/api/core/v1"`, "ipvs may not import k8s.io/api/core/v1"},
		{"memberlist elsewhere", "agent/a.go", `package agent; import _ "github.com/hashicorp/memberlist"`, "agent may not import github.com/hashicorp/memberlist"},
		{"metrics elsewhere", "nginxconf/a.go", `package nginxconf; import _ "github.com/prometheus/client_golang/prometheus"`, "nginxconf may not import github.com/prometheus/client_golang/prometheus"},
		{"netlink in a core", "vrrp/a.go", `package vrrp; import _ "github.com/vishvananda/netlink"`, "github.com/vishvananda/netlink belongs in a file for Linux"},
		{"netlink in a shell", "vrrp/a_linux.go", `package vrrp; import _ "github.com/vishvananda/netlink"`, ""},
		{"system call in a core", "agent/a.go", `package agent; import "syscall"; var _ = syscall.Flock`, "syscall.Flock belongs in a file for Linux"},
		{"signal", "agent/a.go", `package agent; import "syscall"; var _ = syscall.SIGHUP`, ""},
		{"clock in a core", "vrrp/a.go", `package vrrp; import "time"; var _ = time.Now`, "uses time.Now"},
		{"duration in a core", "vrrp/a.go", `package vrrp; import "time"; var _ time.Duration`, ""},
		{"clock in a shell", "check/runner.go", `package check; import "time"; var _ = time.Now`, ""},
		{"timer in a core", "cluster/a.go", `package cluster; import "time"; func f() { time.NewTimer(1) }`, "uses time.NewTimer"},
		{"randomness in a core", "vrrp/a.go", `package vrrp; import _ "math/rand/v2"`, "a pure file imports math/rand/v2"},
		{"panic", "ipvs/a.go", `package ipvs; func f() { panic(1) }`, "calls panic"},
		{"exit", "agent/a.go", `package agent; import "os"; func f() { os.Exit(1) }`, "uses os.Exit"},
		{"exit of a program", "cmd/harmony/a.go", `package main; import "os"; func f() { os.Exit(1) }`, ""},
		{"log.Fatal", "agent/a.go", `package agent; import "log"; func f() { log.Fatalf("x") }`, "uses log.Fatalf"},
		{"init", "agent/a.go", `package agent; func init() {}`, "has a func init"},
		{"skip", "vrrp/a_test.go", `package vrrp; import "testing"; func TestA(t *testing.T) { t.Skip() }`, "skips by itself; use lab.Require"},
		{"skip of the lab", "bench/lab/a_test.go", `package lab; import "testing"; func TestA(t *testing.T) { t.Skip() }`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			parsed, err := parser.ParseFile(token.NewFileSet(), tt.file, tt.text, 0)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(faults(source{pkg: path.Dir(tt.file), name: path.Base(tt.file), ast: parsed}), "; ")
			if got != tt.fault {
				t.Errorf("faults %q, want %q", got, tt.fault)
			}
		})
	}
}
