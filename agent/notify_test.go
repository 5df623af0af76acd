package agent

import (
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// systemd's watchdog is fed only while the engine is in time.
func TestPetSystemd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	p, err := newPulse()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	e := &elector{o: Options{Log: slog.New(slog.DiscardHandler)}, pulse: p}
	told := func() string {
		e.petSystemd()
		if err := NotifySystemd("MARK"); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		first := string(buf[:n])
		if first != "MARK" {
			if _, err := c.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
		return first
	}
	if got := told(); got != "MARK" {
		t.Errorf("without a watchdog: %q", got)
	}
	t.Setenv("WATCHDOG_USEC", "10000000")
	for _, tt := range []struct {
		name  string
		limit time.Time
		want  string
	}{
		{"nothing at stake", time.Time{}, "WATCHDOG=1"},
		{"in time", time.Now().Add(time.Minute), "WATCHDOG=1"},
		{"late", time.Now().Add(-time.Second), "MARK"},
	} {
		p.beat(tt.limit)
		if got := told(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
