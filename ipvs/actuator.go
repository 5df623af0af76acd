package ipvs

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
)

// Options configure a Table.
type Options struct {
	Journal string       // path of the journal, ipvs.json in the run folder
	Log     *slog.Logger // required
}

// kernel is what a Table needs of a Handle.
type kernel interface {
	Services() ([]Service, error)
	Apply([]Command) error
	Close() error
}

// Table makes the kernel's ip_vs table hold the wanted services, beside
// foreign ones, which it never touches. All methods must be called from one
// goroutine, in the network namespace that the Table was made in; they block
// for the netlink exchanges they need.
type Table struct {
	kernel  kernel
	sysctls sysctls
	log     *slog.Logger
	journal *journal
	// left is what the last Set left behind; nil when that is not known, at
	// the start and after a failure.
	left []Service
}

// Report says what a Set did.
type Report struct {
	// Commands were asked of the kernel, in this order. Those that failed are
	// in Set's error.
	Commands []Command
	// Adopted were there already, wanted, and not ours. They are ours now.
	Adopted []Key
	// Repaired is the number of differences that somebody else made to our
	// services since the last Set.
	Repaired int
	// Settings are the kernel settings that were switched on.
	Settings []Setting
}

// Count returns the number of commands of one kind.
func (r Report) Count(op Op) int {
	n := 0
	for _, c := range r.Commands {
		if c.Op == op {
			n++
		}
	}
	return n
}

func newTable(k kernel, s sysctls, boot string, opt Options) *Table {
	return &Table{kernel: k, sysctls: s, log: opt.Log, journal: openJournal(opt.Journal, boot, opt.Log)}
}

// Set makes want the whole desired state: it writes the smallest difference to
// the kernel and nothing if there is none. Services and kernel settings are
// independent of each other: what fails is in the error, joined, and the rest
// is done. It is *InvalidError for a service that is refused (its entry in the
// kernel, if any, stays as it is), *CommandError for a write that failed,
// *SettingError for a kernel setting.
//
// Before the kernel, the journal is written; if that fails, nothing is done.
//
// With a NAT destination wanted, net.ipv4.vs.conntrack and forwarding for the
// service's family are switched on if they are off. Switching on IPv6
// forwarding makes interfaces with accept_ra=1 ignore router advertisements;
// set accept_ra=2 where routes come from them.
func (t *Table) Set(want []Service) (Report, error) {
	good, refused, refusal := accept(want)
	have, err := t.kernel.Services()
	if err != nil {
		return Report{}, errors.Join(refusal, err)
	}
	off, unreadable := t.sysctls.off(needed(good))
	ours := t.journal.ours()
	r := Report{
		Commands: Diff(have, good, except(ours, refused)),
		Adopted:  Adopted(have, good, ours),
		Repaired: len(Diff(have, t.left, keySet(t.left))),
		Settings: off,
	}
	t.left = nil
	old := remember(t.journal.Settings, off)
	if err := t.journal.save(union(ours, keySet(good)), old); err != nil {
		return Report{}, errors.Join(refusal, err)
	}
	switching := t.sysctls.switchOn(off)
	applying := t.kernel.Apply(r.Commands)
	if applying == nil {
		t.left = good
	}
	keep := union(keySet(good), union(only(ours, refused), failed(applying)))
	trimming := t.journal.save(keep, old)
	t.report(r, len(failed(applying)))
	return r, errors.Join(refusal, unreadable, switching, applying, trimming)
}

// report logs what Set did, and nothing if that was nothing.
func (t *Table) report(r Report, failed int) {
	for _, k := range r.Adopted {
		t.log.Info("ipvs service was there already: adopted", "svc", k)
	}
	for _, s := range r.Settings {
		t.log.Info("sysctl switched on for ipvs NAT", "name", s.Name, "old", s.Old)
		if s.Name == forwardIPv6 {
			t.log.Warn("ipv6 forwarding is on now: interfaces with accept_ra=1 ignore router advertisements, set accept_ra=2 where they are needed")
		}
	}
	if len(r.Commands) == 0 {
		return
	}
	t.log.Info("ipvs table changed",
		"services_added", r.Count(NewService), "services_edited", r.Count(SetService), "services_removed", r.Count(DelService),
		"destinations_added", r.Count(NewDest), "destinations_edited", r.Count(SetDest), "destinations_removed", r.Count(DelDest),
		"repaired", r.Repaired, "services_failed", failed)
}

// Remove takes everything that is ours out of the kernel, puts the kernel
// settings back and deletes the journal: the end of an agent that is stopped
// for good. What fails is in the error and stays in the journal.
func (t *Table) Remove() error {
	have, err := t.kernel.Services()
	if err != nil {
		return err
	}
	t.left = nil
	cmds := Diff(have, nil, t.journal.ours())
	applying := t.kernel.Apply(cmds)
	restoring := t.sysctls.restore(t.journal.Settings)
	t.log.Info("ipvs services removed", "services_removed", len(cmds), "services_failed", len(failed(applying)))
	if applying != nil {
		return errors.Join(applying, restoring, t.journal.save(failed(applying), nil))
	}
	return errors.Join(restoring, t.journal.remove())
}

// Services returns the services that are ours as the kernel has them, with
// live counters, in ipvsadm's order.
func (t *Table) Services() ([]Service, error) {
	have, err := t.kernel.Services()
	if err != nil {
		return nil, err
	}
	ours := t.journal.ours()
	return slices.DeleteFunc(sorted(have), func(s Service) bool { return !ours[s.Key] }), nil
}

// Close ends the connection to the kernel. It changes nothing there: the
// services stay, and the next Table with the same journal goes on with them.
func (t *Table) Close() error { return t.kernel.Close() }

// CommandError says which command the kernel refused, and why.
type CommandError struct {
	Command Command
	Err     error
}

// Error gives the command in ipvsadm's words.
func (e *CommandError) Error() string { return fmt.Sprintf("ipvs %v: %v", e.Command, e.Err) }

// Unwrap returns the kernel's error, a syscall.Errno.
func (e *CommandError) Unwrap() error { return e.Err }

// failed returns the services of the CommandErrors that errors.Join put into
// err.
func failed(err error) map[Key]bool {
	keys := make(map[Key]bool)
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			if c, ok := errors.AsType[*CommandError](e); ok {
				keys[c.Command.Service.Key] = true
			}
		}
	}
	return keys
}

// keySet returns the keys of the services.
func keySet(services []Service) map[Key]bool {
	set := make(map[Key]bool, len(services))
	for _, s := range services {
		set[s.Key] = true
	}
	return set
}

func union(a, b map[Key]bool) map[Key]bool {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// except returns the members of a that are not in b.
func except(a, b map[Key]bool) map[Key]bool {
	rest := maps.Clone(a)
	maps.DeleteFunc(rest, func(k Key, _ bool) bool { return b[k] })
	return rest
}

// only returns the members of a that are in b too.
func only(a, b map[Key]bool) map[Key]bool {
	return except(a, except(a, b))
}
