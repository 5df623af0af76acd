package script

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// Check returns nil if s would be run on this node as it is now: its user is
// known, and the program is there and nobody but root and that user can change
// what it is. Run looks again before each run.
func Check(s Script) error {
	_, err := admit(s)
	return err
}

// SecureFolder returns nil if nobody but root can change which folder that path
// is, and what is in it.
func SecureFolder(path string) error { return walk(path, lstat, folderFault) }

// SecureFile returns nil if nobody but root can change which file that path is,
// and what is in it.
func SecureFile(path string) error { return walk(path, lstat, fileFault) }

// admit is Check, and says who runs it.
func admit(s Script) (account, error) {
	if err := s.Validate(); err != nil {
		return account{}, fmt.Errorf("script %s: %w", s.Name, err)
	}
	who, err := accountOf(s)
	if err != nil {
		return account{}, fmt.Errorf("script %s: %w", s.Name, err)
	}
	return who, secure(s.Name, s.Command[0], who, lstat)
}

func lstat(path string) (node, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return node{}, &fs.PathError{Op: "looking at", Path: path, Err: err}
	}
	n := node{mode: fs.FileMode(st.Mode & 0o777), uid: st.Uid, gid: st.Gid}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		n.mode |= fs.ModeDir
	case unix.S_IFLNK:
		n.mode |= fs.ModeSymlink
		link, err := os.Readlink(path)
		if err != nil {
			return node{}, err
		}
		n.link = link
	default:
		n.mode |= fs.ModeIrregular
	}
	return n, nil
}

// accountOf finds who runs s, in /etc/passwd and /etc/group.
func accountOf(s Script) (account, error) {
	u, err := userOf(s.User)
	if err != nil {
		return account{}, err
	}
	who := account{name: u.Username, home: u.HomeDir}
	if who.uid, err = number(u.Uid); err != nil {
		return account{}, err
	}
	if s.Group == "" {
		ids, err := u.GroupIds()
		if err != nil {
			return account{}, fmt.Errorf("the groups of user %s: %w", u.Username, err)
		}
		for _, id := range ids {
			gid, err := number(id)
			if err != nil {
				return account{}, err
			}
			who.groups = append(who.groups, gid)
		}
		who.gid, err = number(u.Gid)
		return who, err
	}
	who.gid, err = groupOf(s.Group)
	return who, err
}

func userOf(name string) (*user.User, error) {
	if name == "" {
		u, err := user.Lookup(DefaultUser)
		if !errors.As(err, new(user.UnknownUserError)) {
			return u, err
		}
		name = FallbackUser
	}
	u, err := user.Lookup(name)
	if errors.As(err, new(user.UnknownUserError)) {
		if u, err := user.LookupId(name); err == nil {
			return u, nil
		}
		return nil, fmt.Errorf("there is no user %s on this node: add it, or name another in the script's user", name)
	}
	return u, err
}

func groupOf(name string) (uint32, error) {
	if gid, err := number(name); err == nil {
		return gid, nil
	}
	g, err := user.LookupGroup(name)
	if errors.As(err, new(user.UnknownGroupError)) {
		return 0, fmt.Errorf("there is no group %s on this node: add it, or name another in the script's group", name)
	}
	if err != nil {
		return 0, err
	}
	return number(g.Gid)
}

func number(id string) (uint32, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("id %q: %w", id, err)
	}
	return uint32(n), nil
}
