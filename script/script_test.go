package script

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"
)

func valid() Script {
	return Script{Name: "a", Command: []string{"/usr/bin/true", "x"}, Timeout: time.Second}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*Script)
		want  string // part of the error; "" for none
	}{
		{"good", func(*Script) {}, ""},
		{"with user and group", func(s *Script) { s.User, s.Group = "www-data", "4" }, ""},
		{"user of Samba", func(s *Script) { s.User = "host$" }, ""},
		{"no name", func(s *Script) { s.Name = "" }, "needs a name"},
		{"no timeout", func(s *Script) { s.Timeout = 0 }, "timeout"},
		{"no program", func(s *Script) { s.Command = nil }, "needs a program"},
		{"search path", func(s *Script) { s.Command[0] = "true" }, `"true" is not an absolute path`},
		{"relative path", func(s *Script) { s.Command[0] = "./true" }, "is not an absolute path"},
		{"not clean", func(s *Script) { s.Command[0] = "/usr/bin/../bin/true" }, `write it as "/usr/bin/true"`},
		{"slashes", func(s *Script) { s.Command[0] = "//usr//bin/true" }, `write it as "/usr/bin/true"`},
		{"zero byte", func(s *Script) { s.Command[1] = "a\x00b" }, "zero byte"},
		{"long word", func(s *Script) { s.Command[1] = strings.Repeat("x", maxArgument+1) }, "longer than 4096"},
		{"many words", func(s *Script) { s.Command = append(s.Command, make([]string, maxArguments)...) }, "66 words"},
		{"shell in the user", func(s *Script) { s.User = "a;b" }, "not the name of a user"},
		{"option as user", func(s *Script) { s.User = "-x" }, "not the name of a user"},
		{"slash in the group", func(s *Script) { s.Group = "../x" }, "not the name of a group"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := valid()
			tt.spoil(&s)
			err := s.Validate()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// paths is a file system: what is not listed is not there.
type paths map[string]node

func (p paths) look(path string) (node, error) {
	n, ok := p[path]
	if !ok {
		return node{}, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return n, nil
}

func dir(mode fs.FileMode, uid, gid uint32) node {
	return node{mode: fs.ModeDir | mode, uid: uid, gid: gid}
}

func file(mode fs.FileMode, uid, gid uint32) node { return node{mode: mode, uid: uid, gid: gid} }

func link(to string) node { return node{mode: fs.ModeSymlink | 0o777, uid: 1000, link: to} }

// good has /opt/bin/chk, which root owns, and /home/u/chk, of user 1000.
func good() paths {
	return paths{
		"/": dir(0o755, 0, 0), "/opt": dir(0o755, 0, 0), "/opt/bin": dir(0o755, 0, 0), "/opt/bin/chk": file(0o755, 0, 0),
		"/home": dir(0o755, 0, 0), "/home/u": dir(0o755, 1000, 1000), "/home/u/chk": file(0o755, 1000, 1000),
		"/tmp": dir(fs.ModeSticky|0o777, 0, 0), "/tmp/chk": file(0o755, 0, 0),
	}
}

func TestSecure(t *testing.T) {
	root, user, other := account{name: "root"}, account{name: "u", uid: 1000}, account{name: "o", uid: 1001}
	for _, tt := range []struct {
		name   string
		change paths
		run    string
		who    account
		want   string // "PATH REASON", beginnings of both; "" for secure
	}{
		{"root's", nil, "/opt/bin/chk", root, ""},
		{"root's, run by another", nil, "/opt/bin/chk", user, ""},
		{"the user's own", nil, "/home/u/chk", user, ""},
		{"a user's, run by root", nil, "/home/u/chk", root, "/home/u belongs to user 1000, and the script runs as root: chown root /home/u"},
		{"a user's, run by another", nil, "/home/u/chk", other, "/home/u belongs to user 1000, who is neither root nor o"},
		{"only the file is a user's", paths{"/opt/bin/chk": file(0o755, 1000, 0)}, "/opt/bin/chk", root, "/opt/bin/chk belongs to user 1000"},
		{"only a folder far up is", paths{"/opt": dir(0o755, 1000, 0)}, "/opt/bin/chk", root, "/opt belongs to user 1000"},
		{"the root folder is", paths{"/": dir(0o755, 1000, 0)}, "/opt/bin/chk", root, "/ belongs to user 1000"},
		{"sticky folder", nil, "/tmp/chk", root, "/tmp is a folder that everybody may write to"},
		{"sticky folder of the user", paths{"/home/u": dir(fs.ModeSticky|0o777, 1000, 0)}, "/home/u/chk", user, "/home/u is a folder that everybody"},
		{"file open to all", paths{"/opt/bin/chk": file(0o757, 0, 0)}, "/opt/bin/chk", root, "/opt/bin/chk may be written to by everybody: chmod o-w /opt/bin/chk"},
		{"file open to a group", paths{"/opt/bin/chk": file(0o775, 0, 50)}, "/opt/bin/chk", root, "/opt/bin/chk may be written to by group 50: chmod g-w /opt/bin/chk"},
		{"folder open to a group", paths{"/opt/bin": dir(0o775, 0, 50)}, "/opt/bin/chk", user, "/opt/bin may be written to by group 50"},
		{"open to the user's own group", paths{"/home/u": dir(0o775, 1000, 1000)}, "/home/u/chk", user, "/home/u may be written to by group 1000"},
		{"open to root's group", paths{"/opt/bin": dir(0o775, 0, 0), "/opt/bin/chk": file(0o775, 0, 0)}, "/opt/bin/chk", root, ""},
		{"missing", nil, "/opt/bin/no", root, "! script s: /opt/bin/no: file does not exist"},
		{"missing folder", nil, "/no/chk", root, "! script s: /no: file does not exist"},
		{"a folder", nil, "/opt/bin", root, "/opt/bin is not a file"},
		{"a device", paths{"/opt/bin/chk": file(fs.ModeIrregular|0o755, 0, 0)}, "/opt/bin/chk", root, "/opt/bin/chk is not a file"},
		{"a file as folder", nil, "/opt/bin/chk/x", root, "/opt/bin/chk is not a folder"},
		{"not executable", paths{"/opt/bin/chk": file(0o644, 0, 0)}, "/opt/bin/chk", root, "/opt/bin/chk is not executable: chmod a+x /opt/bin/chk"},
		{"link to the good", paths{"/opt/l": link("bin/chk")}, "/opt/l", root, ""},
		{"link that climbs", paths{"/opt/bin/l": link("../../opt/./bin/chk")}, "/opt/bin/l", root, ""},
		{"link above the root", paths{"/opt/l": link("../../../opt/bin/chk")}, "/opt/l", root, ""},
		{"link to the bad", paths{"/opt/l": link("/tmp/chk")}, "/opt/l", root, "/tmp is a folder that everybody"},
		{"folder link to the bad", paths{"/opt/l": link("/home/u/")}, "/opt/l/chk", root, "/home/u belongs to user 1000"},
		{"good link in a bad folder", paths{"/tmp/l": link("/opt/bin/chk")}, "/tmp/l", root, "/tmp is a folder that everybody"},
		{"link by way of a bad folder", paths{"/opt/l": link("/tmp/../opt/bin/chk")}, "/opt/l", root, "/tmp is a folder that everybody"},
		{"link to a link", paths{"/opt/l": link("m"), "/opt/m": link("/opt/bin/chk")}, "/opt/l", root, ""},
		{"links in a ring", paths{"/opt/l": link("m"), "/opt/m": link("l")}, "/opt/l", root, "! script s: /opt/l: too many symbolic links"},
		{"dangling link", paths{"/opt/l": link("/no")}, "/opt/l", root, "! script s: /no: file does not exist"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := good()
			for path, n := range tt.change {
				tree[path] = n
			}
			err := secure("s", tt.run, tt.who, tree.look)
			got := ""
			if bad, ok := errors.AsType[*InsecureError](err); ok {
				got = bad.Path + " " + bad.Reason
			} else if err != nil {
				got = "! " + err.Error()
			}
			if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestSecureFile(t *testing.T) {
	tree := good()
	tree["/opt/bin/group"], tree["/opt/bin/all"], tree["/opt/bin/user"] = file(0o664, 0, 50), file(0o666, 0, 0), file(0o600, 1000, 0)
	for path, want := range map[string]string{
		"/opt/bin/chk":   "",
		"/opt/bin":       "/opt/bin is not a file",
		"/opt/bin/group": "/opt/bin/group may be written to by group 50: chmod g-w /opt/bin/group",
		"/opt/bin/all":   "/opt/bin/all may be written to by everybody: chmod o-w /opt/bin/all",
		"/opt/bin/user":  "/opt/bin/user belongs to user 1000: chown root /opt/bin/user",
		"/home/u/chk":    "/home/u belongs to user 1000: chown root /home/u",
		"/tmp/chk":       "/tmp is a folder that everybody may write to: choose one where only root may",
		"/opt/bin/chk/x": "/opt/bin/chk is not a folder",
	} {
		tree["/opt/bin/chk/x"] = file(0o600, 0, 0)
		got := ""
		if err := walk(path, tree.look, fileFault); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if err := walk("/opt/bin", tree.look, folderFault); err != nil {
		t.Error(err)
	}
}

func TestTail(t *testing.T) {
	var out tail
	for i := range 3000 {
		fmt.Fprintf(&out, "line %d\n", i)
	}
	if s := string(out.b); len(s) != maxOutput || !strings.HasSuffix(s, "line 2999\n") {
		t.Errorf("%d bytes ending in %q", len(s), s[max(0, len(s)-20):])
	}
	large := append(make([]byte, 3*maxOutput), "end"...)
	if n, err := out.Write(large); n != len(large) || err != nil || len(out.b) != maxOutput || !strings.HasSuffix(string(out.b), "end") {
		t.Errorf("one large write: %d, %v; kept %d", n, err, len(out.b))
	}
}

func FuzzLastLine(f *testing.F) {
	f.Add("")
	f.Add("one\ntwo\n\n")
	f.Add("\x1b[31mred\xff\r\n")
	f.Fuzz(func(t *testing.T, output string) {
		line := lastLine(output)
		if len([]rune(line)) > 203 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("%q", line)
		}
		if strings.TrimSpace(output) == "" && line != "" {
			t.Errorf("%q of nothing", line)
		}
	})
}

func TestExitError(t *testing.T) {
	for want, e := range map[string]*ExitError{
		"exit status 3":          {Status: 3},
		"exit status 1: no pong": {Status: 1, Said: lastLine("ping\nno pong\n")},
		"killed by SIGSEGV":      {Status: 139, Signal: "SIGSEGV"},
	} {
		if e.Error() != want {
			t.Errorf("%q, want %q", e, want)
		}
	}
}
