package check

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"harmony/bench/lab"
)

func TestProbeFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	const noNumber, noPID = "the file does not hold a number", "the file does not hold the number of a process"
	for _, tt := range []struct {
		name  string
		kind  Type
		path  string
		value int
		want  string // beginning of the error
	}{
		{"a file", File, write("a", ""), 0, ""},
		{"a folder", File, dir, 0, ""},
		{"nothing", File, filepath.Join(dir, "no"), 0, "stat "},
		{"a number", Number, write("n", " -17\n"), -17, ""},
		{"a number with sign", Number, write("p", "+5"), 5, ""},
		{"no such number", Number, filepath.Join(dir, "no"), 0, ""},
		{"an empty number", Number, write("e", ""), 0, noNumber},
		{"a half number", Number, write("h", "12x"), 0, noNumber},
		{"a huge number", Number, write("g", "1000001"), 0, noNumber},
		{"a long number", Number, write("l", strings.Repeat("1", 1<<20)), 0, noNumber},
		{"a secret", Number, write("s", "hunter2"), 0, noNumber},
		{"a pipe", Number, pipe, 0, "open " + pipe + ": is not a file"},
		{"a device", Number, "/dev/zero", 0, "open /dev/zero: is not a file"},
		{"our pid", PIDFile, write("our", fmt.Sprintf("%d\n", os.Getpid())), 0, ""},
		{"no pid file", PIDFile, filepath.Join(dir, "no"), 0, "stat "},
		{"no pid", PIDFile, write("zero", "0"), 0, noPID},
		{"path for a pid", PIDFile, write("path", "1/../self"), 0, noPID},
		{"pid out of range", PIDFile, write("out", "4194305"), 0, noPID},
		{"pid of nobody", PIDFile, write("dead", "4194304"), 0, "process 4194304 does not run"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			value, err := new(Prober).Probe(t.Context(), Spec{Type: tt.kind, Name: tt.path})
			if value != tt.value || (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%d, %v; want %d, %q", value, err, tt.value, tt.want)
			}
		})
	}
}

// TestProbeProcess counts real processes: by the name of their file, longer
// than what the kernel keeps of it, and not after their death.
func TestProbeProcess(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	name := "harmony-count-" + strconv.Itoa(os.Getpid())
	path := filepath.Join(t.TempDir(), name)
	data, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o700); err != nil {
		t.Fatal(err)
	}
	look := func(name string, low, high int) error {
		_, err := new(Prober).Probe(context.Background(), Spec{Type: Process, Name: name, Min: low, Max: high})
		return err
	}
	if err := look(name, 1, 0); err == nil || err.Error() != "no process "+name+" runs" {
		t.Errorf("none: %v", err)
	}
	var all []*exec.Cmd
	for range 2 {
		cmd := exec.Command(path, "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	for _, tt := range []struct {
		name      string
		low, high int
		want      string
	}{
		{name, 1, 0, ""}, {name, 2, 2, ""},
		{name, 3, 0, "2 processes " + name + " run, fewer than 3"},
		{name, 1, 1, "2 processes " + name + " run, more than 1"},
		{name[:maxComm], 0, 1, "2 processes"}, // what the kernel keeps is a name too
		{name[:maxComm+1], 0, 1, ""},
	} {
		err := look(tt.name, tt.low, tt.high)
		if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s from %d to %d: %v, want %q", tt.name, tt.low, tt.high, err, tt.want)
		}
	}
	if err := all[0].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	lab.Poll(t, 5e9, "a zombie does not count", func() bool { return look(name, 1, 1) == nil })
	if err := all[1].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range all {
		_ = cmd.Wait() // it was killed
	}
	if look(name, 1, 0) == nil {
		t.Error("the dead count")
	}
}

func TestParseStat(t *testing.T) {
	for _, tt := range []struct {
		stat, name  string
		running, ok bool
	}{
		{"1 (systemd) S 0 1 1", "systemd", true, true},
		{"7 (a) R) (b) Z 0", "a) R) (b", false, true},
		{"7 (x\n) D 1", "x\n", true, true},
		{"7 () X 0", "", false, true},
		{"7 (x)", "", false, false},
		{"7 x S", "", false, false},
		{")(", "", false, false},
		{"", "", false, false},
	} {
		name, running, ok := parseStat([]byte(tt.stat))
		if name != tt.name || running != tt.running || ok != tt.ok {
			t.Errorf("%q: %q, %v, %v", tt.stat, name, running, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1 (init) S 0", "\x00\x00\x00\x00\x02\x08\x01", "-17\n", "\x00\x00\x00\x00\x0b\x12\x05hello\x08\x01\x0d\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if name, _, ok := parseStat(data); ok && !strings.Contains(string(data), "("+name+")") {
			t.Errorf("the name %q is not in %q", name, data)
		}
		if n, err := parseNumber(string(data)); err == nil && (n > maxNumber || n < -maxNumber) {
			t.Errorf("%q is %d", data, n)
		}
		if n, err := parsePID(string(data)); err == nil && n < 1 {
			t.Errorf("%q is process %d", data, n)
		}
		status, err := parseHealth(data)
		if err != nil && status != 0 {
			t.Errorf("%x: status %d and %v", data, status, err)
		}
		if err == nil && len(data) != 5+int(uint32(data[1])<<24|uint32(data[2])<<16|uint32(data[3])<<8|uint32(data[4])) {
			t.Errorf("%x was accepted", data)
		}
	})
}

// TestHealthRequest: what is sent can be parsed as what it is.
func TestHealthRequest(t *testing.T) {
	long := strings.Repeat("x", 300)
	for service, want := range map[string]string{
		"":   "\x00\x00\x00\x00\x00",
		"ab": "\x00\x00\x00\x00\x04\x0a\x02ab",
		long: "\x00\x00\x00\x01\x2f\x0a\xac\x02" + long,
	} {
		if got := string(healthRequest(service)); got != want {
			t.Errorf("%q: %q", service, got)
		}
	}
}
