package cluster

import (
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"harmony/api/v1alpha1"
	"harmony/notify"
	"harmony/script"
	"harmony/source"
)

// maxSyncGroups bounds the sync groups that Settings list.
const maxSyncGroups = 255

// hooks resolves the names of scripts. One that is not declared is reported, and
// not run; a router does not lose its addresses over it.
func (t *translator) hooks(r *source.Report, field string, n v1alpha1.Notify) notify.Hooks {
	find := func(name, script string) *script.Script { return t.script(r, field+"."+name, script) }
	return notify.Hooks{
		Master: find("master", n.Master), Backup: find("backup", n.Backup), Fault: find("fault", n.Fault),
		Stop: find("stop", n.Stop), Rival: find("masterRxLowerPri", n.MasterRxLowerPri), Any: find("any", n.Any),
	}
}

// script is the declared script of that name; nil for no name.
func (t *translator) script(r *source.Report, field, name string) *script.Script {
	if name == "" {
		return nil
	}
	i := slices.IndexFunc(t.state.Scripts, func(s script.Script) bool { return s.Name == name })
	if i < 0 {
		r.Error(field, source.CodeNotFound, "there is no script %s in spec.scripts of the Settings: it is not run", source.Quote(name))
		return nil
	}
	return &t.state.Scripts[i]
}

// syncGroups reads what Settings say of sync groups.
func (t *translator) syncGroups(r *source.Report, list []v1alpha1.SyncGroup) []notify.Group {
	const field = "spec.syncGroups"
	if len(list) > maxSyncGroups {
		r.Refuse(field, source.CodeTooLarge, "at most %d sync groups, not %d", maxSyncGroups, len(list))
		return nil
	}
	var out []notify.Group
	for i, g := range list {
		at := source.At(field, i)
		r.Grammar(at+".name", g.Name, validation.IsDNS1123Label)
		if slices.ContainsFunc(out, func(o notify.Group) bool { return o.Name == g.Name }) {
			r.Refuse(at+".name", source.CodeDuplicate, "%s is there already", source.Quote(g.Name))
		}
		if g.Notify.MasterRxLowerPri != "" {
			r.Error(at+".notify.masterRxLowerPri", source.CodeUnsupported, "a sync group hears no adverts, its routers do: set it there")
			g.Notify.MasterRxLowerPri = ""
		}
		out = append(out, notify.Group{Name: g.Name, Hooks: t.hooks(r, at+".notify", g.Notify)})
	}
	slices.SortFunc(out, func(a, b notify.Group) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// notifyFIFO reads where lines are written to. An object from Kubernetes must
// not make files on the nodes.
func (t *translator) notifyFIFO(r *source.Report, f *v1alpha1.NotifyFIFO) notify.FIFO {
	const field = "spec.notifyFIFO"
	switch {
	case f == nil:
		return notify.FIFO{}
	case t.Origins[r.Object].File == "":
		r.Error(field, source.CodeUnsupported, "only a file or folder may name a FIFO, not Kubernetes: it is not used")
		return notify.FIFO{}
	case !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" || len(f.Path) > 4096 || strings.ContainsRune(f.Path, 0):
		r.Refuse(field+".path", source.CodeInvalid, "%s is not an absolute path in its shortest form", source.Quote(f.Path))
	}
	refuse(r, field+".group", script.ValidAccount("group", f.Group))
	return notify.FIFO{Path: f.Path, Group: f.Group}
}

// strayGroups warns of sync groups without a router: nothing is told of them.
func (t *translator) strayGroups() {
	for i := range t.Settings {
		obj := &t.Settings[i]
		r := source.Report{Object: source.RefOf(v1alpha1.KindSettings, obj)}
		for j, g := range obj.Spec.SyncGroups {
			if !slices.ContainsFunc(t.state.Routers, func(o Router) bool { return o.Group == g.Name }) {
				r.Warn(source.At("spec.syncGroups", j)+".name", source.CodeNotFound, "no VirtualRouter is in sync group %s", source.Quote(g.Name))
			}
		}
		t.problems = append(t.problems, r.Problems...)
	}
}

// notifications are those of a whole State: Instances are its routers.
func notifications(s State) notify.Config {
	families := map[string]int{}
	for _, r := range s.Routers {
		families[r.Name]++
	}
	c := notify.Config{Groups: s.SyncGroups, FIFO: s.NotifyFIFO}
	for _, r := range s.Routers {
		i := notify.Instance{Key: r.Key, Name: r.Name, Group: r.Group, Hooks: r.Notify}
		if families[r.Name] > 1 {
			i.Name = r.Key.String()
		}
		c.Instances = append(c.Instances, i)
	}
	return c
}
