package ipvs

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/bench/lab"
)

// countingDoor counts the writes to the kernel and calls before each, which it
// sends one by one.
type countingDoor struct {
	door
	writes int
	before func(writes int)
}

func (c *countingDoor) batch(messages []message) ([]error, error) {
	if c.before == nil {
		c.writes += len(messages)
		return c.door.batch(messages)
	}
	var results []error
	for _, m := range messages {
		c.before(c.writes)
		c.writes++
		one, err := c.door.batch([]message{m})
		if err != nil {
			return nil, err
		}
		results = append(results, one...)
	}
	return results, nil
}

// director is a node with a real ip_vs table and a run folder.
type director struct {
	*lab.Node
	t     *testing.T
	dir   string
	table *Table
	conn  *countingDoor
}

func newDirector(t *testing.T, n *lab.Net, addrs ...string) *director {
	t.Helper()
	d := &director{Node: n.Node("director", addrs...), t: t, dir: t.TempDir()}
	d.start()
	t.Cleanup(func() { _ = d.table.Close() })
	return d
}

// start makes a Table as a process that starts does; an older one is dropped.
func (d *director) start() {
	d.t.Helper()
	d.do(func() (err error) {
		if d.table != nil {
			err = d.table.Close()
		}
		d.table, d.conn, err = openTable(d.dir, err)
		return err
	})
}

// openTable is NewTable with a counter in it.
func openTable(dir string, err error) (*Table, *countingDoor, error) {
	if err != nil {
		return nil, nil, err
	}
	table, err := NewTable(Options{
		Journal: filepath.Join(dir, "ipvs.json"),
		Log:     slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return nil, nil, err
	}
	h := table.kernel.(*Handle)
	c := &countingDoor{door: h.door}
	h.door = c
	return table, c, nil
}

func (d *director) do(f func() error) {
	d.t.Helper()
	if err := d.Do(f); err != nil {
		d.t.Fatal(err)
	}
}

func (d *director) set(text string) (r Report) {
	d.t.Helper()
	want := parse(d.t, text)
	d.do(func() (err error) {
		r, err = d.table.Set(want)
		return err
	})
	return r
}

// ipvsadm runs a line of arguments of the witness.
func (d *director) ipvsadm(line string) string {
	d.t.Helper()
	return d.Run(d.t, "ipvsadm", strings.Fields(line)...)
}

// holds compares ipvsadm -S -n, byte for byte, with Save of text.
func (d *director) holds(text string) {
	d.t.Helper()
	var want strings.Builder
	if err := Save(&want, parse(d.t, text)); err != nil {
		d.t.Fatal(err)
	}
	// ipvsadm does not save thresholds.
	saved := regexp.MustCompile(` -[xy] \d+`).ReplaceAllString(want.String(), "")
	if diff := cmp.Diff(saved, d.ipvsadm("-S -n")); diff != "" {
		d.t.Errorf("ipvsadm -S -n (-want +got):\n%s", diff)
	}
}

func requireIPVS(t *testing.T) {
	t.Helper()
	lab.Require(t, "root", "ip_vs", "ipvsadm")
}

// TestLabSet walks one kernel table through states that between them hold all
// schedulers, protocols, families and methods of this release, and every kind
// of edit, beside services of somebody else.
func TestLabSet(t *testing.T) {
	requireIPVS(t)
	d := newDirector(t, lab.New(t), "10.0.0.1/24", "fd00::1/64")
	const fwmark = "\n-A -f 7 -s rr\n-a -f 7 -r 10.0.0.77:0 -g -w 1\n"
	for line := range strings.Lines(foreign + fwmark) {
		if strings.TrimSpace(line) != "" {
			d.ipvsadm(line)
		}
	}
	for _, state := range []struct{ name, want string }{
		{"two services", web + dns},
		{"weights and methods", `
			-A -t 192.0.2.1:80 -s rr
			-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 0
			-a -t 192.0.2.1:80 -r 10.0.0.2:80 -g -w 65535
			` + dns},
		{"scheduler and persistence", strings.Replace(web, "-s rr", "-s wrr -p 300", 1) + dns},
		{"persistence off, scheduler again", strings.Replace(web, "-s rr", "-s lc", 1) + dns},
		{"other destinations", strings.ReplaceAll(web, "10.0.0.2", "10.0.0.7")},
		{"both families, all schedulers", `
			-A -t 192.0.2.1:80 -s rr
			-A -t 192.0.2.1:81 -s wrr
			-A -t 192.0.2.1:82 -s lc
			-A -t 192.0.2.1:83 -s wlc
			-A -t 192.0.2.1:84 -s mh
			-A -t 192.0.2.1:85 -s sh
			-a -t 192.0.2.1:84 -r 10.0.0.3:8084 -m -w 2
			-a -t 192.0.2.1:84 -r 10.0.0.4:8084 -m -w 1
			-A -t [2001:db8::1]:80 -s mh -p 60
			-a -t [2001:db8::1]:80 -r [fd00::2]:80 -g -w 1
			-a -t [2001:db8::1]:80 -r [fd00::3]:8080 -m -w 5
			-A -u [2001:db8::1]:53 -s wlc
			-a -u [2001:db8::1]:53 -r [fd00::2]:53 -g -w 1`},
		{"IPv6 edits", `
			-A -t [2001:db8::1]:80 -s rr
			-a -t [2001:db8::1]:80 -r [fd00::2]:80 -g -w 0
			-a -t [2001:db8::1]:80 -r [fd00::4]:8080 -m -w 5`},
		{"all ports, persistent", `
			-A -t 192.0.2.1:0 -s rr -p 60
			-a -t 192.0.2.1:0 -r 10.0.0.2:0 -g -w 1`},
		{"SCTP", `
			-A --sctp-service 192.0.2.1:36412 -s rr
			-a --sctp-service 192.0.2.1:36412 -r 10.0.0.2:36412 -g -w 1`},
		{"the other schedulers", `
			-A -t 192.0.2.1:80 -s lblc
			-A -t 192.0.2.1:81 -s lblcr
			-A -t 192.0.2.1:82 -s dh
			-A -t 192.0.2.1:83 -s sed
			-A -t 192.0.2.1:84 -s nq
			-A -t 192.0.2.1:85 -s fo
			-A -t 192.0.2.1:86 -s ovf`},
		{"flags of schedulers", `
			-A -t 192.0.2.1:80 -s sh -b sh-fallback,sh-port
			-A -t 192.0.2.1:81 -s mh -b mh-fallback
			-A -t 192.0.2.1:82 -s mh -b mh-port`},
		{"flags off, one on", `
			-A -t 192.0.2.1:80 -s sh -b sh-port
			-A -t 192.0.2.1:81 -s mh
			-A -t 192.0.2.1:82 -s mh -b mh-port`},
		{"persistence of networks, and of calls", `
			-A -t 192.0.2.1:80 -s rr -p 60 -M 255.255.255.0
			-A -u 192.0.2.1:5060 -s rr -p 60 --pe sip
			-A -t [2001:db8::1]:80 -s rr -p 60 -M 64`},
		{"one packet", `
			-A -u 192.0.2.1:53 -s rr -o`},
		{"thresholds", `
			-A -t 192.0.2.1:80 -s rr
			-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1 -x 100
			-a -t 192.0.2.1:80 -r 10.0.0.2:80 -m -w 1 -x 100 -y 50`},
		{"marks", `
			-A -f 1 -s rr
			-a -f 1 -r 10.0.0.1:0 -m -w 1
			-A -f 2 -s wlc -p 300
			-a -f 2 -r 10.0.0.1:0 -g -w 1
			-A -f 1 -6 -s rr
			-a -f 1 -6 -r [fd00::2]:0 -g -w 1`},
		{"tunnels", `
			-A -t 192.0.2.1:80 -s rr
			-a -t 192.0.2.1:80 -r 10.0.0.1:80 -i -w 1 --tun-type ipip
			-a -t 192.0.2.1:80 -r 10.0.0.2:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
			-a -t 192.0.2.1:80 -r 10.0.0.3:80 -i -w 1 --tun-type gre --tun-nocsum`},
		{"other tunnels", `
			-A -t 192.0.2.1:80 -s rr
			-a -t 192.0.2.1:80 -r 10.0.0.1:80 -i -w 1 --tun-type gre --tun-csum
			-a -t 192.0.2.1:80 -r 10.0.0.2:80 -i -w 1 --tun-type ipip
			-a -t 192.0.2.1:80 -r 10.0.0.3:80 -i -w 1 --tun-type gue --tun-port 6081 --tun-remcsum`},
		{"mixed families", `
			-A -t 192.0.2.1:80 -s rr
			-a -t 192.0.2.1:80 -r 10.0.0.1:80 -i -w 1 --tun-type ipip
			-a -t 192.0.2.1:80 -r [2001:db8::2]:80 -i -w 1 --tun-type ipip
			-A -t [2001:db8::1]:80 -s rr
			-a -t [2001:db8::1]:80 -r 10.0.0.1:80 -i -w 1 --tun-type ipip`},
		{"nothing", ""},
	} {
		t.Run(state.name, func(t *testing.T) {
			d.t = t
			if r := d.set(state.want); len(r.Adopted)+r.Repaired != 0 {
				t.Errorf("adopted or repaired something: %+v", r)
			}
			d.holds(state.want + foreign + fwmark)
			writes := d.conn.writes
			if r := d.set(state.want); len(r.Commands) != 0 || d.conn.writes != writes {
				t.Errorf("the second Set wrote: %v", r.Commands)
			}
		})
	}
}

// TestLabThresholds: ipvsadm does not save them, but lists them.
func TestLabThresholds(t *testing.T) {
	requireIPVS(t)
	d := newDirector(t, lab.New(t), "10.0.0.1/24")
	d.set(`
		-A -t 192.0.2.1:80 -s rr
		-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1 -x 100 -y 50`)
	if got := strings.Fields(d.ipvsadm("-L -n --thresholds")); !slices.Equal(got[len(got)-5:], []string{"10.0.0.1:80", "100", "50", "0", "0"}) {
		t.Errorf("ipvsadm lists %q", got)
	}
	d.ipvsadm("-e -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1")
	if r := d.set(`
		-A -t 192.0.2.1:80 -s rr
		-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1 -x 100`); r.Repaired != 1 || r.Count(SetDest) != 1 {
		t.Errorf("thresholds taken away by somebody else: %+v", r)
	}
}

func TestLabAdoptsAndRepairs(t *testing.T) {
	requireIPVS(t)
	d := newDirector(t, lab.New(t), "10.0.0.1/24", "fd00::1/64")
	d.ipvsadm("-A -t 192.0.2.1:80 -s wlc -p 60")
	d.ipvsadm("-a -t 192.0.2.1:80 -r 10.0.0.9:80 -i -w 9")
	if r := d.set(web); len(r.Adopted) != 1 {
		t.Errorf("adopting: %+v", r)
	}
	d.holds(web)
	for name, mess := range map[string][]string{
		"weight":            {"-e -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 9"},
		"method":            {"-e -t 192.0.2.1:80 -r 10.0.0.1:80 -i -w 1"},
		"threshold":         {"-e -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1 -x 9"},
		"scheduler":         {"-E -t 192.0.2.1:80 -s wlc"},
		"scheduler flags":   {"-E -t 192.0.2.1:80 -s sh -b sh-port", "-E -t 192.0.2.1:80 -s rr -b flag-1"},
		"netmask":           {"-E -t 192.0.2.1:80 -s rr -p 60 -M 255.255.255.0"},
		"destination gone":  {"-d -t 192.0.2.1:80 -r 10.0.0.1:80"},
		"destination added": {"-a -t 192.0.2.1:80 -r 10.0.0.66:80 -g -w 1"},
		"service gone":      {"-D -t 192.0.2.1:80"},
		"all gone":          {"-C"},
	} {
		t.Run(name, func(t *testing.T) {
			d.t = t
			for _, line := range mess {
				d.ipvsadm(line)
			}
			if r := d.set(web); r.Repaired == 0 {
				t.Errorf("not repaired: %+v", r)
			}
			d.holds(web)
			if r := d.set(web); r.Repaired != 0 {
				t.Errorf("repaired again: %+v", r)
			}
		})
	}
}

func TestLabRestart(t *testing.T) {
	requireIPVS(t)
	d := newDirector(t, lab.New(t), "10.0.0.1/24", "fd00::1/64")
	for line := range strings.Lines(strings.TrimSpace(foreign)) {
		d.ipvsadm(line)
	}
	d.set(web + dns)
	d.start()
	if r := d.set(web); len(r.Adopted) != 0 || len(r.Commands) != 1 {
		t.Errorf("after a restart: %+v", r)
	}
	d.holds(web + foreign)
	d.start()
	d.do(d.table.Remove)
	d.holds(foreign)
}

// envKill makes this test's process one that kills itself before that write.
const envKill = "HARMONY_TEST_IPVS_KILL"

// TestLabKilled kills a process between the journal and the kernel, and in the
// middle of programming. The next one must find all that is ours.
func TestLabKilled(t *testing.T) {
	if os.Getenv(envKill) != "" {
		killedInSet(t)
		return
	}
	requireIPVS(t)
	for writes, left := range []string{web, web + "-A -u 192.0.2.1:53 -s mh", web + dns} {
		t.Run("after "+strconv.Itoa(writes)+" writes", func(t *testing.T) {
			d := newDirector(t, lab.New(t), "10.0.0.1/24", "fd00::1/64")
			for line := range strings.Lines(strings.TrimSpace(foreign)) {
				d.ipvsadm(line)
			}
			d.set(web)
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := d.Command(context.Background(), self, "-test.run=^TestLabKilled$")
			cmd.Env = append(os.Environ(), envKill+"="+d.dir+":"+strconv.Itoa(writes))
			if err := d.Start(cmd); err != nil {
				t.Fatal(err)
			}
			var exit interface{ Sys() any }
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the process ended with %v, want SIGKILL", err)
			}
			d.holds(left + foreign)
			d.start()
			d.set("")
			d.holds(foreign)
		})
	}
}

// killedInSet is the process of TestLabKilled.
func killedInSet(t *testing.T) {
	dir, n, _ := strings.Cut(os.Getenv(envKill), ":")
	limit, err := strconv.Atoi(n)
	if err != nil {
		t.Fatal(err)
	}
	table, c, err := openTable(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.before = func(writes int) {
		if writes == limit {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
	}
	_, err = table.Set(parse(t, dns))
	t.Fatalf("still alive: %v", err)
}

// TestOpen runs everywhere: where there is no ip_vs, it says so.
func TestOpen(t *testing.T) {
	h, err := Open()
	if !lab.Has("ip_vs") {
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}
