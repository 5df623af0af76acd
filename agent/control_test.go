package agent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestControl(t *testing.T) {
	dir := RunDir(t.TempDir())
	stale, err := net.Listen("unix", dir.Control())
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close() // what a killed agent leaves behind
	c, err := listenControl(dir.Control(), func(_ context.Context, r Request) Response {
		if r.Command == "failover" {
			return Response{Refused: "not the owner of " + r.Router}
		}
		return Response{Status: &Status{Node: "a"}}
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir.Control()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("control socket: mode %v, error %v", info.Mode(), err)
	}
	resp, err := Ask(t.Context(), dir, Request{Command: "status"})
	if err != nil || resp.Status == nil || resp.Status.Node != "a" {
		t.Errorf("status: %+v, %v", resp, err)
	}
	var refused *RefusedError
	if _, err := Ask(t.Context(), dir, Request{Command: "failover", Router: "edge"}); !errors.As(err, &refused) || refused.Reason != "not the owner of edge" {
		t.Errorf("failover: %v", err)
	}
	junk, err := net.Dial("unix", dir.Control())
	if err != nil {
		t.Fatal(err)
	}
	defer junk.Close()
	if _, err := junk.Write([]byte("not json\n")); err != nil {
		t.Fatal(err)
	}
	if n, err := junk.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("junk was answered: %d bytes, %v", n, err)
	}
	c.close() // waits for its goroutines: a leak hangs here
	if _, err := Ask(t.Context(), dir, Request{Command: "status"}); !errors.Is(err, ErrNoAgent) {
		t.Errorf("after close: %v", err)
	}
}

func TestControlClosesIdleClients(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	c, err := listenControl(path, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	idle, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	done := make(chan struct{})
	go func() { c.close(); close(done) }()
	select {
	case <-done:
	case <-time.After(requestTimeout - time.Second):
		t.Error("close waits for a client that says nothing")
	}
}

func TestRunDirIsOneAgents(t *testing.T) {
	dir := RunDir(filepath.Join(t.TempDir(), "run"))
	lock, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Lock(); !errors.Is(err, ErrInUse) {
		t.Errorf("second lock: %v, want ErrInUse", err)
	}
	lock.Close()
	lock, err = dir.Lock()
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	lock.Close()
}

func TestOverridesFile(t *testing.T) {
	dir := RunDir(t.TempDir())
	got := Overrides{}
	if err := readJSON(dir.overrides(), &got); err != nil || len(got) != 0 {
		t.Errorf("absent file: %v, %v", got, err)
	}
	if err := writeJSON(dir.overrides(), Overrides{"edge": Yield}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir.overrides()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if err := readJSON(dir.overrides(), &got); err != nil || got["edge"] != Yield {
		t.Errorf("read back: %v, %v", got, err)
	}
	if err := os.WriteFile(dir.overrides(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := readJSON(dir.overrides(), &got); err == nil {
		t.Error("a broken file is no error")
	}
}
