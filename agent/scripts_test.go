package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmony/source/folder"
)

func TestScriptProblems(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "script"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	const settings = `apiVersion: kaas.harmony/v1alpha1
kind: Settings
metadata: {name: default}
spec:
  scripts:
    - {name: good, command: [/bin/true], user: root}
    - name: insecure
      command: [%s/script]
    - name: missing
      command: [/no/such/script]
    - name: stranger
      command: [/bin/true]
      user: no-such-user
  notifyFIFO: {path: /tmp/fifo}
`
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), fmt.Appendf(nil, settings, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	s, problems := folder.Load(dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got := ScriptProblems(s)
	want := []string{
		"warning Insecure a.yaml:5: Settings default spec.scripts: who can change this file can run commands as any user, and others than root can: /",
		"error Insecure a.yaml:8: Settings default spec.scripts[1].command: script insecure is not run: /",
		"warning NotFound a.yaml:10: Settings default spec.scripts[2].command: script missing: looking at /no: no such file or directory: it is not run on this node",
		"warning NotFound a.yaml:11: Settings default spec.scripts[3]: script stranger: there is no user no-such-user on this node",
		"error Insecure a.yaml:14: Settings default spec.notifyFIFO.path: nothing is written to \"/tmp/fifo\": /tmp is a folder that everybody may write to: choose one",
	}
	for i := range max(len(got), len(want)) {
		line := "nothing"
		if i < len(got) {
			line = fmt.Sprintf("%s %s %s", got[i].Severity, got[i].Code, strings.TrimPrefix(got[i].String(), dir+"/"))
		}
		if i >= len(want) || !strings.HasPrefix(line, want[i]) {
			t.Errorf("problem %d: %s\nwant %v", i, line, want[min(i, len(want)-1)])
		}
	}
	s.Origins = nil // as if from Kubernetes
	if got := ScriptProblems(s); len(got) > 0 {
		t.Errorf("of scripts that are not used: %v", got)
	}
}
