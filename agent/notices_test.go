package agent

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"harmony/notify"
)

// told is a Status of a worker that has told others with every result.
func told(now time.Time) Status {
	return Status{
		Election: ElectionReport{Untold: 9},
		Worker: WorkerReport{Notify: notify.Status{
			Scripts: []notify.ScriptStatus{{Name: "a", Succeeded: 1}, {
				Name: "b", Succeeded: 2, Failed: 3, TimedOut: 4, Dropped: 5,
				LastFailure: &notify.Failure{At: now.Add(-3 * time.Second), About: "INSTANCE edge MASTER", Error: "exit status 1: no"},
			}},
			Waiting: 6, FIFO: &notify.FIFOStatus{Path: "/run/f", Written: 7, Dropped: 8, Error: "broken"},
		}},
	}
}

func TestNoticesTable(t *testing.T) {
	var b strings.Builder
	now := time.Now()
	if err := WriteTable(&b, told(now), false, now); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(b.String(), "NOTIFY SCRIPT")
	var got []string
	for line := range strings.Lines("NOTIFY SCRIPT" + text) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && !strings.HasPrefix(line, "NGINX") {
			got = append(got, line)
		}
	}
	want := []string{
		"NOTIFY SCRIPT WELL FAILED TIMED OUT DROPPED LAST FAILURE",
		"a 1 0 0 0 -",
		"b 2 3 4 5 3s ago, INSTANCE edge MASTER: exit status 1: no",
		"NOTIFY FIFO LINES DROPPED",
		"/run/f 7 8 broken",
		"9 changes of state were told to nobody: there was no worker for too long",
		"6 runs of notify scripts wait for an earlier one",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	if err := WriteTable(&b, Status{}, true, now); err != nil || strings.Contains(b.String(), "NOTIFY") {
		t.Errorf("nobody to be told: %v\n%s", err, &b)
	}
}

func TestNoticesMetrics(t *testing.T) {
	s := told(time.Now())
	const want = `# HELP harmony_notify_fifo_lines_total Lines for the notify FIFO.
# TYPE harmony_notify_fifo_lines_total counter
harmony_notify_fifo_lines_total{result="dropped"} 8
harmony_notify_fifo_lines_total{result="written"} 7
# HELP harmony_notify_lost_total Changes of state that nobody was told of, for want of a worker.
# TYPE harmony_notify_lost_total counter
harmony_notify_lost_total 9
# HELP harmony_notify_scripts_total Runs of notify scripts, by how they ended.
# TYPE harmony_notify_scripts_total counter
harmony_notify_scripts_total{result="dropped",script="a"} 0
harmony_notify_scripts_total{result="dropped",script="b"} 5
harmony_notify_scripts_total{result="failure",script="a"} 0
harmony_notify_scripts_total{result="failure",script="b"} 3
harmony_notify_scripts_total{result="success",script="a"} 1
harmony_notify_scripts_total{result="success",script="b"} 2
harmony_notify_scripts_total{result="timeout",script="a"} 0
harmony_notify_scripts_total{result="timeout",script="b"} 4
# HELP harmony_notify_waiting Runs of notify scripts that wait for an earlier one.
# TYPE harmony_notify_waiting gauge
harmony_notify_waiting 6
`
	reg, answer := prometheus.NewRegistry(), httptest.NewRecorder()
	reg.MustRegister(statusCollector{&s})
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	var got strings.Builder
	for line := range strings.Lines(answer.Body.String()) {
		if strings.Contains(line, "harmony_notify_") {
			got.WriteString(line)
		}
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}
