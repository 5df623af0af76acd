package ipvs

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// addr parses an address; "" is the invalid one.
func addr(s string) netip.Addr {
	a, _ := netip.ParseAddr(s)
	return a
}

// host is a run folder, a folder of sysctls and a log: what survives a Table.
type host struct {
	t       *testing.T
	dir     string
	log     bytes.Buffer
	kernel  *model
	bootID  string
	sysctls sysctls
}

func newHost(t *testing.T, there ...Service) *host {
	t.Helper()
	h := &host{t: t, dir: t.TempDir(), kernel: newModel(there...), bootID: "boot-1"}
	h.sysctls.root = t.TempDir()
	for _, name := range []string{vsConntrack, forwardIPv4, forwardIPv6} {
		if err := os.MkdirAll(filepath.Dir(h.sysctls.path(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		h.setSysctl(name, "0\n")
	}
	return h
}

func (h *host) setSysctl(name, value string) {
	h.t.Helper()
	if err := os.WriteFile(h.sysctls.path(name), []byte(value), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// on returns the sysctls that are not 0.
func (h *host) on() string {
	h.t.Helper()
	var on []string
	for _, name := range []string{vsConntrack, forwardIPv4, forwardIPv6} {
		value, err := h.sysctls.read(name)
		if err != nil {
			h.t.Fatal(err)
		}
		if value != "0" {
			on = append(on, name)
		}
	}
	return strings.Join(on, " ")
}

func (h *host) journal() string { return filepath.Join(h.dir, "ipvs.json") }

// table starts a Table, as a process that starts does.
func (h *host) table() *Table {
	log := slog.New(slog.NewTextHandler(&h.log, nil))
	return newTable(h.kernel, h.sysctls, h.bootID, Options{Journal: h.journal(), Log: log})
}

// holds compares the kernel's table with text.
func (h *host) holds(text string) {
	h.t.Helper()
	got, _ := h.kernel.Services()
	h.t.Log(h.log.String())
	var want, have strings.Builder
	if err := errors.Join(Save(&want, parse(h.t, text)), Save(&have, got)); err != nil {
		h.t.Fatal(err)
	}
	if d := cmp.Diff(want.String(), have.String()); d != "" {
		h.t.Errorf("kernel table (-want +got):\n%s", d)
	}
}

func (h *host) logs(text string) {
	h.t.Helper()
	if !strings.Contains(h.log.String(), text) {
		h.t.Errorf("log lacks %q:\n%s", text, &h.log)
	}
}

// set calls Set and fails the test on an error.
func (h *host) set(t *Table, text string) Report {
	h.t.Helper()
	r, err := t.Set(parse(h.t, text))
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

const (
	web = `
		-A -t 192.0.2.1:80 -s rr
		-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1
		-a -t 192.0.2.1:80 -r 10.0.0.2:80 -g -w 1
		`
	dns = `
		-A -u 192.0.2.1:53 -s mh
		-a -u 192.0.2.1:53 -r 10.0.0.3:53 -g -w 1
		`
	foreign = `
		-A -t 192.0.2.99:22 -s wlc
		-a -t 192.0.2.99:22 -r 10.0.0.99:22 -m -w 7
		`
)

func TestSetIsIdempotent(t *testing.T) {
	h := newHost(t, parse(t, foreign)...)
	table := h.table()
	if r := h.set(table, web+dns); len(r.Commands) != 5 || len(r.Adopted) != 0 || r.Repaired != 0 {
		t.Errorf("first: %+v", r)
	}
	h.holds(web + dns + foreign)
	h.logs("services_added=2 services_edited=0 services_removed=0 destinations_added=3")
	before, err := os.Stat(h.journal())
	if err != nil {
		t.Fatal(err)
	}
	h.log.Reset()
	writes := h.kernel.writes
	if r := h.set(table, web+dns); len(r.Commands) != 0 || h.kernel.writes != writes {
		t.Errorf("second: %+v and %d writes", r, h.kernel.writes-writes)
	}
	after, err := os.Stat(h.journal())
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) || h.log.Len() != 0 {
		t.Errorf("a Set without a difference wrote the journal or logged %q", &h.log)
	}
	if after.Mode() != 0o600 {
		t.Errorf("journal mode %v, want 0600", after.Mode())
	}
}

func TestSetAdoptsAndReportsIt(t *testing.T) {
	h := newHost(t, parse(t, foreign+dns)...)
	table := h.table()
	r := h.set(table, web+dns)
	if d := cmp.Diff([]string{"UDP 192.0.2.1:53"}, keyStrings(r.Adopted)); d != "" {
		t.Errorf("adopted (-want +got):\n%s", d)
	}
	h.logs(`msg="ipvs service was there already: adopted" svc="UDP 192.0.2.1:53"`)
	if r := h.set(table, web); len(r.Adopted) != 0 {
		t.Errorf("adopted again: %+v", r)
	}
	h.holds(web + foreign)
}

func keyStrings(keys []Key) (s []string) {
	for _, k := range keys {
		s = append(s, k.String())
	}
	return s
}

func TestSetRepairs(t *testing.T) {
	h := newHost(t)
	table := h.table()
	h.set(table, web+dns)
	h.kernel.put(parse(t, strings.ReplaceAll(web, "-w 1", "-w 5"))[0])
	if r := h.set(table, web+dns); r.Repaired != 2 || r.Count(SetDest) != 2 {
		t.Errorf("two weights changed by somebody else: %+v", r)
	}
	h.holds(web + dns)
	if r := h.set(table, dns); r.Repaired != 0 || r.Count(DelService) != 1 {
		t.Errorf("our own change: %+v", r)
	}
}

func TestRestartGoesOnFromTheJournal(t *testing.T) {
	h := newHost(t, parse(t, foreign)...)
	h.set(h.table(), web+dns)
	r := h.set(h.table(), web) // another process
	if len(r.Adopted) != 0 || len(r.Commands) != 1 || r.Commands[0].Op != DelService {
		t.Errorf("after a restart: %+v", r)
	}
	h.holds(web + foreign)
}

// TestKilledBetweenJournalAndKernel stops the process right after the journal
// was written, and once more in the middle of programming.
func TestKilledBetweenJournalAndKernel(t *testing.T) {
	for name, allowed := range map[string]int{"before the first write": 0, "in the middle": 3} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, parse(t, foreign)...)
			h.set(h.table(), web)
			h.kernel.writes = 0
			h.kernel.refuse = func(Command) error {
				if h.kernel.writes > allowed {
					panic("killed")
				}
				return nil
			}
			func() {
				defer func() { _ = recover() }()
				h.set(h.table(), dns)
			}()
			h.kernel.refuse = nil
			h.set(h.table(), "") // nothing of either may stay
			h.holds(foreign)
		})
	}
}

func TestUnusableJournalRemovesNothing(t *testing.T) {
	for name, content := range map[string]string{
		"empty":             "",
		"not JSON":          "ours: all",
		"cut off":           `{"version":1,"boot":"boot-1","services":[{"addr`,
		"version to come":   `{"version":2,"boot":"boot-1","services":[{"address":"192.0.2.99","port":22,"protocol":6}]}`,
		"of an other boot":  `{"version":1,"boot":"boot-0","services":[{"address":"192.0.2.99","port":22,"protocol":6}]}`,
		"of the wrong type": `[1,2,3]`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, parse(t, foreign)...)
			if err := os.WriteFile(h.journal(), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			table := h.table()
			h.logs("journal")
			h.set(table, web)
			h.holds(web + foreign)
			h.set(h.table(), "")
			h.holds(foreign)
		})
	}
}

func TestSetWithoutJournalDoesNothing(t *testing.T) {
	h := newHost(t)
	table := h.table()
	if err := os.Mkdir(h.journal(), 0o700); err != nil { // nothing can be renamed onto it
		t.Fatal(err)
	}
	if _, err := table.Set(parse(t, web)); err == nil {
		t.Error("no error")
	}
	h.holds("")
	left, err := filepath.Glob(filepath.Join(h.dir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files stay: %v %v", left, err)
	}
}

func TestSetGoesOnAfterFailures(t *testing.T) {
	h := newHost(t)
	table := h.table()
	h.set(table, web)
	h.kernel.refuse = func(c Command) error {
		if c.Op == DelService {
			return syscall.EBUSY
		}
		return nil
	}
	_, err := table.Set(parse(t, dns))
	refusal, ok := errors.AsType[*CommandError](err)
	if !ok || !errors.Is(err, syscall.EBUSY) || refusal.Error() != "ipvs -D -t 192.0.2.1:80: device or resource busy" {
		t.Errorf("error %v", err)
	}
	h.logs("services_failed=1")
	h.holds(web + dns)
	h.kernel.refuse = nil
	if r := h.set(h.table(), dns); r.Count(DelService) != 1 { // it is still in the journal
		t.Errorf("after the failed delete: %+v", r)
	}
	h.holds(dns)
}

func TestSetRefusesTheInvalidAlone(t *testing.T) {
	h := newHost(t)
	table := h.table()
	h.set(table, web)
	bad := strings.Replace(web, "10.0.0.1:80", "10.0.0.1:8080", 1) // DR to another port
	for range 2 {
		_, err := table.Set(parse(t, bad+dns))
		if e, ok := errors.AsType[*InvalidError](err); !ok || e.Service.Port != 80 {
			t.Errorf("error %v", err)
		}
		h.holds(web + dns) // the last good one stays
	}
	h.set(h.table(), dns)
	h.holds(dns)

	_, err := table.Set(parse(t, dns+strings.Replace(dns, "mh", "rr", 1)))
	if e, ok := errors.AsType[*InvalidError](err); !ok || e.Reason != "given twice" {
		t.Errorf("error %v", err)
	}
	h.holds(dns)
}

func TestRemove(t *testing.T) {
	h := newHost(t, parse(t, foreign)...)
	h.set(h.table(), web+dns)
	table := h.table()
	if err := table.Remove(); err != nil {
		t.Fatal(err)
	}
	h.holds(foreign)
	if _, err := os.Stat(h.journal()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("journal: %v, want it gone", err)
	}
	h.set(table, web) // and it can go on
	h.holds(web + foreign)
}

func TestRemoveRemembersWhatFailed(t *testing.T) {
	h := newHost(t)
	table := h.table()
	h.set(table, web+dns)
	h.kernel.refuse = func(c Command) error {
		if c.Service.Protocol == UDP {
			return syscall.EBUSY
		}
		return nil
	}
	if err := table.Remove(); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("error %v", err)
	}
	h.holds(dns)
	h.kernel.refuse = nil
	if err := h.table().Remove(); err != nil {
		t.Fatal(err)
	}
	h.holds("")
}

func TestServicesShowsOursLive(t *testing.T) {
	h := newHost(t, parse(t, foreign)...)
	table := h.table()
	h.set(table, web)
	live := parse(t, web)[0]
	live.Destinations[0].Stats = Stats{Active: 2, Inactive: 1}
	h.kernel.put(live)
	got, err := table.Services()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || len(got[0].Destinations) != 2 {
		t.Fatalf("services %+v", got)
	}
	for _, d := range got[0].Destinations {
		if d.Port == 80 && d.Address == addr("10.0.0.1") && d.Stats != (Stats{Active: 2, Inactive: 1}) {
			t.Errorf("destination %+v", d)
		}
	}
	if r := h.set(table, web); len(r.Commands)+r.Repaired != 0 {
		t.Errorf("live counters caused %+v", r)
	}
}

func TestSettingsForNAT(t *testing.T) {
	const nat = `
		-A -t 192.0.2.1:443 -s rr
		-a -t 192.0.2.1:443 -r 10.0.0.1:8443 -m -w 1`
	const nat6 = `
		-A -t [2001:db8::1]:443 -s rr
		-a -t [2001:db8::1]:443 -r [fd00::1]:8443 -m -w 1`
	h := newHost(t)
	table := h.table()
	h.set(table, web)
	if got := h.on(); got != "" {
		t.Errorf("direct routing switched on %q", got)
	}
	if r := h.set(table, web+nat); len(r.Settings) != 2 {
		t.Errorf("settings %v", r.Settings)
	}
	if got, want := h.on(), vsConntrack+" "+forwardIPv4; got != want {
		t.Errorf("on: %q, want %q", got, want)
	}
	h.logs(`msg="sysctl switched on for ipvs NAT" name=net.ipv4.ip_forward old=0`)

	h.setSysctl(forwardIPv6, "2\n") // on already: not ours to restore
	table = h.table()
	h.setSysctl(vsConntrack, "0\n") // somebody switched it off
	if r := h.set(table, web+nat+nat6); len(r.Settings) != 1 || r.Settings[0].Name != vsConntrack {
		t.Errorf("settings %v", r.Settings)
	}
	h.setSysctl(vsConntrack, "3\n") // not ours any more
	if err := h.table().Remove(); err != nil {
		t.Fatal(err)
	}
	if got, want := h.on(), vsConntrack+" "+forwardIPv6; got != want {
		t.Errorf("after Remove on: %q, want %q: only what was ours goes back", got, want)
	}
}

func TestSettingsThatCannotBeSwitchedOn(t *testing.T) {
	h := newHost(t)
	if err := os.Remove(h.sysctls.path(forwardIPv4)); err != nil {
		t.Fatal(err)
	}
	nat := strings.ReplaceAll(web, "-g", "-m")
	_, err := h.table().Set(parse(t, nat))
	e, ok := errors.AsType[*SettingError](err)
	if !ok || e.Name != forwardIPv4 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	h.holds(nat) // programmed all the same
}
