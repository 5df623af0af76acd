package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"harmony/check"
	"harmony/source"
	"harmony/source/folder"
)

// read loads YAML files by name; their problems have those names.
func read(t *testing.T, files map[string]string) (source.Snapshot, []source.Problem) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, problems := folder.Load(dir)
	for ref, o := range s.Origins {
		o.File = strings.TrimPrefix(o.File, dir+"/")
		s.Origins[ref] = o
	}
	for i := range problems {
		problems[i].File = strings.TrimPrefix(problems[i].File, dir+"/")
		problems[i].Text = strings.ReplaceAll(problems[i].Text, dir, "DIR")
	}
	return s, problems
}

// snapshot loads YAML that must have no problems of its own. Its objects have no
// file, so that problems are shorter.
func snapshot(t *testing.T, text string) source.Snapshot {
	t.Helper()
	s, problems := read(t, map[string]string{"a.yaml": text})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s.Origins = nil
	return s
}

func lines(problems []source.Problem) []string {
	var out []string
	for _, p := range problems {
		out = append(out, fmt.Sprintf("%s %s %s", p.Severity, p.Code, p))
	}
	return out
}

// object returns a kind of ours in YAML.
func object(kind, name, spec string) string {
	return fmt.Sprintf("---\napiVersion: kaas.harmony/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n", kind, name, spec)
}

// router returns a VirtualRouter with good values where more has none.
func router(name, more string) string {
	return object("VirtualRouter", name, completed(more, "vrid: 51", "interface: eth0", "addresses: [10.0.0.100/24]"))
}

// service returns an L4Service with good values where more has none.
func service(name, more string) string {
	if !strings.Contains(more, "service:") {
		more = completed(more, "realServers: [{address: 10.0.0.1}]")
	}
	return object("L4Service", name, completed(more, "address: 10.0.0.100", "port: 7000"))
}

// completed returns the YAML flow mapping spec with each of defaults that it has
// no key for.
func completed(spec string, defaults ...string) string {
	depth := 0
	top := strings.Map(func(r rune) rune {
		switch {
		case r == '{' || r == '[':
			depth++
		case r == '}' || r == ']':
			depth--
		case depth == 0:
			return r
		}
		return -1
	}, spec)
	for _, d := range defaults {
		if key, _, _ := strings.Cut(d, ":"); !strings.Contains(", "+top, ", "+key+":") {
			spec = d + ", " + spec
		}
	}
	return spec
}

const owner = "---\napiVersion: kaas.harmony/v1alpha1\nkind: VirtualRouter\nmetadata: {name: owner}\nspec: {vrid: 1, interface: eth0, addresses: [10.0.0.100/24, 'fd00::100/64']}\n"

func TestRouters(t *testing.T) {
	tests := []struct {
		name     string
		text     string
		want     []string // routers on node edge-1
		problems []string
	}{
		{"defaults", router("a", ""), []string{"a/IPv4 vrid 51 eth0 [10.0.0.100/24] priority 100 every 1s preempt 0 0s to []"}, nil},
		{"both families", router("a", "addresses: ['fd00::1', 10.0.0.1, 'fe80::1/64', 10.0.0.2/24]"), []string{
			"a/IPv4 vrid 51 eth0 [10.0.0.1/32 10.0.0.2/24] priority 100 every 1s preempt 0 0s to []",
			"a/IPv6 vrid 51 eth0 [fe80::1/64 fd00::1/128] priority 100 every 1s preempt 0 0s to []"}, nil},
		{"priority of this node", router("a", "priority: 50, priorities: [{node: edge-2, priority: 140}, {node: edge-1, priority: 150}]"), []string{"a/IPv4 vrid 51 eth0 [10.0.0.100/24] priority 150 every 1s preempt 0 0s to []"}, nil},
		{"priority of other nodes", router("a", "priority: 50, priorities: [{node: edge-2, priority: 140}]"), []string{"a/IPv4 vrid 51 eth0 [10.0.0.100/24] priority 50 every 1s preempt 0 0s to []"}, nil},
		{"bounds", router("a", "vrid: 255, priority: 255, advertInterval: 40950ms, preempt: {mode: Delay, delay: 1000s}"), []string{"a/IPv4 vrid 255 eth0 [10.0.0.100/24] priority 255 every 40.95s preempt 2 16m40s to []"}, nil},
		{"lower bounds", router("a", "vrid: 1, priority: 1, advertInterval: 10ms, preempt: {mode: Never}"), []string{"a/IPv4 vrid 1 eth0 [10.0.0.100/24] priority 1 every 10ms preempt 1 0s to []"}, nil},
		{"unicast", router("a", "addresses: [10.0.0.100/24, 'fd00::100/64'], transport: {mode: Unicast, peers: [10.0.0.2, 10.0.0.1, 'fd00::1']}"), []string{
			"a/IPv4 vrid 51 eth0 [10.0.0.100/24] priority 100 every 1s preempt 0 0s to [10.0.0.1 10.0.0.2] ttl 1",
			"a/IPv6 vrid 51 eth0 [fd00::100/64] priority 100 every 1s preempt 0 0s to [fd00::1] ttl 1"}, nil},
		{"unicast on the link", router("a", "transport: {mode: Unicast, peers: [10.0.0.1], minTTL: 255}"), []string{
			"a/IPv4 vrid 51 eth0 [10.0.0.100/24] priority 100 every 1s preempt 0 0s to [10.0.0.1] ttl 255"}, nil},
		{"same VRID elsewhere", router("a", "") + router("b", "interface: eth1, addresses: [10.1.0.1]") + router("c", "addresses: ['fd00::1']"), []string{
			"a/IPv4 vrid 51 eth0 [10.0.0.100/24] priority 100 every 1s preempt 0 0s to []",
			"b/IPv4 vrid 51 eth1 [10.1.0.1/32] priority 100 every 1s preempt 0 0s to []",
			"c/IPv6 vrid 51 eth0 [fd00::1/128] priority 100 every 1s preempt 0 0s to []"}, nil},
		{"same VRID", router("b", "") + router("a", "addresses: [10.0.0.101]"), []string{"a/IPv4 vrid 51 eth0 [10.0.0.101/32] priority 100 every 1s preempt 0 0s to []"},
			[]string{"error Conflict VirtualRouter b spec.vrid: VRID 51 of IPv4 on eth0 belongs to VirtualRouter a"}},
		{"same address", router("a", "addresses: [10.0.0.1, 10.0.0.2]") + router("b", "vrid: 52, addresses: [10.0.0.3, 10.0.0.2/24]"), []string{"a/IPv4 vrid 51 eth0 [10.0.0.1/32 10.0.0.2/32] priority 100 every 1s preempt 0 0s to []"},
			[]string{"error Conflict VirtualRouter b spec.addresses[1]: 10.0.0.2 belongs to VirtualRouter a"}},
		{"VirtualRouter: link-local addresses are one on each interface",
			router("a", "addresses: ['fe80::1/64']") + router("b", "interface: eth1, addresses: ['fe80::1/64']") + router("c", "vrid: 52, addresses: ['fe80::1/64']"),
			[]string{"a/IPv6 vrid 51 eth0 [fe80::1/64] priority 100 every 1s preempt 0 0s to []", "b/IPv6 vrid 51 eth1 [fe80::1/64] priority 100 every 1s preempt 0 0s to []"},
			[]string{"error Conflict VirtualRouter c spec.addresses[0]: fe80::1 on eth0 belongs to VirtualRouter a"}},
		{"what is refused claims nothing", router("a", "vrid: 52, addresses: [10.0.0.3]") + router("b", "vrid: 52, addresses: [10.0.0.2]") + router("c", "vrid: 53, addresses: [10.0.0.2]"), []string{
			"a/IPv4 vrid 52 eth0 [10.0.0.3/32] priority 100 every 1s preempt 0 0s to []",
			"c/IPv4 vrid 53 eth0 [10.0.0.2/32] priority 100 every 1s preempt 0 0s to []"},
			[]string{"error Conflict VirtualRouter b spec.vrid: VRID 52 of IPv4 on eth0 belongs to VirtualRouter a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, problems := Translate(snapshot(t, tt.text))
			plan, _ := Plan(state, Facts{Node: "edge-1"})
			var got []string
			for _, r := range plan.Routers {
				line := fmt.Sprintf("%s vrid %d %s %v priority %d every %s preempt %d %s to %v",
					r.Key, r.VRID, r.Interface, r.Addresses, r.Priority.Effective(), r.AdvertInterval, r.Preempt, r.PreemptDelay, r.Unicast)
				if r.MinTTL > 0 {
					line += fmt.Sprint(" ttl ", r.MinTTL)
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("routers (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.problems, lines(problems)); diff != "" {
				t.Errorf("problems (-want +got)\n%s", diff)
			}
		})
	}
}

// TestRefused: each is refused whole, with this code and at this field.
func TestRefused(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"vrid 0", router("a", "vrid: 0"), "OutOfRange spec.vrid"},
		{"vrid 256", router("a", "vrid: 256"), "OutOfRange spec.vrid"},
		{"priority 0", router("a", "priority: 0"), "OutOfRange spec.priority"},
		{"priority 256", router("a", "priority: 256"), "OutOfRange spec.priority"},
		{"priority of a node", router("a", "priorities: [{node: x, priority: 0}]"), "OutOfRange spec.priorities[0].priority"},
		{"node", router("a", "priorities: [{node: X_y, priority: 9}]"), "Invalid spec.priorities[0].node"},
		{"node twice", router("a", "priorities: [{node: x, priority: 9}, {node: x, priority: 8}]"), "Duplicate spec.priorities[1].node"},
		{"no interface", router("a", "interface: ''"), "Invalid spec.interface"},
		{"long interface", router("a", "interface: a234567890123456"), "Invalid spec.interface"},
		{"path as interface", router("a", "interface: ../x"), "Invalid spec.interface"},
		{"space in interface", router("a", `interface: "a b"`), "Invalid spec.interface"},
		{"short interval", router("a", "advertInterval: 9ms"), "OutOfRange spec.advertInterval"},
		{"long interval", router("a", "advertInterval: 40960ms"), "OutOfRange spec.advertInterval"},
		{"odd interval", router("a", "advertInterval: 15ms"), "OutOfRange spec.advertInterval"},
		{"preempt mode", router("a", "preempt: {mode: Maybe}"), "Invalid spec.preempt.mode"},
		{"delay without mode", router("a", "preempt: {delay: 5s}"), "Invalid spec.preempt.delay"},
		{"mode without delay", router("a", "preempt: {mode: Delay}"), "Required spec.preempt.delay"},
		{"negative delay", router("a", "preempt: {mode: Delay, delay: -5s}"), "OutOfRange spec.preempt.delay"},
		{"down timer", router("a", "downTimerAdverts: 0"), "OutOfRange spec.downTimerAdverts"},
		{"start-up delay", router("a", "startupDelay: 1001s"), "OutOfRange spec.startupDelay"},
		{"link-up delay", router("a", "linkUpDelay: -1s"), "OutOfRange spec.linkUpDelay"},
		{"sync group", router("a", "syncGroup: a b"), "Invalid spec.syncGroup"},
		{"announcements", router("a", "announce: {repeat: 61}"), "OutOfRange spec.announce.repeat"},
		{"announcements too late", router("a", "announce: {delay: 2h}"), "OutOfRange spec.announce.delay"},
		{"announcements too often", router("a", "announce: {refresh: 10ms}"), "OutOfRange spec.announce.refresh"},
		{"transport mode", router("a", "transport: {mode: Pigeon}"), "Invalid spec.transport.mode"},
		{"peers without mode", router("a", "transport: {peers: [10.0.0.1]}"), "Invalid spec.transport.peers"},
		{"ttl out of range", router("a", "transport: {mode: Unicast, peers: [10.0.0.1], minTTL: 256}"), "OutOfRange spec.transport.minTTL"},
		{"ttl of multicast", router("a", "transport: {minTTL: 1}"), "Invalid spec.transport.minTTL"},
		{"mode without peers", router("a", "transport: {mode: Unicast}"), "Required spec.transport.peers"},
		{"no peers of a family", router("a", "addresses: [10.0.0.100, 'fd00::1'], transport: {mode: Unicast, peers: [10.0.0.1]}"), "Required spec.transport.peers"},
		{"multicast peer", router("a", "transport: {mode: Unicast, peers: [10.0.0.1, 224.0.0.18]}"), "OutOfRange spec.transport.peers[1]"},
		{"virtual peer", router("a", "transport: {mode: Unicast, peers: [10.0.0.100]}"), "Invalid spec.transport.peers[0]"},
		{"peer twice", router("a", "transport: {mode: Unicast, peers: [10.0.0.1, 10.0.0.1]}"), "Duplicate spec.transport.peers[1]"},
		{"no addresses", router("a", "addresses: []"), "Required spec.addresses"},
		{"address twice", router("a", "addresses: [10.0.0.1, 10.0.0.1/24]"), "Duplicate spec.addresses[1]"},
		{"not an address", router("a", "addresses: [10.0.0.300/24]"), "Invalid spec.addresses[0]"},
		{"leading zero", router("a", "addresses: [10.0.0.010]"), "Invalid spec.addresses[0]"},
		{"host name", router("a", "addresses: [localhost]"), "Invalid spec.addresses[0]"},
		{"prefix length", router("a", "addresses: [10.0.0.1/33]"), "Invalid spec.addresses[0]"},
		{"everything", router("a", "addresses: [10.0.0.1/0]"), "OutOfRange spec.addresses[0]"},
		{"unspecified", router("a", "addresses: ['::']"), "OutOfRange spec.addresses[0]"},
		{"loopback", router("a", "addresses: [127.0.0.1/8]"), "OutOfRange spec.addresses[0]"},
		{"loopback 6", router("a", "addresses: ['::1']"), "OutOfRange spec.addresses[0]"},
		{"multicast", router("a", "addresses: [10.0.0.1, 224.0.0.1]"), "OutOfRange spec.addresses[1]"},
		{"reserved", router("a", "addresses: [240.0.0.1]"), "OutOfRange spec.addresses[0]"},
		{"limited broadcast", router("a", "addresses: [255.255.255.255]"), "OutOfRange spec.addresses[0]"},
		{"this network", router("a", "addresses: [0.1.2.3]"), "OutOfRange spec.addresses[0]"},
		{"network", router("a", "addresses: [10.0.0.0/24]"), "OutOfRange spec.addresses[0]"},
		{"broadcast", router("a", "addresses: [10.0.3.255/22]"), "OutOfRange spec.addresses[0]"},
		{"mapped", router("a", "addresses: ['::ffff:10.0.0.1']"), "OutOfRange spec.addresses[0]"},
		{"zone", router("a", "addresses: ['fe80::1%eth0']"), "OutOfRange spec.addresses[0]"},
		{"port 0", service("a", "port: 0"), "OutOfRange spec.port"},
		{"port 65536", service("a", "port: 65536"), "OutOfRange spec.port"},
		{"service address", service("a", "address: 10.0.0.100/24"), "Invalid spec.address"},
		{"protocol", service("a", "protocol: ICMP"), "Invalid spec.protocol"},
		{"scheduler", service("a", "scheduler: best"), "Invalid spec.scheduler"},
		{"scheduler flag", service("a", "scheduler: mh, schedulerFlags: [Magic]"), "Invalid spec.schedulerFlags[0]"},
		{"flag of another scheduler", service("a", "schedulerFlags: [Port]"), "Invalid spec.schedulerFlags[0]"},
		{"one packet of TCP", service("a", "onePacket: true"), "Invalid spec.onePacket"},
		{"netmask without persistence", service("a", "persistenceNetmask: 24"), "Invalid spec.persistenceNetmask"},
		{"netmask too long", service("a", "persistence: 60s, persistenceNetmask: 33"), "OutOfRange spec.persistenceNetmask"},
		{"engine", service("a", "protocol: UDP, persistence: 60s, persistenceEngine: ftp"), "Invalid spec.persistenceEngine"},
		{"engine of TCP", service("a", "persistence: 60s, persistenceEngine: sip"), "Invalid spec.persistenceEngine"},
		{"lower threshold alone", service("a", "realServers: [{address: 10.0.0.1, lowerThreshold: 5}]"), "OutOfRange spec.realServers[0].lowerThreshold"},
		{"negative threshold", service("a", "realServers: [{address: 10.0.0.1, upperThreshold: -5}]"), "OutOfRange spec.realServers[0].upperThreshold"},
		{"tunnel without TUN", service("a", "tunnel: {type: GRE}"), "Invalid spec.tunnel"},
		{"tunnel type", service("a", "forwarding: TUN, tunnel: {type: L2TP}"), "Invalid spec.tunnel.type"},
		{"tunnel checksum", service("a", "forwarding: TUN, tunnel: {type: GRE, checksum: Odd}"), "Invalid spec.tunnel.checksum"},
		{"checksum of IPIP", service("a", "forwarding: TUN, tunnel: {checksum: Full}"), "Invalid spec.tunnel.checksum"},
		{"GUE without port", service("a", "forwarding: TUN, tunnel: {type: GUE}"), "Required spec.tunnel.port"},
		{"port of GRE", service("a", "forwarding: TUN, tunnel: {type: GRE, port: 1}"), "Required spec.tunnel.port"},
		{"TUN to another port", service("a", "forwarding: TUN, realServers: [{address: 10.0.0.1, port: 80}]"), "Unsupported spec.realServers[0].port"},
		{"TUN masqueraded", service("a", "forwarding: TUN, masquerade: true"), "Invalid spec.masquerade"},
		{"persistence and two families", service("a", "forwarding: TUN, persistence: 60s, realServers: [{address: 'fd00::1'}]"), "Invalid spec.realServers[0].address"},
		{"mark and address", service("a", "fwmark: {mark: 7}"), "Required spec.address"},
		{"neither mark nor address", object("L4Service", "a", "port: 80, realServers: [{address: 10.0.0.1}]"), "Required spec.address"},
		{"mark and port", object("L4Service", "a", "fwmark: {mark: 7}, port: 80, realServers: [{address: 10.0.0.1}]"), "Invalid spec.port"},
		{"mark 0", object("L4Service", "a", "fwmark: {mark: 0}, realServers: [{address: 10.0.0.1}]"), "OutOfRange spec.fwmark.mark"},
		{"mark of no family", object("L4Service", "a", "fwmark: {mark: 7, family: IPX}, realServers: [{address: 10.0.0.1}]"), "Invalid spec.fwmark.family"},
		{"mark masqueraded", object("L4Service", "a", "fwmark: {mark: 7}, masquerade: true, realServers: [{address: 10.0.0.1}]"), "Invalid spec.masquerade"},
		{"check without port", object("L4Service", "a", "fwmark: {mark: 7}, check: {type: TCP}, realServers: [{address: 10.0.0.1}]"), "Required spec.check.port"},
		{"port of a check", service("a", "check: {port: 65536}"), "OutOfRange spec.check.port"},
		{"forwarding", service("a", "forwarding: BYPASS"), "Invalid spec.forwarding"},
		{"masquerade with DR", service("a", "forwarding: DR, masquerade: true"), "Invalid spec.masquerade"},
		{"port with DR", service("a", "forwarding: DR, realServers: [{address: 10.0.0.1, port: 7001}]"), "Unsupported spec.realServers[0].port"},
		{"short persistence", service("a", "persistence: 0s"), "OutOfRange spec.persistence"},
		{"odd persistence", service("a", "persistence: 1500ms"), "OutOfRange spec.persistence"},
		{"long persistence", service("a", "persistence: 745h"), "OutOfRange spec.persistence"},
		{"no real servers", service("a", "realServers: []"), "Required spec"},
		{"both", service("a", "realServers: [{address: 10.0.0.1}], service: {name: x, port: 1}"), "Required spec"},
		{"real server port 0", service("a", "realServers: [{address: 10.0.0.1, port: 0}]"), "OutOfRange spec.realServers[0].port"},
		{"real server port", service("a", "realServers: [{address: 10.0.0.1, port: 65536}]"), "OutOfRange spec.realServers[0].port"},
		{"real server port beyond 16 bits", service("a", "realServers: [{address: 10.0.0.1, port: 72536}]"), "OutOfRange spec.realServers[0].port"},
		{"negative weight", service("a", "realServers: [{address: 10.0.0.1, weight: -1}]"), "OutOfRange spec.realServers[0].weight"},
		{"heavy", service("a", "realServers: [{address: 10.0.0.1, weight: 65536}]"), "OutOfRange spec.realServers[0].weight"},
		{"real server twice", service("a", "realServers: [{address: 10.0.0.1}, {address: 10.0.0.1, port: 7000}]"), "Duplicate spec.realServers[1]"},
		{"real server of the other family", service("a", "realServers: [{address: 'fd00::1'}]"), "Invalid spec.realServers[0].address"},
		{"itself", service("a", "realServers: [{address: 10.0.0.100, port: 1}]"), "Invalid spec.realServers[0].address"},
		{"loopback server", service("a", "realServers: [{address: 127.0.0.1}]"), "OutOfRange spec.realServers[0].address"},
		{"service name", service("a", "service: {name: A, port: 80}"), "Invalid spec.service.name"},
		{"service namespace", service("a", "service: {namespace: a.b, name: a, port: 80}"), "Invalid spec.service.namespace"},
		{"service port", service("a", "service: {name: a, port: 0}"), "OutOfRange spec.service.port"},
		{"service port name", service("a", "service: {name: a, port: a b}"), "Invalid spec.service.port"},
		{"check type", service("a", "check: {type: HTTP}"), "Invalid spec.check.type"},
		{"check interval", service("a", "check: {interval: 1ms}"), "OutOfRange spec.check.interval"},
		{"negative interval", service("a", "check: {interval: -1s}"), "OutOfRange spec.check.interval"},
		{"check timeout", service("a", "check: {timeout: 0s}"), "OutOfRange spec.check.timeout"},
		{"timeout above interval", service("a", "check: {interval: 1s, timeout: 2s}"), "OutOfRange spec.check.timeout"},
		{"rise", service("a", "check: {rise: 0}"), "OutOfRange spec.check.rise"},
		{"fall", service("a", "check: {fall: 101}"), "OutOfRange spec.check.fall"},
		{"settings of another name", object("Settings", "a", "httpPort: 81"), "Invalid metadata.name"},
		{"settings port", object("Settings", "default", "httpPort: 0"), "OutOfRange spec.httpPort"},
		{"settings port 2", object("Settings", "default", "httpsPort: 65536"), "OutOfRange spec.httpsPort"},
		{"same ports", object("Settings", "default", "httpPort: 443"), "Conflict spec.httpsPort"},
		{"name", router("A", ""), "Invalid metadata.name"},
	}
	empty := planText(t, source.Snapshot{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshot(t, tt.text)
			_, problems := Translate(s)
			var got []string
			for _, p := range problems {
				if p.Refused {
					got = append(got, p.Code+" "+p.Field)
				}
			}
			if diff := cmp.Diff([]string{tt.want}, got); diff != "" {
				t.Errorf("(-want +got)\n%s\n%v", diff, problems)
			}
			if diff := cmp.Diff(empty, planText(t, s)); diff != "" {
				t.Errorf("it changed the plan\n%s", diff)
			}
		})
	}
}

// planText returns the plan of edge-1 as JSON.
func planText(t *testing.T, s source.Snapshot) string {
	t.Helper()
	state, _ := Translate(s)
	return stateText(t, state)
}

func stateText(t *testing.T, state State) string {
	t.Helper()
	plan, _ := Plan(state, Facts{Node: "edge-1"})
	data, err := json.MarshalIndent(plan, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

const teaService = `---
apiVersion: v1
kind: Service
metadata: {name: tea}
spec: {ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: tea-1, labels: {kubernetes.io/service-name: tea}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.0.0.2]}, {addresses: [10.0.0.1]}, {addresses: [10.0.0.3], conditions: {ready: false}}, {addresses: [127.0.0.1]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: tea-2, labels: {kubernetes.io/service-name: tea}}
addressType: IPv6
ports: [{name: http, port: 8080}]
endpoints: [{addresses: ['fd00::1']}]
`

func TestServices(t *testing.T) {
	tests := []struct {
		name     string
		text     string
		want     []string // services, real servers, masquerade, checks
		problems []string
	}{
		{"defaults", service("a", "realServers: [{address: 10.0.0.2}, {address: 10.0.0.1, port: 1, weight: 0}]"), []string{
			"TCP 10.0.0.100:7000 wlc 0s", "10.0.0.1:1 NAT 0", "10.0.0.2:7000 NAT 1", "masquerade 6 10.0.0.100:7000",
			"check 10.0.0.1:1 2s 1s 2 3", "check 10.0.0.2:7000 2s 1s 2 3"}, nil},
		{"everything", service("a", "protocol: UDP, scheduler: mh, masquerade: false, persistence: 90s, check: {type: TCP, interval: 500ms, rise: 1, fall: 1}"), []string{
			"UDP 10.0.0.100:7000 mh 1m30s", "10.0.0.1:7000 NAT 1", "check 10.0.0.1:7000 500ms 500ms 1 1"}, nil},
		{"UDP has no check", service("a", "protocol: UDP"), []string{"UDP 10.0.0.100:7000 wlc 0s", "10.0.0.1:7000 NAT 1", "masquerade 17 10.0.0.100:7000"}, nil},
		{"DR", service("a", "forwarding: DR, check: {type: None}"), []string{"TCP 10.0.0.100:7000 wlc 0s", "10.0.0.1:7000 DR 1"}, nil},
		{"one check for two services", service("a", "check: {fall: 1}, realServers: [{address: 10.0.0.1, port: 5}]") + service("b", "port: 7001, check: {fall: 1}, realServers: [{address: 10.0.0.1, port: 5}], masquerade: false"), []string{
			"TCP 10.0.0.100:7000 wlc 0s", "10.0.0.1:5 NAT 1", "TCP 10.0.0.100:7001 wlc 0s", "10.0.0.1:5 NAT 1", "masquerade 6 10.0.0.100:7000", "check 10.0.0.1:5 2s 1s 2 1"}, nil},
		{"same port of another protocol", service("a", "check: {type: None}, masquerade: false") + service("b", "protocol: UDP, masquerade: false"), []string{
			"TCP 10.0.0.100:7000 wlc 0s", "10.0.0.1:7000 NAT 1", "UDP 10.0.0.100:7000 wlc 0s", "10.0.0.1:7000 NAT 1"}, nil},
		{"same port", service("b", "scheduler: rr") + service("a", "check: {type: None}, masquerade: false"), []string{
			"TCP 10.0.0.100:7000 wlc 0s", "10.0.0.1:7000 NAT 1"},
			[]string{"error Conflict L4Service b spec.port: TCP 10.0.0.100:7000 belongs to L4Service a"}},
		{"nobody's address", service("a", "address: 10.0.0.101, check: {type: None}, masquerade: false"), []string{"TCP 10.0.0.101:7000 wlc 0s", "10.0.0.1:7000 NAT 1"},
			[]string{"warning Unowned L4Service a spec.address: no VirtualRouter has the address 10.0.0.101: something else must bring it to a node"}},
		{"endpoints", teaService + service("a", "service: {name: tea, port: http}, check: {type: None}, masquerade: false"), []string{"TCP 10.0.0.100:7000 wlc 0s", "10.0.0.1:8080 NAT 1", "10.0.0.2:8080 NAT 1"},
			[]string{"error Unsupported L4Service a spec.service: endpoint 127.0.0.1:8080 cannot be a real server: left out"}},
		{"endpoints of IPv6", teaService + service("a", "address: 'fd00::100', service: {name: tea, port: 80}, check: {type: None}, masquerade: false"), []string{"TCP [fd00::100]:7000 wlc 0s", "[fd00::1]:8080 NAT 1"}, nil},
		{"endpoints with DR", teaService + service("a", "address: 'fd00::100', service: {name: tea, port: 80}, forwarding: DR"), []string{"TCP [fd00::100]:7000 wlc 0s"}, []string{
			"warning NoEndpoints L4Service a spec.service: no endpoint of Service default/tea can take connections: they are refused",
			"error Unsupported L4Service a spec.service.port: DR cannot change ports, and endpoint [fd00::1]:8080 is not at 7000: left out"}},
		{"no such service", service("a", "service: {name: milk, port: 80}, masquerade: false"), []string{"TCP 10.0.0.100:7000 wlc 0s"},
			[]string{"error NotFound L4Service a spec.service.name: there is no Service default/milk: connections are refused"}},
		{"no such port", teaService + service("a", "service: {name: tea, port: 53}, masquerade: false"), []string{"TCP 10.0.0.100:7000 wlc 0s"},
			[]string{"error NotFound L4Service a spec.service.port: Service default/tea has no TCP port 53: connections are refused"}},
		{"no endpoints", teaService + service("a", "protocol: UDP, service: {name: tea, port: 53}, masquerade: false"), []string{"UDP 10.0.0.100:7000 wlc 0s"},
			[]string{"warning NoEndpoints L4Service a spec.service: no endpoint of Service default/tea can take connections: they are refused"}},
		{"port of NGINX", service("a", "port: 443, masquerade: false, check: {type: None}") + "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\nspec: {rules: [{host: a.example}]}\n",
			[]string{"TCP 10.0.0.100:443 wlc 0s", "10.0.0.1:443 NAT 1"},
			[]string{"warning Conflict L4Service a spec.port: takes 10.0.0.100:443 away from NGINX, which serves Ingresses at port 443 of the other addresses only"}},
		{"port of NGINX without Ingresses", service("a", "port: 443, masquerade: false, check: {type: None}"), []string{"TCP 10.0.0.100:443 wlc 0s", "10.0.0.1:443 NAT 1"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, problems := Translate(snapshot(t, owner+tt.text))
			plan, _ := Plan(state, Facts{})
			if diff := cmp.Diff(tt.want, planLines(plan)); diff != "" {
				t.Errorf("services (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.problems, lines(problems)); diff != "" {
				t.Errorf("problems (-want +got)\n%s", diff)
			}
		})
	}
}

func planLines(p NodePlan) []string {
	var out []string
	for _, s := range p.Services {
		out = append(out, fmt.Sprintf("%s %s %s", s.Key, s.Scheduler, s.Persistence))
		for _, d := range s.Destinations {
			out = append(out, fmt.Sprintf("%s %s %d", addrPort(d), d.Forwarding, d.Weight))
		}
	}
	for _, m := range p.Masquerade {
		out = append(out, fmt.Sprintf("masquerade %d %s:%d", m.Protocol, m.Address, m.Port))
	}
	for _, c := range p.Checks {
		out = append(out, fmt.Sprintf("check %s %s %s %d %d", c.Target, c.Interval, c.Timeout, c.Rise, c.Fall))
	}
	return out
}

func TestDownRealServersLeave(t *testing.T) {
	state, _ := Translate(snapshot(t, owner+service("a", "masquerade: false, realServers: [{address: 10.0.0.1}, {address: 10.0.0.2}]")))
	plan, _ := Plan(state, Facts{})
	checks := plan.Checks
	for _, tt := range []struct {
		name string
		down map[check.Spec]bool
		want []string
		told bool
	}{
		{"one", map[check.Spec]bool{checks[0]: true}, []string{"TCP 10.0.0.100:7000 wlc 0s", "10.0.0.2:7000 NAT 1"}, false},
		{"up again", map[check.Spec]bool{checks[0]: false}, []string{"TCP 10.0.0.100:7000 wlc 0s", "10.0.0.1:7000 NAT 1", "10.0.0.2:7000 NAT 1"}, false},
		{"all", map[check.Spec]bool{checks[0]: true, checks[1]: true}, []string{"TCP 10.0.0.100:7000 wlc 0s"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan, problems := Plan(state, Facts{Down: tt.down})
			if diff := cmp.Diff(checks, plan.Checks, cmp.Comparer(func(a, b check.Spec) bool { return a == b })); diff != "" {
				t.Errorf("a check was lost\n%s", diff)
			}
			plan.Checks = nil
			if diff := cmp.Diff(tt.want, planLines(plan)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if told := len(problems) == 1 && problems[0].Code == source.CodeAllDown; told != tt.told {
				t.Errorf("problems: %v", problems)
			}
		})
	}
}

// TestOlderClaimsFirst: objects of an API have ages, which go before names.
func TestOlderClaimsFirst(t *testing.T) {
	s := snapshot(t, router("a", "")+router("b", "addresses: [10.0.0.101]"))
	s.VirtualRouters[0].CreationTimestamp = metav1.Unix(2000, 0)
	s.VirtualRouters[1].CreationTimestamp = metav1.Unix(1000, 0)
	state, _ := Translate(s)
	if len(state.Routers) != 1 || state.Routers[0].Name != "b" {
		t.Errorf("got %v", state.Routers)
	}
}

func TestSettings(t *testing.T) {
	state, problems := Translate(snapshot(t, object("Settings", "default", "httpPort: 8080, httpsPort: 8443")))
	if state.NGINX.HTTPPort != 8080 || state.NGINX.HTTPSPort != 8443 || len(problems) > 0 {
		t.Errorf("got %+v, %v", state.NGINX, problems)
	}
}
