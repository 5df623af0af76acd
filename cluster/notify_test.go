package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/notify"
	"harmony/script"
)

// hookText writes hooks by the names of their scripts.
func hookText(h notify.Hooks) string {
	var out []string
	for _, hook := range []struct {
		name   string
		script *script.Script
	}{{"master", h.Master}, {"backup", h.Backup}, {"fault", h.Fault}, {"stop", h.Stop}, {"rival", h.Rival}, {"any", h.Any}} {
		if hook.script != nil {
			out = append(out, hook.name+"="+hook.script.Name+" "+hook.script.Command[0])
		}
	}
	return strings.Join(out, ", ")
}

func configText(c notify.Config) []string {
	var out []string
	for _, i := range c.Instances {
		out = append(out, fmt.Sprintf("%s is %s in %q: %s", i.Key, i.Name, i.Group, hookText(i.Hooks)))
	}
	for _, g := range c.Groups {
		out = append(out, fmt.Sprintf("group %s: %s", g.Name, hookText(g.Hooks)))
	}
	if c.FIFO != (notify.FIFO{}) {
		out = append(out, fmt.Sprintf("FIFO %s %q", c.FIFO.Path, c.FIFO.Group))
	}
	return out
}

func TestNotify(t *testing.T) {
	const scripts = "scripts: [{name: m, command: [/m]}, {name: n, command: [/n]}]"
	one := func(more string) string {
		return object("VirtualRouter", "one", "vrid: 1, interface: eth0, addresses: [10.0.0.1/24]"+more)
	}
	for _, tt := range []struct {
		name, settings, routers string
		want, problems          []string
	}{
		{"all hooks", scripts, one(", notify: {master: m, backup: n, fault: m, stop: n, masterRxLowerPri: m, any: n}"),
			[]string{`one/IPv4 is one in "": master=m /m, backup=n /n, fault=m /m, stop=n /n, rival=m /m, any=n /n`}, nil},
		{"none", scripts, one(""), []string{`one/IPv4 is one in "": `}, nil},
		{"two families", scripts, object("VirtualRouter", "two", `vrid: 1, interface: eth0, addresses: [10.0.0.1/24, "fd00::1/64"], syncGroup: g, notify: {any: n}`),
			[]string{`two/IPv4 is two/IPv4 in "g": any=n /n`, `two/IPv6 is two/IPv6 in "g": any=n /n`}, nil},
		{"a group", scripts + ", syncGroups: [{name: h}, {name: g, notify: {master: m, any: n}}]", one(", syncGroup: g"),
			[]string{`one/IPv4 is one in "g": `, `group g: master=m /m, any=n /n`, `group h: `},
			[]string{`warning NotFound a.yaml:5: Settings default spec.syncGroups[0].name: no VirtualRouter is in sync group "h"`}},
		{"unknown scripts", scripts + ", syncGroups: [{name: g, notify: {stop: x}}]", one(", syncGroup: g, notify: {master: y, any: n}"),
			[]string{`one/IPv4 is one in "g": any=n /n`, `group g: `},
			[]string{`error NotFound a.yaml:5: Settings default spec.syncGroups[0].notify.stop: there is no script "x" in spec.scripts of the Settings: it is not run`,
				`error NotFound a.yaml:11: VirtualRouter one spec.notify.master: there is no script "y" in spec.scripts of the Settings: it is not run`}},
		{"a group hears no adverts", scripts + ", syncGroups: [{name: g, notify: {masterRxLowerPri: m}}]", one(", syncGroup: g"),
			[]string{`one/IPv4 is one in "g": `, `group g: `},
			[]string{`error Unsupported a.yaml:5: Settings default spec.syncGroups[0].notify.masterRxLowerPri: a sync group hears no adverts, its routers do: set it there`}},
		{"a group twice", "syncGroups: [{name: g}, {name: g}]", one(", syncGroup: g"), []string{`one/IPv4 is one in "g": `},
			[]string{`error Duplicate a.yaml:5: Settings default spec.syncGroups[1].name: "g" is there already`}},
		{"a FIFO", "notifyFIFO: {path: /run/f, group: '4'}", one(""), []string{`one/IPv4 is one in "": `, `FIFO /run/f "4"`}, nil},
		{"a bad FIFO", "notifyFIFO: {path: /run/../f, group: a b}", one(""), []string{`one/IPv4 is one in "": `},
			[]string{`error Invalid a.yaml:5: Settings default spec.notifyFIFO.group: "a b" is not the name of a group, nor its number`,
				`error Invalid a.yaml:5: Settings default spec.notifyFIFO.path: "/run/../f" is not an absolute path in its shortest form`}},
		{"a FIFO that is no path", "notifyFIFO: {path: f}", one(""), []string{`one/IPv4 is one in "": `},
			[]string{`error Invalid a.yaml:5: Settings default spec.notifyFIFO.path: "f" is not an absolute path in its shortest form`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, problems := read(t, map[string]string{"a.yaml": object("Settings", "default", tt.settings) + "---\n" + tt.routers})
			state, more := Translate(s)
			plan, _ := Plan(state, Facts{})
			if diff := cmp.Diff(tt.want, configText(plan.Notify)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.problems, lines(append(problems, more...))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNotifyFIFOFromKubernetes: an object that no file holds makes no file.
func TestNotifyFIFOFromKubernetes(t *testing.T) {
	state, problems := Translate(snapshot(t, object("Settings", "default", "httpPort: 8080, notifyFIFO: {path: /run/f}")))
	if state.NotifyFIFO != (notify.FIFO{}) || state.NGINX.HTTPPort != 8080 {
		t.Errorf("FIFO %v, HTTP port %d", state.NotifyFIFO, state.NGINX.HTTPPort)
	}
	want := []string{"error Unsupported Settings default spec.notifyFIFO: only a file or folder may name a FIFO, not Kubernetes: it is not used"}
	if diff := cmp.Diff(want, lines(problems)); diff != "" {
		t.Error(diff)
	}
}
