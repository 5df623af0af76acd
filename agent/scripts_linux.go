package agent

import (
	"errors"
	"io/fs"
	"path/filepath"

	"harmony/api/v1alpha1"
	"harmony/script"
	"harmony/source"
)

// ScriptProblems says which of the scripts that the Settings of s declare would
// not be run on this machine as it is now. One that others could change is an
// error, as is a FIFO that others could replace; a script that is not here may
// be meant for another machine.
func ScriptProblems(s source.Snapshot) []source.Problem {
	var problems []source.Problem
	for i := range s.Settings {
		obj := &s.Settings[i]
		r := source.Report{Object: source.RefOf(v1alpha1.KindSettings, obj)}
		file := s.Origins[r.Object].File
		if file == "" {
			continue // it declares none
		}
		if len(obj.Spec.Scripts) > 0 {
			openToOthers(&r, file)
		}
		for j, declared := range obj.Spec.WithDefaults().Scripts {
			field := source.At("spec.scripts", j)
			err := script.Check(script.Script{
				Name: declared.Name, Command: declared.Command,
				User: declared.User, Group: declared.Group, Timeout: declared.Timeout.Duration,
			})
			switch {
			case err == nil:
			case errors.As(err, new(*script.InsecureError)):
				r.Error(field+".command", source.CodeInsecure, "%v", err)
			case errors.Is(err, fs.ErrNotExist):
				r.Warn(field+".command", source.CodeNotFound, "%v: it is not run on this node", err)
			default:
				r.Warn(field, source.CodeNotFound, "%v: it is not run on this node", err)
			}
		}
		if f := obj.Spec.NotifyFIFO; f != nil {
			if err := script.SecureFolder(filepath.Dir(f.Path)); errors.As(err, new(*script.InsecureError)) {
				r.Error("spec.notifyFIFO.path", source.CodeInsecure, "nothing is written to %s: %v", source.Quote(f.Path), err)
			}
		}
		for _, p := range r.Problems {
			problems = append(problems, s.Locate(p))
		}
	}
	return problems
}

// openToOthers warns if others than root can write the file that declares
// scripts.
func openToOthers(r *source.Report, file string) {
	whole, err := filepath.Abs(file)
	if err != nil {
		return // it has been read, so this is about the working folder
	}
	if bad, ok := errors.AsType[*script.InsecureError](script.SecureFile(whole)); ok {
		r.Warn("spec.scripts", source.CodeInsecure, "who can change this file can run commands as any user, and others than root can: %v", bad)
	}
}
