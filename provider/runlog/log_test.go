package runlog

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// clock is ahead by a second each time it is looked at.
func clock() func() time.Time {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

// counted is a host whose connection has carried some bytes.
type counted struct {
	host.Host
	name           string
	sent, received int64
}

func (c counted) Name() string            { return c.name }
func (c counted) Traffic() (int64, int64) { return c.sent, c.received }
func read(t *testing.T, dir, kind string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "gantry-*."+kind))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// squeezed has one space where a table has several.
func squeezed(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

func TestAnOperationIsSummedUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "log")
	l := New(dir, clock())
	ctx, end := l.Begin(t.Context(), "create pool p")
	const w1, w2 = "w1 (192.0.2.1)", "w2 (192.0.2.2)"
	Connected(ctx, counted{name: w1, sent: 1500, received: 123_400})
	Connected(ctx, counted{name: w1, sent: 500, received: 1})
	Connected(ctx, counted{name: w2, sent: 1_000_000})
	for _, e := range []step.Event{
		{Host: w1, Step: "binaries", State: step.Began, Message: "half"},
		{Host: w1, Step: "binaries", State: step.Done, Took: 1500 * time.Millisecond},
		{Host: w1, Step: "start", State: step.Failed, Took: time.Second, Err: &step.Error{Host: w1, Step: "start", Err: errors.New("exit status 3\nand more")}},
		{Host: w2, Step: "start", State: step.Failed},
		{Step: "lease", State: step.Done},
	} {
		l.Event(ctx, e)
	}
	end()
	summary := read(t, dir, "txt")
	if want := "2030-01-02 03:04:06 create pool p: 6.0 s, 2 hosts\n" +
		"w1 (192.0.2.1) 2.5 s sent 2.0 kB, received 123.4 kB\nbinaries 1.5 s\nstart 1.0 s FAILED: exit status 3\n" +
		"w2 (192.0.2.2) 0.0 s sent 1.0 MB, received 0.0 kB\nstart 0.0 s FAILED"; squeezed(summary) != want {
		t.Errorf("the summary is\n%s\nwant\n%s", squeezed(summary), want)
	}
	var got []map[string]any
	for line := range strings.Lines(read(t, dir, "jsonl")) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		got = append(got, record)
	}
	if len(got) != 8 {
		t.Fatalf("%d records: %v", len(got), got)
	}
	for i, want := range []map[string]any{
		{"host": w1, "step": "binaries", "state": "began", "message": "half"}, {"host": w1, "step": "binaries", "took": "1.5s"},
		{"host": w1, "error": `host w1 (192.0.2.1), step "start", : exit status 3` + "\nand more"}, {"host": w2, "step": "start", "state": "failed"}, {"step": "lease", "state": "done"},
		{"operation": "create pool p", "took": "6s", "hosts": 2.0}, {"operation": "create pool p", "host": w1, "sent_bytes": 2000.0, "received_bytes": 123401.0}, {"host": w2, "sent_bytes": 1e6},
	} {
		for key, v := range want {
			if got[i][key] != v {
				t.Errorf("record %d has %s = %v, want %v", i, key, got[i][key], v)
			}
		}
		if _, err := time.Parse(time.RFC3339Nano, got[i]["time"].(string)); err != nil {
			t.Error(err)
		}
	}
	for _, key := range []string{"took", "message", "error", "host"} {
		if v, ok := got[4][key]; ok {
			t.Errorf("what has none says %s = %v", key, v)
		}
	}
}

// What belongs to no operation is written too, and a second one to the same files.
func TestALogOutlivesAnOperation(t *testing.T) {
	dir := t.TempDir()
	l := New(dir, clock())
	l.Event(t.Context(), step.Event{Host: "w1", Step: "s", State: step.Done})
	Connected(t.Context(), counted{name: "w1"})
	for _, title := range []string{"first", "second"} {
		_, end := l.Begin(t.Context(), title)
		end()
	}
	if summary := read(t, dir, "txt"); strings.Count(summary, "0 hosts") != 2 || !strings.Contains(summary, "second") {
		t.Errorf("the summary is\n%s", summary)
	}
	if lines := read(t, dir, "jsonl"); strings.Count(lines, "\n") != 3 {
		t.Errorf("the log is\n%s", lines)
	}
}

func TestALogThatCannotBeWrittenHoldsNothingUp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", filepath.Join(file, "log")} {
		l := New(dir, clock())
		_, end := l.Begin(context.Background(), "read")
		l.Event(context.Background(), step.Event{Step: "s", State: step.Done})
		end()
		if l.dir != "" || l.lines != nil {
			t.Errorf("%q: it goes on writing", dir)
		}
	}
}
