package main

// guestInit is where the kernel finds this program in the machine, and
// guestSpec where it finds what to do there.
const (
	guestInit = "/init"
	guestSpec = "/spec.json"
)

// spec is what the host tells the machine.
type spec struct {
	Args    []string
	Env     []string
	Dir     string
	TTY     bool // a terminal, of the size below, instead of three streams
	Rows    uint16
	Columns uint16
	Modules string   // the kernel's modules, as a path on the host
	Boot    []string // modules in the initial root, in loading order
	Outs    []string // folders shared for writing, by tag out0, out1, …
}

// ports are the machine's serial ports, in the order of their numbers.
var ports = []string{"status", "stdin", "stdout", "stderr"}

// report is a line on the status port: one when the command starts, and one
// when it has ended or cannot be run.
type report struct {
	Up    bool   // the command starts
	Code  int    // its exit status
	Fault string // why it could not be run, or ""
}
