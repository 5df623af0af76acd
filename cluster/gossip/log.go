package gossip

import (
	"context"
	"log"
	"log/slog"
	"strings"
)

// quiet is memberlist's logger: what it has to say is of interest to those who
// look for a fault only, and comes as often as a stranger likes.
func quiet(to *slog.Logger) *log.Logger { return log.New(lines{to}, "", 0) }

type lines struct{ to *slog.Logger }

// Write takes one line, such as "[WARN] memberlist: text".
func (l lines) Write(b []byte) (int, error) {
	text := strings.TrimSpace(string(b))
	level := "INFO"
	if rest, ok := strings.CutPrefix(text, "["); ok {
		if name, after, ok := strings.Cut(rest, "] "); ok {
			level, text = name, after
		}
	}
	l.to.Log(context.Background(), slog.LevelDebug, "memberlist", "level", level, "text", strings.TrimPrefix(text, "memberlist: "))
	return len(b), nil
}
