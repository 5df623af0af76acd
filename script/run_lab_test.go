package script

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"harmony/bench/lab"
)

// write puts a shell script into a folder that only root may write to.
func write(t *testing.T, text string) Script {
	t.Helper()
	path := filepath.Join(lab.Folder(t), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return Script{Name: "test", Command: []string{path}, User: "nobody", Timeout: 10 * time.Second}
}

func runner(t *testing.T) *Runner {
	t.Helper()
	r, err := NewRunner()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ignored is the signals that this process ignores, as the kernel shows them.
func ignored(t *testing.T) string {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "SigIgn:") {
			return line
		}
	}
	t.Fatal("no SigIgn in /proc/self/status")
	return ""
}

func TestLabRun(t *testing.T) {
	lab.Require(t, "root")
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil { // to be inherited
		t.Fatal(err)
	}
	t.Setenv("HARMONY_SECRET", "x")
	r := runner(t)
	for _, tt := range []struct {
		name, text string
		change     func(*Script)
		in         Input
		want       string // of the output
	}{
		{"arguments are words", `printf '<%s>' "$@"`, func(s *Script) { s.Command = append(s.Command, "a b", "$HOME;`id`") }, Input{Args: []string{"", "*"}}, "<a b><$HOME;`id`><><*>"},
		{"user and group", "id -u; id -g; id -G", nil, Input{}, "65534\n65534\n65534\n"},
		{"user by number", "id -u", func(s *Script) { s.User = "65534" }, Input{}, "65534\n"},
		{"another group", "id -u; id -g; id -G", func(s *Script) { s.Group = "adm" }, Input{}, "65534\n4\n4\n"},
		{"root if declared", "id -u", func(s *Script) { s.User = "root" }, Input{}, "0\n"},
		{"environment", "env | sort | grep -v ^PWD; pwd", nil, Input{Env: []string{"A=b c"}},
			"A=b c\nHOME=/nonexistent\nLANG=C.UTF-8\nLOGNAME=nobody\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nUSER=nobody\n/\n"},
		{"no new privileges", "grep NoNewPrivs /proc/self/status", nil, Input{}, "NoNewPrivs:\t1\n"},
		{"no capabilities", "grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status", nil, Input{}, "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n"},
		{"no descriptors", "for f in /proc/$$/fd/*; do n=${f##*/}; [ $n -gt 2 ] && [ $n -ne 10 ] && readlink $f; done; true", nil, Input{}, ""},
		{"no signals ignored but those that we were born with", "grep SigIgn /proc/self/status", nil, Input{}, ignored(t)},
		{"standard input", "cat", nil, Input{Stdin: []byte("told\n")}, "told\n"},
		{"standard input unread", "true", nil, Input{Stdin: make([]byte, 1<<20)}, ""},
		{"no standard input", "cat; tty", nil, Input{}, "not a tty\n"},
		{"left behind", "sleep 30 & echo $!", nil, Input{}, "*"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := write(t, tt.text)
			if tt.change != nil {
				tt.change(&s)
			}
			got := r.Run(t.Context(), s, tt.in)
			exit, failed := errors.AsType[*ExitError](got.Err)
			if got.Err != nil && (!failed || tt.name != "no standard input" || exit.Status != 1) {
				t.Fatalf("%v: %s", got.Err, got.Output)
			}
			if tt.want == "*" {
				if got.Took > 5*time.Second {
					t.Errorf("waited %v for what was left behind", got.Took)
				}
				_ = syscall.Kill(pid(t, got.Output), syscall.SIGKILL)
			} else if got.Output != tt.want {
				t.Errorf("got  %q\nwant %q", got.Output, tt.want)
			}
		})
	}
}

func pid(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestLabRunFails(t *testing.T) {
	r := runner(t)
	for _, tt := range []struct{ name, text, want string }{
		{"status", "echo first; echo last >&2; exit 3", "exit status 3: last"},
		{"signal", "kill -SEGV $$", "killed by SIGSEGV"},
		{"much output", "yes | head -c 1000000; exit 1", "exit status 1: y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := r.Run(t.Context(), write(t, tt.text), Input{})
			if got.Err == nil || got.Err.Error() != tt.want || len(got.Output) > maxOutput {
				t.Errorf("%v, %d bytes; want %s", got.Err, len(got.Output), tt.want)
			}
		})
	}
	t.Run("no interpreter", func(t *testing.T) {
		s := write(t, "")
		if err := os.WriteFile(s.Command[0], []byte("echo\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := r.Run(t.Context(), s, Input{}); !errors.Is(got.Err, unix.ENOEXEC) {
			t.Error(got.Err)
		}
	})
	t.Run("not for this user", func(t *testing.T) {
		s := write(t, "")
		if err := os.Chmod(s.Command[0], 0o700); err != nil {
			t.Fatal(err)
		}
		if got := r.Run(t.Context(), s, Input{}); !errors.Is(got.Err, fs.ErrPermission) || !strings.Contains(got.Err.Error(), "user nobody may not execute it") {
			t.Error(got.Err)
		}
	})
	t.Run("unknown user", func(t *testing.T) {
		s := write(t, "")
		s.User = "no-such-user"
		if got := r.Run(t.Context(), s, Input{}); got.Err == nil || !strings.Contains(got.Err.Error(), "there is no user no-such-user") {
			t.Error(got.Err)
		}
	})
}

// TestLabTimeoutKillsTheGroup: neither a child that ignores SIGTERM nor one
// whose parent obeys it survives.
func TestLabTimeoutKillsTheGroup(t *testing.T) {
	r := runner(t)
	for _, tt := range []struct{ name, text string }{
		{"the script obeys, its child does not", `sh -c 'trap "" TERM; echo $$; sleep 60; sleep 60' & wait`},
		{"nobody obeys", `trap "" TERM; sh -c 'trap "" TERM; echo $$; sleep 60; sleep 60'; sleep 60`},
		{"both obey", `sleep 60 & echo $!; wait`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := write(t, tt.text)
			s.Timeout = 300 * time.Millisecond
			got := r.Run(t.Context(), s, Input{})
			if !errors.Is(got.Err, ErrTimeout) || got.Took < s.Timeout || got.Took > s.Timeout+grace+2*time.Second {
				t.Errorf("%v after %v", got.Err, got.Took)
			}
			child := pid(t, got.Output)
			lab.Poll(t, 5*time.Second, "the child has ended", func() bool {
				return errors.Is(syscall.Kill(child, 0), syscall.ESRCH)
			})
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("not wanted any more")
		time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
		if got := r.Run(ctx, write(t, "sleep 60"), Input{}); !errors.Is(got.Err, why) || got.Took > 10*time.Second {
			t.Errorf("%v after %v", got.Err, got.Took)
		}
	})
}

func TestLabInsecureScriptIsNotRun(t *testing.T) {
	r := runner(t)
	mark := filepath.Join(lab.Folder(t), "ran")
	for _, tt := range []struct {
		name  string
		spoil func(s *Script) error
		want  string // part of the reason
	}{
		{"writable by all", func(s *Script) error { return os.Chmod(s.Command[0], 0o777) }, "may be written to by everybody"},
		{"writable by a group", func(s *Script) error {
			return errors.Join(os.Chown(s.Command[0], 0, 4), os.Chmod(s.Command[0], 0o775))
		}, "may be written to by group 4"},
		{"a stranger's", func(s *Script) error { return os.Chown(s.Command[0], 1, 1) }, "belongs to user 1, "},
		{"a stranger's folder", func(s *Script) error { return os.Chown(filepath.Dir(s.Command[0]), 1, 1) }, "belongs to user 1, "},
		{"below /tmp", func(s *Script) error {
			data, err := os.ReadFile(s.Command[0])
			s.Command[0] = filepath.Join(t.TempDir(), "script")
			return errors.Join(err, os.WriteFile(s.Command[0], data, 0o755))
		}, "is a folder that everybody may write to"},
		{"a link to there", func(s *Script) error {
			target, link := filepath.Join(t.TempDir(), "script"), s.Command[0]+"-link"
			data, err := os.ReadFile(s.Command[0])
			s.Command[0] = link
			return errors.Join(err, os.WriteFile(target, data, 0o755), os.Symlink(target, link))
		}, "is a folder that everybody may write to"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := write(t, fmt.Sprintf("echo x >%s\n", mark))
			s.User = "root"
			if err := tt.spoil(&s); err != nil {
				t.Fatal(err)
			}
			got := r.Run(t.Context(), s, Input{})
			bad, ok := errors.AsType[*InsecureError](got.Err)
			if !ok || !strings.Contains(bad.Reason, tt.want) {
				t.Errorf("got %v, want %q", got.Err, tt.want)
			}
			if check := Check(s); check == nil || check.Error() != got.Err.Error() {
				t.Errorf("Check says %v, Run %v", check, got.Err)
			}
			if _, err := os.Stat(mark); err == nil {
				t.Error("it ran")
			}
		})
	}
}
