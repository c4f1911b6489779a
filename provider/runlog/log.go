package runlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/gantry-run/gantry/bootstrap/step"
)

// Log is the log of one run. One without a directory writes to Terraform's own log
// only.
type Log struct {
	now func() time.Time

	mu      sync.Mutex
	dir     string   // empty once it could not be written to
	lines   *os.File // JSON
	summary *os.File // for people
}

// New returns a log in that directory, which is made with the first record; "" is
// none.
func New(dir string, now func() time.Time) *Log { return &Log{dir: dir, now: now} }

// Begin begins an operation of that title: what is told with the context that it
// returns is part of it, and end writes its summary.
func (l *Log) Begin(ctx context.Context, title string) (_ context.Context, end func()) {
	op := newOperation(title, l.now())
	return context.WithValue(ctx, operationKey{}, op), func() {
		took := l.now().Sub(op.begun)
		l.write(ctx, op.summary(took), op.records(took)...)
	}
}

// Event tells a step on a host.
func (l *Log) Event(ctx context.Context, e step.Event) {
	operationOf(ctx).event(e)
	fields, what := map[string]any{"step": e.Step, "state": string(e.State)}, fmt.Sprintf("%s %s", e.Step, e.State)
	if e.Host != "" {
		fields["host"], what = e.Host, e.Host+": "+what
	}
	if e.Took > 0 {
		fields["took"] = e.Took.Round(time.Millisecond).String()
	}
	if e.Message != "" {
		fields["message"] = e.Message
	}
	if e.Err != nil {
		fields["error"] = e.Err.Error()
	}
	tflog.Info(ctx, what, fields)
	l.write(ctx, "", fields)
}

// write appends to the files of this run. A log that cannot be written is no reason to
// leave servers half done: a warning in Terraform's log says so, once.
func (l *Log) write(ctx context.Context, summary string, records ...map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dir == "" {
		return
	}
	now := l.now()
	var lines []byte
	err := l.open(now)
	for _, fields := range records {
		fields["time"] = now.UTC().Format(time.RFC3339Nano)
		line, marshalErr := json.Marshal(fields)
		err = errors.Join(err, marshalErr)
		lines = append(append(lines, line...), '\n')
	}
	if err == nil {
		_, linesErr := l.lines.Write(lines)
		_, summaryErr := l.summary.WriteString(summary)
		err = errors.Join(linesErr, summaryErr)
	}
	if err != nil {
		tflog.Warn(ctx, "cannot write to log_dir", map[string]any{"error": err.Error()})
		l.dir = ""
	}
}

func (l *Log) open(now time.Time) error {
	if l.lines != nil {
		return nil
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(l.dir, "gantry-"+now.UTC().Format("20060102-150405"))
	const flags = os.O_CREATE | os.O_APPEND | os.O_WRONLY
	lines, err := os.OpenFile(name+".jsonl", flags, 0o600)
	if err != nil {
		return err
	}
	summary, err := os.OpenFile(name+".txt", flags, 0o600)
	if err != nil {
		return errors.Join(err, lines.Close())
	}
	l.lines, l.summary = lines, summary
	return nil
}
