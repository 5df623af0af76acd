package script

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// InsecureError says why a script is not run: somebody who is neither root nor
// the user it runs as could decide what is run, or it is no program.
type InsecureError struct {
	Script string // its name; "" if it is about a folder
	Path   string // the file or folder that is at fault
	Reason string // and what to do
}

// Error names the script, the path and the reason.
func (e *InsecureError) Error() string {
	if e.Script == "" {
		return e.Path + " " + e.Reason
	}
	return fmt.Sprintf("script %s is not run: %s %s", e.Script, e.Path, e.Reason)
}

// node is what a path names, without following a symbolic link.
type node struct {
	mode     fs.FileMode
	uid, gid uint32
	link     string // of a symbolic link
}

// account is who runs a script.
type account struct {
	name     string
	uid, gid uint32
	groups   []uint32 // supplementary
	home     string
}

// maxLinks bounds the symbolic links on a way, as the kernel does.
const maxLinks = 40

// secure walks from the root to the program as the kernel would, and returns
// nil if every folder and link on the way, and the program, can be changed by
// root and who alone. look is lstat.
func secure(name, program string, who account, look func(string) (node, error)) error {
	err := walk(program, look, func(at string, n node, last bool) string { return fault(at, n, who, last) })
	if bad, ok := errors.AsType[*InsecureError](err); ok {
		bad.Script = name
		return bad
	}
	if err != nil {
		return fmt.Errorf("script %s: %w", name, err)
	}
	return nil
}

// folderFault is fault for a folder in which root keeps something else.
func folderFault(at string, n node, _ bool) string { return rootsFault(at, n, true) }

// fileFault is fault for a file that root alone writes.
func fileFault(at string, n node, last bool) string { return rootsFault(at, n, !last) }

// rootsFault says what lets others than root change n, or "".
func rootsFault(at string, n node, folder bool) string {
	if n.uid != 0 {
		return fmt.Sprintf("belongs to user %d: chown root %s", n.uid, at)
	}
	return modeFault(at, n, folder)
}

// modeFault says what lets others than its owner change n, or that it is not
// what it should be, and what to do, or "".
func modeFault(at string, n node, folder bool) string {
	perm := n.mode.Perm()
	switch {
	case perm&0o002 != 0 && folder:
		return "is a folder that everybody may write to: choose one where only root may"
	case perm&0o002 != 0:
		return "may be written to by everybody: chmod o-w " + at
	case perm&0o020 != 0 && n.gid != 0:
		return fmt.Sprintf("may be written to by group %d: chmod g-w %s", n.gid, at)
	case folder && !n.mode.IsDir():
		return "is not a folder"
	case !folder && !n.mode.IsRegular():
		return "is not a file"
	}
	return ""
}

// walk goes from the root to a path as the kernel would, and ends at the first
// thing that judge has a reason against: last is what the path names.
func walk(program string, look func(string) (node, error), judge func(at string, n node, last bool) string) error {
	at, links := "/", 0
	rest := strings.Split(strings.TrimPrefix(program, "/"), "/")
	here, err := look(at)
	if err != nil {
		return err
	}
	for {
		if reason := judge(at, here, len(rest) == 0); reason != "" {
			return &InsecureError{Path: at, Reason: reason}
		}
		if len(rest) == 0 {
			return nil
		}
		next := path.Join(at, rest[0])
		rest = rest[1:]
		n, err := look(next)
		if err != nil {
			return err
		}
		if n.mode&fs.ModeSymlink == 0 {
			at, here = next, n
			continue
		}
		if links++; links > maxLinks {
			return fmt.Errorf("%s: too many symbolic links", next)
		}
		if path.IsAbs(n.link) {
			at = "/"
		}
		rest = append(words(n.link), rest...)
		if here, err = look(at); err != nil {
			return err
		}
	}
}

// words are the components of a link's target; path.Join resolves the "..".
// That is not what the kernel does behind a link to a folder, but at is never
// such a link: links are resolved one by one.
func words(target string) []string {
	var out []string
	for word := range strings.SplitSeq(target, "/") {
		if word != "" && word != "." {
			out = append(out, word)
		}
	}
	return out
}

// fault says what is wrong with n, at a path on the way of a program that who
// runs, and what to do, or "". last is the program itself.
func fault(at string, n node, who account, last bool) string {
	switch reason := modeFault(at, n, !last); {
	case n.uid != 0 && n.uid != who.uid && who.uid == 0:
		return fmt.Sprintf("belongs to user %d, and the script runs as root: chown root %s", n.uid, at)
	case n.uid != 0 && n.uid != who.uid:
		return fmt.Sprintf("belongs to user %d, who is neither root nor %s, whom the script runs as: chown root %s", n.uid, who.name, at)
	case reason != "":
		return reason
	case last && n.mode.Perm()&0o111 == 0:
		return "is not executable: chmod a+x " + at
	}
	return ""
}
