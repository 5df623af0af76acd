package ipvs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"harmony/bench/lab"
)

// The network of the traffic tests, all on one switch: clients are in
// 10.1.0.0/24 and fd01::/64 together with the virtual addresses and the real
// servers of direct routing; those of NAT are in 10.0.0.0/24 and fd00::/64
// behind the director.
const (
	vip4, vip6 = "10.1.0.100", "fd01::100"
	natPort    = 8080
	drPort     = 81
)

// edge is that network.
type edge struct {
	*director
	client *lab.Node
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	requireIPVS(t)
	n := lab.New(t)
	e := &edge{
		director: newDirector(t, n, "10.1.0.1/24", "10.0.0.254/24", "fd01::1/64", "fd00::254/64", vip4+"/24", vip6+"/64"),
		client:   n.Node("client", "10.1.0.2/24", "fd01::2/64"),
	}
	for _, name := range []string{"1", "2"} {
		rs := n.Node("nat"+name, "10.0.0."+name+"/24", "fd00::"+name+"/64")
		rs.Run(t, "ip", "route", "add", "default", "via", "10.0.0.254")
		rs.Run(t, "ip", "-6", "route", "add", "default", "via", "fd00::254")
		// The director is on one link with clients and real servers and so
		// redirects the latter past itself, which must not be obeyed.
		if err := rs.Sysctl("net.ipv6.conf.eth0.accept_redirects", "0"); err != nil {
			t.Fatal(err)
		}
		serve(t, rs, natPort)
	}
	for _, name := range []string{"11", "12"} {
		rs := n.Node("dr"+name, "10.1.0."+name+"/24", "fd01::"+name+"/64")
		for key, value := range map[string]string{"arp_ignore": "1", "arp_announce": "2"} {
			if err := rs.Sysctl("net.ipv4.conf.all."+key, value); err != nil {
				t.Fatal(err)
			}
		}
		rs.Run(t, "ip", "addr", "add", vip4+"/32", "dev", "lo")
		rs.Run(t, "ip", "addr", "add", vip6+"/128", "dev", "lo")
		serve(t, rs, drPort)
	}
	return e
}

// serve answers every connection to the port with the node's name and holds it
// until the client closes it.
func serve(t *testing.T, nd *lab.Node, port int) {
	t.Helper()
	var l net.Listener
	err := nd.Do(func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends when the listener is closed
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends when the client closes, or its namespace goes
				defer c.Close()
				_, _ = fmt.Fprintln(c, nd.Name())
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
}

// connect makes n connections one after the other and returns how many each
// real server took. With hold they all stay until the test ends.
func (e *edge) connect(t *testing.T, addr string, n int, hold bool) map[string]int {
	t.Helper()
	count := make(map[string]int)
	for range n {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		c, err := e.client.Dial(ctx, "tcp", addr)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		name, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		count[strings.TrimSpace(name)]++
		if hold {
			defer c.Close()
		} else {
			_ = c.Close()
		}
	}
	return count
}

// active returns the number of active connections that Services counts.
func (e *edge) active() (n int) {
	e.t.Helper()
	e.do(func() error {
		services, err := e.table.Services()
		for _, s := range services {
			for _, d := range s.Destinations {
				n += d.Stats.Active
			}
		}
		return err
	})
	return n
}

// TestLabTraffic sends connections through every scheduler and method, in both
// families, and counts where they arrive.
func TestLabTraffic(t *testing.T) {
	e := newEdge(t)
	for _, family := range []struct{ name, vip, nat, dr string }{
		{"IPv4", vip4, "10.0.0.%d", "10.1.0.1%d"},
		{"IPv6", "[" + vip6 + "]", "[fd00::%d]", "[fd01::1%d]"},
	} {
		for _, method := range []struct {
			name, target, option string
			port, rsPort         int
		}{
			{"nat", family.nat, "-m", 80, natPort},
			{"dr1", family.dr, "-g", drPort, drPort},
		} {
			for _, tt := range []struct {
				scheduler string
				weights   [2]int
				n         int
				hold      bool
				want      [2]int
			}{
				{"rr", [2]int{1, 1}, 10, false, [2]int{5, 5}},
				{"wrr", [2]int{3, 1}, 12, false, [2]int{9, 3}},
				{"wrr", [2]int{0, 1}, 4, false, [2]int{0, 4}},
				{"lc", [2]int{1, 1}, 6, true, [2]int{3, 3}},
				{"wlc", [2]int{3, 1}, 8, true, [2]int{6, 2}},
				{"mh", [2]int{1, 0}, 4, false, [2]int{4, 0}},
			} {
				name := fmt.Sprintf("%s %s %s %v", family.name, method.name, tt.scheduler, tt.weights)
				t.Run(name, func(t *testing.T) {
					vip := fmt.Sprintf("%s:%d", family.vip, method.port)
					config := fmt.Sprintf("-A -t %s -s %s\n", vip, tt.scheduler)
					for i, w := range tt.weights {
						config += fmt.Sprintf("-a -t %s -r %s:%d %s -w %d\n",
							vip, fmt.Sprintf(method.target, i+1), method.rsPort, method.option, w)
					}
					e.set("") // see Destination.Weight about mh
					e.set(config)
					want := make(map[string]int)
					for i, n := range tt.want {
						if n > 0 {
							want[fmt.Sprintf("%s%d", method.name, i+1)] = n
						}
					}
					if d := cmp.Diff(want, e.connect(t, vip, tt.n, tt.hold)); d != "" {
						t.Errorf("connections (-want +got):\n%s", d)
					}
					// The kernel remembers a destination's connections even
					// over its removal, and lc and wlc count them.
					lab.Poll(t, 10*time.Second, "all connections closed", func() bool { return e.active() == 0 })
				})
			}
		}
	}
}

// TestLabMaglev: with mh a client stays with its real server, and another
// real server's departure does not move it.
func TestLabMaglev(t *testing.T) {
	e := newEdge(t)
	config := func(hosts ...int) string {
		s := "-A -t 10.1.0.100:80 -s mh\n"
		for _, h := range hosts {
			s += fmt.Sprintf("-a -t 10.1.0.100:80 -r 10.0.0.%d:8080 -m -w 1\n", h)
		}
		return s
	}
	e.set(config(1, 2))
	first := e.connect(t, vip4+":80", 5, false)
	if len(first) != 1 {
		t.Fatalf("one client was spread over %v", first)
	}
	for name, host := range map[string]int{"nat1": 1, "nat2": 2} {
		if first[name] > 0 {
			e.set(config(host))
		}
	}
	if d := cmp.Diff(first, e.connect(t, vip4+":80", 5, false)); d != "" {
		t.Errorf("the client was moved (-before +after):\n%s", d)
	}
}

// TestLabCountersAndSettings: Services counts connections, and the kernel
// settings of NAT are switched on and put back.
func TestLabCountersAndSettings(t *testing.T) {
	e := newEdge(t)
	settings := func() (on []string) {
		e.do(func() error {
			for _, name := range []string{vsConntrack, forwardIPv4, forwardIPv6} {
				value, err := e.table.sysctls.read(name)
				if err != nil {
					return err
				}
				on = append(on, value)
			}
			return nil
		})
		return on
	}
	e.set(`
		-A -t 10.1.0.100:81 -s rr
		-a -t 10.1.0.100:81 -r 10.1.0.11:81 -g -w 1`)
	if d := cmp.Diff([]string{"0", "0", "0"}, settings()); d != "" {
		t.Errorf("settings with direct routing only (-want +got):\n%s", d)
	}
	e.set(`
		-A -t 10.1.0.100:80 -s rr
		-a -t 10.1.0.100:80 -r 10.0.0.1:8080 -m -w 1
		-A -t [fd01::100]:80 -s rr
		-a -t [fd01::100]:80 -r [fd00::1]:8080 -m -w 1`)
	if d := cmp.Diff([]string{"1", "1", "1"}, settings()); d != "" {
		t.Errorf("settings with NAT (-want +got):\n%s", d)
	}
	var held []net.Conn
	for range 3 {
		c, err := e.client.Dial(t.Context(), "tcp", vip4+":80")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	lab.Poll(t, 5*time.Second, "three active connections", func() bool { return e.active() == 3 })
	for _, c := range held {
		_ = c.Close()
	}
	e.do(e.table.Remove)
	if d := cmp.Diff([]string{"0", "0", "0"}, settings()); d != "" {
		t.Errorf("settings after Remove (-want +got):\n%s", d)
	}
	e.holds("")
}
