package cluster

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"harmony/api/v1alpha1"
	"harmony/script"
	"harmony/source"
)

// Bounds of a declared script.
const (
	maxScripts       = 256
	minScriptTimeout = 10 * time.Millisecond
	maxScriptTimeout = time.Hour
)

// scripts returns the scripts that the Settings of r declare, sorted by name.
// Whether a node can run one, only the node can tell: see script.Check.
//
// Those that no file declares are not used: an object from Kubernetes must not
// bring a command to the nodes.
func (t *translator) scripts(r *source.Report, list []v1alpha1.Script) []script.Script {
	const field = "spec.scripts"
	if len(list) > 0 && t.Origins[r.Object].File == "" {
		r.Error(field, source.CodeUnsupported, "only a file or folder may declare scripts, not Kubernetes: none of them is used")
		return nil
	}
	if len(list) > maxScripts {
		r.Refuse(field, source.CodeTooLarge, "at most %d scripts, not %d", maxScripts, len(list))
		return nil
	}
	var out []script.Script
	for i, s := range list {
		at := source.At(field, i)
		r.Grammar(at+".name", s.Name, validation.IsDNS1123Label)
		if slices.ContainsFunc(out, func(o script.Script) bool { return o.Name == s.Name }) {
			r.Refuse(at+".name", source.CodeDuplicate, "%s is there already", source.Quote(s.Name))
		}
		refuse(r, at+".command", script.ValidCommand(s.Command))
		refuse(r, at+".user", script.ValidAccount("user", s.User))
		refuse(r, at+".group", script.ValidAccount("group", s.Group))
		duration(r, at+".timeout", s.Timeout, minScriptTimeout, maxScriptTimeout, time.Millisecond)
		out = append(out, script.Script{Name: s.Name, Command: s.Command, User: s.User, Group: s.Group, Timeout: s.Timeout.Duration})
	}
	slices.SortFunc(out, func(a, b script.Script) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// refuse refuses the object of r if err is not nil.
func refuse(r *source.Report, field string, err error) {
	if err != nil {
		r.Refuse(field, source.CodeInvalid, "%v", err)
	}
}
