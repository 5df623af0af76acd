package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"harmony/bench/lab"
)

// TestLabVM boots a machine, even where the running kernel has IPVS, and checks
// what a command in there is promised.
func TestLabVM(t *testing.T) {
	lab.Require(t, "go", "qemu-system-x86_64", "depmod", "apt-get", "dpkg-deb", "ipvsadm")
	dir := t.TempDir()
	vm := filepath.Join(dir, "vm")
	build := exec.Command("go", "build", "-o", vm, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	kept := filepath.Join(dir, "kept, with a comma")
	if err := os.Mkdir(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	const script = `
echo "in $PWD with $GREETING and $1"
cat
ipvsadm -A -t 192.0.2.1:80 -s mh && ipvsadm -S -n
ip link add d0 type dummy && ip -br link show d0 | cut -d ' ' -f 1
nft add table inet t && nft list tables
touch "$KEPT/result" "$DIR/vanishes"
echo problem >&2
exit 7`
	cmd := exec.Command(vm, "-always", "-out", kept, "sh", "-c", script, "sh", `an "argument" with $signs`)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GREETING=héllo\nworld", "KEPT="+kept, "DIR="+dir)
	cmd.Stdin = strings.NewReader("from outside\n")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()

	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("ended with %v, want exit status 7", err)
	}
	want := "in " + dir + ` with héllo
world and an "argument" with $signs
from outside
-A -t 192.0.2.1:80 -s mh
d0
table inet t
`
	if stdout.String() != want {
		t.Errorf("standard output:\n%s\nwant:\n%s", &stdout, want)
	}
	if stderr.String() != "problem\n" {
		t.Errorf("standard error %q, want %q", &stderr, "problem\n")
	}
	if _, err := os.Stat(filepath.Join(kept, "result")); err != nil {
		t.Errorf("what is written to the shared folder: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "vanishes")); err == nil {
		t.Error("what is written elsewhere is on the host")
	}
}
