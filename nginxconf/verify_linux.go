package nginxconf

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	verifyTimeout = 30 * time.Second      // for a reload to be served
	verifyPoll    = 20 * time.Millisecond // between two questions
	askTimeout    = 2 * time.Second       // for one answer
)

// Answers returns nil if the NGINX of runDir's supervisor answers. What it
// serves may not be the newest configuration: the last good one serves too.
func Answers(ctx context.Context, runDir string) error {
	_, err := layoutOf(runDir).ask(ctx)
	return err
}

// ask returns the generation that the running NGINX serves.
func (l layout) ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, // a kept connection would stay with an old worker
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", l.socket())
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://nginx"+generationPath, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 256))
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("asking NGINX for its generation: %s", resp.Status)
	}
	return string(body), nil
}

// verify waits until NGINX answers the generation and none of the old workers
// takes connections any more. It ends early when the master does, or when the
// error log, from the given offset on, says that the configuration is refused.
func (n nginx) verify(ctx context.Context, m *master, generation string, old []int, logged int64) error {
	deadline := time.NewTimer(verifyTimeout)
	defer deadline.Stop()
	poll := time.NewTicker(verifyPoll)
	defer poll.Stop()
	for {
		served, err := n.layout.ask(ctx)
		if err == nil && served == generation && !overlap(old, m.workers()) {
			return nil
		}
		if said := n.layout.logSince(logged); served != generation && strings.Contains(said, "[emerg]") {
			return &rejected{said}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.exited:
			return fmt.Errorf("NGINX ended: %v: %s", m.err, firstEmerg(n.layout.logSince(logged)))
		case <-deadline.C:
			return fmt.Errorf("NGINX does not serve generation %s after %s, but %q (%v)", generation, verifyTimeout, served, err)
		case <-poll.C:
		}
	}
}

func overlap(a, b []int) bool {
	return slices.ContainsFunc(a, func(x int) bool { return slices.Contains(b, x) })
}

// logSize is the offset from which logSince tells what is new.
func (l layout) logSize() int64 {
	if info, err := os.Stat(l.errorLog()); err == nil {
		return info.Size()
	}
	return 0
}

// logSince returns what NGINX logged after the offset, at most maxMessage of it.
func (l layout) logSince(offset int64) string {
	f, err := os.Open(l.errorLog())
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, offset, maxMessage))
	if err != nil {
		return ""
	}
	return string(text)
}
