package ipvs

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The kernel settings that NAT needs, by their sysctl names. Each is 0 (off)
// or 1 (on).
const (
	// vsConntrack lets balanced connections have conntrack entries, which
	// masquerading needs.
	vsConntrack = "net.ipv4.vs.conntrack"
	// forwardIPv4 and forwardIPv6 let replies of real servers pass.
	forwardIPv4 = "net.ipv4.ip_forward"
	forwardIPv6 = "net.ipv6.conf.all.forwarding"
)

// Setting is a kernel setting that we switched on, and what it was before.
type Setting struct {
	Name string `json:"name"`
	Old  string `json:"old"`
}

// SettingError says that a kernel setting that NAT needs is off and could not
// be switched on. The services are programmed all the same, but NAT will not
// work. Test for it with errors.As.
type SettingError struct {
	Name string // "net.ipv4.ip_forward"
	Err  error
}

// Error says what to do as well.
func (e *SettingError) Error() string {
	return fmt.Sprintf("ipvs NAT needs sysctl %s=1, set it on the host: %v", e.Name, e.Err)
}

// Unwrap returns the cause.
func (e *SettingError) Unwrap() error { return e.Err }

// needed returns the names of the settings that the services need, sorted.
func needed(services []Service) []string {
	names := make(map[string]bool)
	for _, s := range services {
		if !slices.ContainsFunc(s.Destinations, func(d Destination) bool { return d.Forwarding == NAT }) {
			continue
		}
		names[vsConntrack] = true
		if s.Address.Is4() {
			names[forwardIPv4] = true
		} else {
			names[forwardIPv6] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// sysctls is the folder of kernel settings, /proc/sys outside of tests. What
// is below net/ belongs to the network namespace of the calling thread.
type sysctls struct{ root string }

func (s sysctls) path(name string) string {
	return filepath.Join(s.root, filepath.FromSlash(strings.ReplaceAll(name, ".", "/")))
}

func (s sysctls) read(name string) (string, error) {
	f, err := os.Open(s.path(name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	value, err := io.ReadAll(io.LimitReader(f, 64))
	return strings.TrimSpace(string(value)), err
}

func (s sysctls) write(name, value string) error {
	f, err := os.OpenFile(s.path(name), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// off returns those of the named settings that are off, with their values, and
// an error for each that cannot be read.
func (s sysctls) off(names []string) ([]Setting, error) {
	var settings []Setting
	var errs []error
	for _, name := range names {
		value, err := s.read(name)
		if err != nil {
			errs = append(errs, &SettingError{Name: name, Err: err})
		} else if value == "0" {
			settings = append(settings, Setting{Name: name, Old: value})
		}
	}
	return settings, errors.Join(errs...)
}

// switchOn sets each setting to 1.
func (s sysctls) switchOn(settings []Setting) error {
	var errs []error
	for _, set := range settings {
		if err := s.write(set.Name, "1"); err != nil {
			errs = append(errs, &SettingError{Name: set.Name, Err: err})
		}
	}
	return errors.Join(errs...)
}

// restore puts the old values back where ours still stands.
func (s sysctls) restore(settings []Setting) error {
	var errs []error
	for _, set := range settings {
		value, err := s.read(set.Name)
		if err == nil && value == "1" {
			err = s.write(set.Name, set.Old)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("restoring sysctl %s to %s: %w", set.Name, set.Old, err))
		}
	}
	return errors.Join(errs...)
}

// remember returns the old values to keep: the known ones, which are older and
// so win, and the fresh.
func remember(known, fresh []Setting) []Setting {
	all := slices.Clone(known)
	for _, f := range fresh {
		if !slices.ContainsFunc(all, func(k Setting) bool { return k.Name == f.Name }) {
			all = append(all, f)
		}
	}
	return all
}
