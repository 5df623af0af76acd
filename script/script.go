// Package script runs the scripts and programs that Settings declare, without
// a shell and safely: as an unprivileged user, with a minimal environment, no
// inherited descriptors, no way to new privileges, a time limit for the whole
// process group, and only from paths that nobody else can write to.
//
// Check and Run are for declared scripts only: nothing that comes from
// Kubernetes may become a Command.
package script

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
)

// Script is a declared script. It is a value.
type Script struct {
	Name string `json:"name"` // what objects call it
	// Command is the program, by its absolute path, and its arguments. The
	// kernel runs it: words are words, and no shell looks at them.
	Command []string `json:"command"`
	// User and Group are who runs it, by name or number. Without a User it is
	// DefaultUser, or FallbackUser where the node has no such user; root only
	// if User says so. Without a Group it is the User's own.
	User  string `json:"user,omitempty"`
	Group string `json:"group,omitempty"`
	// Timeout is how long it may take, > 0. Then its whole process group gets
	// SIGTERM, and SIGKILL half a second later.
	Timeout time.Duration `json:"timeout"`
}

// Who runs scripts that name no user: keepalived's own choice, and where it
// does not exist the user that owns nothing.
const (
	DefaultUser  = "keepalived_script"
	FallbackUser = "nobody"
)

// Bounds of a Script.
const (
	maxArguments = 64
	maxArgument  = 4096 // bytes, as PATH_MAX
)

// accountName is what useradd accepts (shadow's is_valid_name), or a number.
var accountName = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_.-]{0,30}\$?|[0-9]{1,10})$`)

// Validate returns nil if the Script can be run on some node, and else the
// reason; it looks at no file.
func (s Script) Validate() error {
	switch {
	case s.Name == "":
		return errors.New("a script needs a name")
	case s.Timeout <= 0:
		return errors.New("timeout must be above 0")
	}
	return errors.Join(ValidCommand(s.Command), ValidAccount("user", s.User), ValidAccount("group", s.Group))
}

// ValidCommand returns nil if the kernel could run command, or the reason.
func ValidCommand(command []string) error {
	switch {
	case len(command) == 0:
		return errors.New("command needs a program")
	case len(command) > maxArguments:
		return fmt.Errorf("command has %d words, more than %d", len(command), maxArguments)
	case !path.IsAbs(command[0]):
		return fmt.Errorf("%q is not an absolute path: no search path is used, so write all of it", cut(command[0]))
	case path.Clean(command[0]) != command[0]:
		return fmt.Errorf("%q: write it as %q", cut(command[0]), cut(path.Clean(command[0])))
	}
	for _, word := range command {
		if len(word) > maxArgument || strings.ContainsRune(word, 0) {
			return fmt.Errorf("command has a word that is longer than %d bytes, or with a zero byte in it", maxArgument)
		}
	}
	return nil
}

// ValidAccount returns nil if name can be that of a user or group, or is empty;
// what is the word for it in the error.
func ValidAccount(what, name string) error {
	if name != "" && !accountName.MatchString(name) {
		return fmt.Errorf("%q is not the name of a %s, nor its number", cut(name), what)
	}
	return nil
}

// cut bounds what an error quotes.
func cut(s string) string { return s[:min(len(s), 80)] }

// Input is what one run gets beside what its Script says.
type Input struct {
	Args  []string // after those of Script.Command
	Env   []string // "KEY=value", beside PATH, LANG, USER, LOGNAME and HOME
	Stdin []byte   // nil is /dev/null

	// Outlive lets the run go on when this process dies; without it the kernel
	// kills the program then. The timeout dies with this process.
	Outlive bool
}

// Result is how a run ended.
type Result struct {
	// Err is nil if the program ended with exit status 0. It is an
	// *InsecureError or wraps fs.ErrNotExist when nothing was run; it is an
	// *ExitError, ErrTimeout, or the context's cause, when something was.
	Err    error
	Took   time.Duration
	Output string // the last of what it wrote to standard output and error, at most maxOutput bytes
}

// ErrTimeout is wrapped by Result.Err when the program was killed because it
// took longer than Script.Timeout or the context's deadline.
var ErrTimeout = errors.New("timed out")

// ExitError says how a program failed that was not stopped by us.
type ExitError struct {
	Status int    // exit status, or 128 + the signal's number, as shells have it
	Signal string // "" if it exited
	Said   string // its last line of output, cut
}

// Error returns "exit status 1: what it said".
func (e *ExitError) Error() string {
	text := fmt.Sprintf("exit status %d", e.Status)
	if e.Signal != "" {
		text = "killed by " + e.Signal
	}
	if e.Said != "" {
		text += ": " + e.Said
	}
	return text
}
